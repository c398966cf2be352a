"""Random histories of what can happen at Vapi and on the way: each ends with a mirror that equals the truth.

The suite tries 300, half of them on each database. HISTORIES says how many are tried, HISTORY which one alone. A
failure names the seed that repeats it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

import pytest
from django.db import transaction

from sessions_app.models import Organization
from sessions_app.vapi.client import VapiClient
from tests.databases import shared_out
from tests.mirror.histories import History
from tests.sandbox_process import SandboxProcess

pytestmark = pytest.mark.django_db

_ONE = os.environ.get("HISTORY")
_MANY = os.environ.get("HISTORIES")
SEEDS = [int(_ONE)] if _ONE else list(range(int(_MANY)) if _MANY else shared_out(300))
# Few enough that workers share them evenly, many enough that setting up a test does not count.
AT_ONCE = 10


@pytest.fixture(scope="module")
def tiny_process() -> Iterator[SandboxProcess]:
    """A Vapi of four sessions and eight chats, of a day or two."""
    process = SandboxProcess(sessions=4, seed="histories", days=1)
    yield process
    process.stop()


@pytest.mark.parametrize("first", SEEDS[::AT_ONCE])
def test_histories_end_with_the_truth(
    first: int, tiny_process: SandboxProcess, organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "sleep", lambda _: None)
    monkeypatch.setitem(VapiClient.__init__.__kwdefaults__ or {}, "timeout", (5, 0.05))
    Organization.objects.update(
        base_url=tiny_process.url, requests_per_second=100_000, concurrent_requests=100
    )
    for seed in SEEDS[SEEDS.index(first) :][:AT_ONCE]:
        tiny_process.reset()
        organization.refresh_from_db()
        with transaction.atomic():
            try:
                tell(seed, tiny_process, organization, monkeypatch)
            except Exception as problem:
                problem.add_note(f"Again with: HISTORY={seed} pytest {__file__}")
                raise
            transaction.set_rollback(True)


def tell(
    seed: int, sandbox: SandboxProcess, organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    history = History(seed, sandbox, organization)
    for _ in range(history.chance.randrange(1, 4)):
        history.round(monkeypatch)
    history.end(monkeypatch)
    history.assert_truth()
