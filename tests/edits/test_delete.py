"""Deleting at Vapi: the row stays, stamped; what the person did not see is not deleted."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.core.exceptions import ValidationError

from sessions_app.edits import settle
from sessions_app.edits.deletions import check_typed, queue_delete
from sessions_app.edits.push import patch_of, push_due, push_edit
from sessions_app.edits.queue import Making
from sessions_app.edits.standing import describe_standing
from sessions_app.mirror.holds import release_hold, set_hold
from sessions_app.mirror.refetch import refetch_session
from sessions_app.models import Edit, LegalHold, Organization, Session
from tests.admin.rows import mirror_session
from tests.sandbox_process import SandboxProcess

pytestmark = pytest.mark.django_db(transaction=True)

Queue = Callable[..., Edit]
Do = Callable[[Edit], None]


def delete(session: Session) -> Edit:
    return queue_delete(session, Making("admin"))


def is_there(sandbox: SandboxProcess, session: Session) -> bool:
    return any(row["id"] == session.pk for row in sandbox.truth())


def test_it_is_deleted_and_the_row_stays(sandbox: SandboxProcess, session: Session) -> None:
    edit = delete(session)
    assert patch_of(edit) == ("DELETE", f"/session/{session.pk}", {})

    assert push_edit(edit.pk) == "applied"

    session.refresh_from_db()
    assert not is_there(sandbox, session)
    assert session.missing_since and session.missing_reason == "deleted" and session.name == "Before"


def test_gone_already_counts_as_done(sandbox: SandboxProcess, session: Session) -> None:
    edit = delete(session)
    sandbox.change("sessions", session.pk, delete=True)
    assert push_edit(edit.pk) == "applied"
    assert sandbox.journal("DELETE") == []
    session.refresh_from_db()
    assert session.missing_reason == "gone"


def test_gone_between_look_and_delete(
    sandbox: SandboxProcess, session: Session, after_first_get: Callable[..., None]
) -> None:
    edit = delete(session)
    after_first_get(lambda: sandbox.change("sessions", session.pk, delete=True))
    assert push_edit(edit.pk) == "applied"
    assert edit.transitions.order_by("-pk")[0].http_status == 404


@pytest.mark.parametrize("fault", ["lost:method=DELETE,count=1", "502:method=DELETE,count=1"])
def test_a_lost_answer(sandbox: SandboxProcess, session: Session, make_due: Do, fault: str) -> None:
    edit = delete(session)
    sandbox.fault(fault)
    state = push_edit(edit.pk)
    assert state == ("applied" if "lost" in fault else "queued")
    make_due(edit)
    push_edit(edit.pk)
    edit.refresh_from_db()
    assert edit.state == "applied" and not is_there(sandbox, session)


@pytest.mark.parametrize("choice", ["mine", "theirs"])
def test_what_went_on_meanwhile_is_a_conflict(sandbox: SandboxProcess, session: Session, choice: str) -> None:
    edit = delete(session)
    said = [{"role": "user", "content": "Still there?"}]
    sandbox.change("sessions", session.pk, {"messages": said, "name": "Theirs"})

    assert push_edit(edit.pk) == "conflict"
    edit.refresh_from_db()
    assert is_there(sandbox, session) and edit.theirs == {"name": "Theirs", "messages": 1}

    settled = settle.resolve_conflict(edit, dict.fromkeys(edit.theirs, choice))
    push_due()
    settled.refresh_from_db()
    assert settled.state == ("applied" if choice == "mine" else "withdrawn")
    assert is_there(sandbox, session) == (choice == "theirs")


def test_nothing_is_queued_behind_it(session: Session, queue: Queue) -> None:
    delete(session)
    with pytest.raises(ValidationError, match="about to be deleted"):
        queue(name="After")
    with pytest.raises(ValidationError, match="about to be deleted"):
        delete(session)


def test_it_waits_for_what_came_before(sandbox: SandboxProcess, session: Session, queue: Queue) -> None:
    first = queue(name="After")
    sandbox.change("sessions", session.pk, {"name": "Theirs"})
    push_edit(first.pk)
    last = delete(session)
    assert push_edit(last.pk) == "queued", "a conflict holds it back"
    first.refresh_from_db()
    settle.resolve_conflict(first, {"name": "theirs"})
    assert push_edit(last.pk) in {"applied", "conflict"}


def test_name_or_id_is_typed(session: Session) -> None:
    check_typed(session, session.pk)
    check_typed(session, " Before ")
    session.name = ""
    for typed in ("", "before", "yes"):
        with pytest.raises(ValidationError):
            check_typed(session, typed)


def hold(session: Session) -> LegalHold:
    return set_hold(session.organization, "session", session.pk, "court", "Grace")


def test_a_hold_that_is_set_while_it_waits_keeps_the_session(
    sandbox: SandboxProcess, session: Session
) -> None:
    edit = delete(session)
    hold(session)

    assert push_edit(edit.pk) == "rejected"

    edit.refresh_from_db()
    assert is_there(sandbox, session) and sandbox.journal("DELETE") == []
    assert "legal hold" in describe_standing(edit, fields_apart=True)


def test_neither_a_second_try_nor_a_settled_conflict_overrides_a_hold(
    sandbox: SandboxProcess, session: Session
) -> None:
    edit = delete(session)
    Edit.objects.update(state="failed")
    edit.refresh_from_db()
    hold(session)
    again = settle.retry(edit)
    sandbox.change("sessions", session.pk, {"name": "Theirs"})
    assert push_edit(again.pk) == "conflict"
    again.refresh_from_db()

    assert push_edit(settle.resolve_conflict(again, {"name": "mine"}).pk) == "rejected"
    assert is_there(sandbox, session)


@pytest.mark.parametrize("is_mirrored", [True, False])
def test_a_hold_of_the_customer_keeps_what_waits_too(
    sandbox: SandboxProcess, organization: Organization, session: Session, is_mirrored: bool
) -> None:
    sandbox.change("sessions", session.pk, {"customer": {"number": "+49 151 999-88877"}})
    refetch_session(organization, session.pk)
    edit = delete(session)
    if not is_mirrored:
        Session.objects.filter(pk=session.pk).delete()
    of_customer = set_hold(organization, "number", "+4915199988877", "court", "Grace")

    assert push_edit(edit.pk) == "rejected"
    assert is_there(sandbox, session)

    release_hold(of_customer, "settled", "Grace")
    Edit.objects.update(state="queued")
    assert push_edit(edit.pk) == "applied"


def test_of_a_held_customer_nothing_that_came_since_is_queued(organization: Organization) -> None:
    set_hold(organization, "email", "Ada@example.org", "court", "Grace")
    later = mirror_session(organization, "later", customer={"email": "ada@EXAMPLE.org"})
    with pytest.raises(ValidationError, match="legal hold"):
        delete(later)
    assert delete(mirror_session(organization, "another's")).state == "queued"
