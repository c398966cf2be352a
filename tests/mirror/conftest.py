"""A second organization, and records to write without asking anybody."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from sessions_app.management.bootstrap import SANDBOX_BUDGET
from sessions_app.models import Organization
from sessions_app.models.organizations import WriteMode
from sessions_app.vapi.json import parse_json
from sessions_app.vapi.payloads import SessionRecord, parse_session
from tests.sandbox_process import SandboxProcess

pytest.register_assert_rewrite("tests.mirror.histories", "tests.mirror.truth")

ORG = "org-of-the-tests"
NOON = datetime(2026, 1, 10, 12, tzinfo=UTC)


@pytest.fixture
def other_organization(organization: Organization, sandbox: SandboxProcess) -> Organization:
    """The sandbox's second key: another organization with rows of its own."""
    return Organization.objects.create(
        slug="other",
        name="Other",
        base_url=sandbox.url,
        api_key=sandbox.keys[1],
        is_sandbox=True,
        write_mode=WriteMode.ON,
        **SANDBOX_BUDGET,
    )


@pytest.fixture
def record() -> Callable[..., SessionRecord]:
    """record("s1", cost=0.5, costs=[...], updatedAt=...): a session as a listing brings it."""

    def make(session_id: str, **fields: Any) -> SessionRecord:
        base = {
            "id": session_id,
            "orgId": ORG,
            "createdAt": NOON.isoformat(),
            "updatedAt": NOON.isoformat(),
            "messages": [{"role": "user", "content": f"words of {session_id}"}],
        }
        # Numbers as the client reads them: exact, never floats.
        return parse_session(parse_json(json.dumps({**base, **fields})))

    return make


@pytest.fixture
def ask_freely(
    organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> Callable[[SandboxProcess], None]:
    """ask_freely(vapi): that Vapi as at its start, asked without a budget; nobody sleeps between tries."""

    def prepare(vapi: SandboxProcess) -> None:
        vapi.reset()
        Organization.objects.update(base_url=vapi.url, requests_per_second=100_000, concurrent_requests=100)
        organization.refresh_from_db()
        monkeypatch.setattr(time, "sleep", lambda _: None)

    return prepare
