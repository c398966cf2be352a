"""A worker killed in the middle of anything: nothing is lost, and nothing is sent twice to a different effect."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from sessions_app.mirror.sync import sync_organization
from sessions_app.models import Edit, Lease, Organization, Session, SyncRun, SyncWindow
from sessions_app.models.edits import EditState
from sessions_app.models.runs import RunState, Stream
from tests.mirror.truth import assert_mirror_equals
from tests.sandbox_process import SandboxProcess
from tests.worker_process import WorkerProcess, wait_until

pytestmark = pytest.mark.django_db(transaction=True)
LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)
Start = Callable[[], WorkerProcess]


def test_killed_during_a_sync(
    start_sandbox: Callable[..., SandboxProcess], organization: Organization, start_worker: Start
) -> None:
    sandbox = start_sandbox(sessions=3000)
    Organization.objects.update(base_url=sandbox.url)
    organization.refresh_from_db()
    sandbox.fault("latency:ms=150")
    worker = start_worker()
    worker.send("sync_stream", organization.pk, Stream.SESSIONS)
    wait_until(lambda: SyncRun.objects.filter(seen__gt=0, state=RunState.RUNNING).exists(), 60)

    worker.kill()

    assert SyncRun.objects.get().state == RunState.RUNNING
    sandbox.fault("")
    # The minute that a lease lasts goes by.
    Lease.objects.update(expires_at=LONG_AGO)
    SyncWindow.objects.update(expires_at=LONG_AGO)
    successor = start_worker()
    successor.send("sweep")
    successor.send("sync_stream", organization.pk, Stream.SESSIONS)
    successor.send("sync_stream", organization.pk, Stream.CHATS)
    wait_until(
        lambda: (
            set(SyncRun.objects.filter(state=RunState.SUCCEEDED).values_list("stream", flat=True))
            == {"sessions", "chats"}
        ),
        90,
    )
    assert not SyncRun.objects.filter(state=RunState.RUNNING).exists()
    assert SyncRun.objects.filter(state=RunState.FAILED, error__contains="died").count() == 1
    assert_mirror_equals(sandbox, organization)


@pytest.mark.parametrize("fault", ["latency:method=PATCH,ms=2500", "latency:method=GET,ms=2500"])
def test_killed_during_a_push(
    start_sandbox: Callable[..., SandboxProcess], organization: Organization, start_worker: Start, fault: str
) -> None:
    # One of its own: what a killed worker sent may be carried out after the test, and must not reach another.
    sandbox = start_sandbox()
    Organization.objects.update(base_url=sandbox.url)
    organization.refresh_from_db()
    sync_organization(organization)
    session = Session.objects.filter(name="").order_by("id").first() or Session.objects.order_by("id")[0]
    edit = Edit.objects.create(
        organization=organization,
        session_id=session.id,
        base={"name": session.name},
        fields={"name": "set by hand"},
        next_attempt_at=LONG_AGO,
    )
    sandbox.fault(fault)
    before = len(sandbox.journal())
    worker = start_worker()
    worker.send("push_edit", edit.pk)
    method = "PATCH" if "PATCH" in fault else "GET"
    wait_until(lambda: _is_under_way(edit, sandbox, method, before))

    worker.kill()

    sandbox.fault("")
    # The time that a claim lasts goes by.
    Edit.objects.update(claimed_until=LONG_AGO)
    successor = start_worker()
    successor.send("sweep")
    wait_until(lambda: Edit.objects.get(pk=edit.pk).state == EditState.APPLIED)
    remote = next(row for row in sandbox.truth("sessions") if row["id"] == session.id)
    assert remote["name"] == Session.objects.get(pk=session.pk).name == "set by hand"
    bodies = [entry["body"] for entry in sandbox.journal("PATCH")]
    assert 1 <= len(bodies) <= 2
    assert all(body == {"name": "set by hand"} for body in bodies)


def _is_under_way(edit: Edit, sandbox: SandboxProcess, method: str, before: int) -> bool:
    """The edit is claimed, and a request of its push has reached Vapi and waits for its answer."""
    sending = Edit.objects.filter(pk=edit.pk, state=EditState.SENDING).exists()
    return sending and any(entry["method"] == method for entry in sandbox.journal()[before:])
