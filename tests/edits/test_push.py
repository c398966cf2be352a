"""One edit on its way: what reached the simulated Vapi, what came back, and where the edit ended."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection, transaction

from sessions_app.edits.push import patch_of, push_edit
from sessions_app.models import Edit, Organization, Session
from sessions_app.vapi import VapiClient
from tests.sandbox_process import SandboxProcess

pytestmark = pytest.mark.django_db(transaction=True)

Queue = Callable[..., Edit]
Remote = Callable[[], Any]
Do = Callable[[Edit], None]


def requests_of(sandbox: SandboxProcess) -> list[str]:
    return [entry["method"] for entry in sandbox.journal()]


def test_an_edit_is_applied_and_the_answer_mirrored(
    sandbox: SandboxProcess, session: Session, queue: Queue, remote: Remote
) -> None:
    edit = queue(name="After", status="completed")

    assert push_edit(edit.pk) == "applied"

    edit.refresh_from_db()
    session.refresh_from_db()
    assert (remote()["name"], remote()["status"]) == ("After", "completed")
    assert (session.name, session.status) == ("After", "completed")
    assert session.updated_at == datetime.fromisoformat(remote()["updatedAt"])
    assert requests_of(sandbox) == ["GET", "PATCH"]
    assert edit.settled_at and edit.sent_at and edit.attempts == 1 and edit.claimed_until is None


def test_patch_carries_only_what_changes(sandbox: SandboxProcess, session: Session, queue: Queue) -> None:
    edit = queue(name="After", status="active", expirationSeconds=3600)

    push_edit(edit.pk)

    (patch,) = sandbox.journal("PATCH")
    assert patch["body"] == {"name": "After", "expirationSeconds": 3600}
    assert patch_of(edit) == ("PATCH", f"/session/{session.pk}", patch["body"])
    assert patch["path"] == f"/session/{session.pk}"


def test_a_name_is_cleared(queue: Queue, remote: Remote) -> None:
    assert push_edit(queue(name=None).pk) == "applied"
    assert remote()["name"] == ""


def test_remote_already_mine_is_applied_without_a_patch(
    sandbox: SandboxProcess, session: Session, queue: Queue
) -> None:
    edit = queue(name="After")
    sandbox.change("sessions", session.pk, {"name": "After"})

    assert push_edit(edit.pk) == "applied"

    session.refresh_from_db()
    assert requests_of(sandbox) == ["GET"]
    assert session.name == "After"


def test_null_absent_and_default_are_equal(sandbox: SandboxProcess, session: Session, queue: Queue) -> None:
    edit = queue(expirationSeconds=3600)
    sandbox.change("sessions", session.pk, {"expirationSeconds": 86_400})

    assert push_edit(edit.pk) == "applied"


def test_a_field_that_moved_is_a_conflict(
    sandbox: SandboxProcess, session: Session, queue: Queue, remote: Remote
) -> None:
    edit = queue(name="After", status="completed")
    sandbox.change("sessions", session.pk, {"name": "Theirs"})

    assert push_edit(edit.pk) == "conflict"

    edit.refresh_from_db()
    session.refresh_from_db()
    assert edit.theirs == {"name": "Theirs"}
    assert requests_of(sandbox) == ["GET"]
    assert session.name == remote()["name"] == "Theirs"


def test_a_field_of_somebody_elses_is_left_alone(
    sandbox: SandboxProcess, session: Session, queue: Queue, remote: Remote
) -> None:
    edit = queue(name="After")
    sandbox.change("sessions", session.pk, {"status": "completed"})

    assert push_edit(edit.pk) == "applied"
    assert (remote()["name"], remote()["status"]) == ("After", "completed")


def test_a_refusal_keeps_vapis_words(
    sandbox: SandboxProcess, queue: Queue, remote: Remote, caplog: pytest.LogCaptureFixture
) -> None:
    edit = queue(name="After")
    Edit.objects.filter(pk=edit.pk).update(
        base={"status": "active"}, fields={"status": "dormant", "expirationSeconds": 5}
    )

    assert push_edit(edit.pk) == "rejected"

    edit.refresh_from_db()
    assert "status must be one of the following values: active, completed" in edit.error
    assert "expirationSeconds must not be less than 60" in edit.error
    assert edit.settled_at and edit.sent_at is None
    assert remote()["status"] == "active"
    assert "must" not in caplog.text


@pytest.mark.parametrize("status", [401, 402])
def test_a_refused_key_pauses_the_organization_and_the_edit_waits(
    sandbox: SandboxProcess, organization: Organization, queue: Queue, status: int
) -> None:
    edit = queue(name="After")
    sandbox.fault(f"{status}:method=PATCH")

    assert push_edit(edit.pk) == "queued"

    edit.refresh_from_db()
    organization.refresh_from_db()
    assert organization.paused_at is not None
    assert edit.error == f"sandbox is paused: {organization.paused_reason}"
    asked = requests_of(sandbox)
    Edit.objects.update(next_attempt_at=None)
    assert push_edit(edit.pk) == "queued"
    assert requests_of(sandbox) == asked


@pytest.mark.parametrize("status", [403, 409, 413])
def test_every_other_4xx_is_a_refusal(sandbox: SandboxProcess, queue: Queue, status: int) -> None:
    edit = queue(name="After")
    sandbox.fault(f"{status}:method=PATCH,message=Not like this")

    assert push_edit(edit.pk) == "rejected"

    edit.refresh_from_db()
    assert edit.error == "Not like this"
    assert requests_of(sandbox) == ["GET", "PATCH"]


def test_a_session_that_is_gone(sandbox: SandboxProcess, session: Session, queue: Queue) -> None:
    edit = queue(name="After")
    sandbox.change("sessions", session.pk, delete=True)

    assert push_edit(edit.pk) == "rejected"

    edit.refresh_from_db()
    session.refresh_from_db()
    assert "gone" in edit.error
    assert session.missing_since is not None and session.missing_reason == "gone"


@pytest.mark.parametrize("method", ["GET", "PATCH"])
def test_429_waits_as_long_as_vapi_asks(
    sandbox: SandboxProcess, queue: Queue, remote: Remote, make_due: Do, method: str
) -> None:
    edit = queue(name="After")
    sandbox.fault(f"429:method={method},retry_after=3600")

    assert push_edit(edit.pk) == "queued"

    edit.refresh_from_db()
    assert edit.next_attempt_at is not None
    assert timedelta(seconds=3590) < edit.next_attempt_at - datetime.now(UTC) <= timedelta(seconds=3600)
    assert edit.error == "Vapi asked us to wait (429)."
    assert edit.sent_at is None
    asked = len(sandbox.journal())
    assert push_edit(edit.pk) == "queued"
    assert len(sandbox.journal()) == asked, "it was not due"

    sandbox.fault("")
    make_due(edit)
    assert push_edit(edit.pk) == "applied"
    assert remote()["name"] == "After"


def test_5xx_is_tried_again_later_and_later(
    sandbox: SandboxProcess, queue: Queue, remote: Remote, make_due: Do
) -> None:
    edit = queue(name="After")
    sandbox.fault("503:method=PATCH")
    waits = []
    for _ in range(3):
        assert push_edit(edit.pk) == "queued"
        edit.refresh_from_db()
        assert edit.next_attempt_at is not None
        waits.append(round((edit.next_attempt_at - datetime.now(UTC)).total_seconds()))
        make_due(edit)
    assert waits == [5, 10, 20]
    assert edit.error == "Vapi had an error (503)."
    assert edit.sent_at is None, "Vapi said itself that it did nothing"

    sandbox.fault("")
    assert push_edit(edit.pk) == "applied"
    assert remote()["name"] == "After"


def test_an_edit_is_given_up_after_many_attempts(sandbox: SandboxProcess, queue: Queue) -> None:
    edit = queue(name="After")
    Edit.objects.filter(pk=edit.pk).update(attempts=39)
    sandbox.fault("503:method=PATCH")

    assert push_edit(edit.pk) == "failed"

    edit.refresh_from_db()
    assert edit.error == "Vapi had an error (503). Given up after 40 attempts."


@pytest.mark.parametrize("fault", ["lost", "reset", "truncated", "html200"])
def test_a_lost_answer_is_settled_by_a_look(
    sandbox: SandboxProcess, session: Session, queue: Queue, remote: Remote, fault: str
) -> None:
    edit = queue(name="After")
    sandbox.fault(f"{fault}:method=PATCH,count=1")
    carried_out = fault != "html200"

    state = push_edit(edit.pk)

    assert state == ("applied" if carried_out else "queued")
    assert requests_of(sandbox) == ["GET", "PATCH", "GET"]
    session.refresh_from_db()
    assert session.name == remote()["name"] == ("After" if carried_out else "Before")


def test_a_lost_answer_is_settled_later_when_the_look_fails_too(
    sandbox: SandboxProcess, session: Session, queue: Queue, make_due: Do
) -> None:
    edit = queue(name="After")
    sandbox.fault("lost:method=PATCH,count=1;429:method=GET,skip=1,retry_after=60")
    assert push_edit(edit.pk) == "queued"
    edit.refresh_from_db()
    assert edit.sent_at is not None, "it may have arrived"

    sandbox.fault("")
    make_due(edit)
    assert push_edit(edit.pk) == "applied"

    session.refresh_from_db()
    assert session.name == "After"
    assert len(sandbox.journal("PATCH")) == 1


def test_a_change_that_vapi_does_not_keep_is_not_called_applied(
    sandbox: SandboxProcess, session: Session, queue: Queue
) -> None:
    edit = queue(name="After")
    Edit.objects.filter(pk=edit.pk).update(fields={"name": None})

    assert push_edit(edit.pk) == "failed"

    edit.refresh_from_db()
    session.refresh_from_db()
    assert "did not keep it" in edit.error
    assert session.name == "Before"


def test_an_organization_without_a_key_waits(organization: Organization, queue: Queue) -> None:
    edit = queue(name="After")
    Organization.objects.update(api_key="")

    assert push_edit(edit.pk) == "queued"

    edit.refresh_from_db()
    assert "has no API key" in edit.error
    assert edit.next_attempt_at is not None


def test_no_request_passes_inside_a_transaction(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    request = VapiClient._request

    def look_and_request(client: VapiClient, method: str, *args: Any, **options: Any) -> Any:
        seen.append((method, connection.in_atomic_block))
        return request(client, method, *args, **options)

    monkeypatch.setattr(VapiClient, "_request", look_and_request)

    push_edit(queue(name="After").pk)

    assert seen == [("GET", False), ("PATCH", False)]


def test_a_push_inside_a_transaction_is_refused(sandbox: SandboxProcess, queue: Queue) -> None:
    edit = queue(name="After")
    with transaction.atomic(), pytest.raises(RuntimeError):
        push_edit(edit.pk)
    assert requests_of(sandbox) == []


@pytest.mark.parametrize("fault", ["", "503:method=PATCH", "lost:method=PATCH,count=1", "400:method=PATCH"])
def test_no_words_reach_the_logs(
    sandbox: SandboxProcess, session: Session, queue: Queue, caplog: pytest.LogCaptureFixture, fault: str
) -> None:
    caplog.set_level("DEBUG")
    edit = queue(name="Zanzibar", base={"name": "Before"})
    sandbox.fault(fault)

    push_edit(edit.pk)

    said = " ".join(f"{record.getMessage()} {record.__dict__}" for record in caplog.records)
    assert "edit moved" in said
    assert "Zanzibar" not in said and session.pk not in said and "sandbox-key" not in said
    edit.refresh_from_db()
    assert "Zanzibar" not in edit.error
