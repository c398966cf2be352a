"""Random histories of edits, each from a seed: none loses anything, and none overwrites what nobody saw.

The suite runs 300, half of them on each database. EDIT_HISTORIES says how many are run, EDIT_HISTORY runs one alone by
its seed. A failing one is named by its seed and tells what happened.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import pytest
from django.contrib.auth.models import User

from sessions_app.models import Organization
from tests.databases import shared_out
from tests.edits.history import History
from tests.sandbox_process import SandboxProcess

pytestmark = pytest.mark.django_db(transaction=True)

# A chunk shares a database; one that fails ends its chunk.
CHUNK = 25
_ONE = os.environ.get("EDIT_HISTORY")
_MANY = os.environ.get("EDIT_HISTORIES")
SEEDS = [int(_ONE)] if _ONE else list(range(int(_MANY)) if _MANY else shared_out(300))


@pytest.mark.parametrize("chunk", range(-(-len(SEEDS) // CHUNK)))
def test_no_history_loses_anything(
    sandbox: SandboxProcess,
    organization: Organization,
    make_person: Callable[..., User],
    monkeypatch: pytest.MonkeyPatch,
    chunk: int,
) -> None:
    people = [make_person("one"), make_person("another")]
    Organization.objects.update(requests_per_second=1_000_000, concurrent_requests=1_000)
    # Waits between tries go by at once; a longer one is a row's next_attempt_at, which the history lets pass.
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    for seed in SEEDS[chunk * CHUNK : (chunk + 1) * CHUNK]:
        organization.refresh_from_db()
        history = History(seed, sandbox, organization, people)
        try:
            history.run()
        except BaseException as error:
            error.add_note(f"EDIT_HISTORY={seed}\n" + "\n".join(history.said))
            raise
