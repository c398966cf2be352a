"""A session that is mirrored from the simulated Vapi, and the few things that every push test says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db.models.functions import Now

from sessions_app.edits.queue import queue_edit, shown_values
from sessions_app.mirror.refetch import refetch_session
from sessions_app.models import Edit, Organization, Session
from sessions_app.models.requests import Budget
from sessions_app.vapi import Fetched, VapiClient
from tests.sandbox_process import SandboxProcess
from vapiadmin.celery import app

Queue = Callable[..., Edit]


@pytest.fixture
def session(sandbox: SandboxProcess, organization: Organization) -> Session:
    """Named "Before", active, with Vapi's default expiry; the journal begins after it was mirrored."""
    row = sandbox.truth()[0]
    sandbox.change("sessions", row["id"], {"name": "Before", "status": "active"}, unset=["expirationSeconds"])
    found = refetch_session(organization, row["id"])
    assert found is not None
    sandbox.control("DELETE", "journal")
    return found


@pytest.fixture
def queue(session: Session) -> Queue:
    """queue(name="After"): an edit on the base of what is shown, or of `base`."""

    def make(*, base: dict[str, object] | None = None, author: Any = None, **fields: object) -> Edit:
        shown = shown_values(session) if base is None else base
        return queue_edit(session=session, base=shown, fields=fields, author=author, source="admin")

    return make


@pytest.fixture
def remote(sandbox: SandboxProcess, session: Session) -> Callable[[], Any]:
    """remote() is the session as it stands at Vapi now."""
    return lambda: next(row for row in sandbox.truth() if row["id"] == session.pk)


@pytest.fixture
def make_due() -> Callable[[Edit], None]:
    """Let the time pass that an edit waits for, and everybody after a 429."""

    def make(edit: Edit) -> None:
        _set(edit, next_attempt_at=Now() - timedelta(seconds=1))
        Budget.objects.update(cool_down_until=None)

    return make


@pytest.fixture
def expire_claim() -> Callable[[Edit], None]:
    return lambda edit: _set(edit, claimed_until=Now() - timedelta(seconds=1))


@pytest.fixture
def use_broker() -> Iterator[Callable[[str], None]]:
    """Another broker for this test alone."""
    before = {name: app.conf[name] for name in ("broker_url", "broker_transport_options")}

    def use(url: str) -> None:
        app.conf.update(broker_url=url, broker_transport_options={})

    yield use
    app.conf.update(before)


@pytest.fixture
def after_first_get(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Callable[[], object]], None]]:
    """after_first_get(happen): something happens between a worker's GET and what it does next."""
    get_session = VapiClient.get_session
    events: list[Callable[[], object]] = []

    def get_then_happen(client: VapiClient, session_id: str) -> Fetched:
        answer = get_session(client, session_id)
        if events:
            events.pop()()
        return answer

    monkeypatch.setattr(VapiClient, "get_session", get_then_happen)
    yield events.append
    assert not events, "no GET was made"


def _set(edit: Edit, **columns: object) -> None:
    Edit.objects.filter(pk=edit.pk).update(**columns)
