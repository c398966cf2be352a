"""What is told of, once: outcomes of edits as they reach Vapi, bulks as a whole, pauses."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.db.models import Q

from sessions_app.edits import bulk as bulks
from sessions_app.edits import settle, states
from sessions_app.edits.push import MOST_ATTEMPTS, push_edit
from sessions_app.mirror.pauses import pausing, take_up_again
from sessions_app.mirror.sync import sync_organization
from sessions_app.models import BulkEdit, Channel, Delivery, Edit, Notice, Organization, Session
from sessions_app.models.edits import EditState
from sessions_app.notices.causes import note_edit
from sessions_app.vapi.errors import Refused
from tests.admin.rows import mirror_session
from tests.edits.conftest import Queue, expire_claim, make_due, queue, remote, session
from tests.sandbox_process import SandboxProcess

__all__ = ["expire_claim", "make_due", "queue", "remote", "session"]

pytestmark = pytest.mark.django_db(transaction=True)

Make = Callable[..., Channel]


def told() -> list[tuple[str, str]]:
    """(cause, channel) of every delivery."""
    rows = Delivery.objects.order_by("pk")
    return list(rows.values_list("notice__cause", "channel__name"))


def end(edit: Edit, to: EditState, answer: Exception | int | None = None) -> None:
    """Bring a queued edit to an outcome as a worker does."""
    assert states.claim(edit, unless=Q(pk=0))
    states.settle(edit, to, answer)


# Edits -----------------------------------------------------------------------------------------------


def test_a_rejected_edit_is_told_with_ids_and_names_alone(
    sandbox: SandboxProcess, queue: Queue, editor: User, make_channel: Make
) -> None:
    make_channel("slack", name="Team")
    edit = queue(name="A private name", author=editor)
    sandbox.fault("400:method=PATCH,count=1,message=name A private name is bad")

    assert push_edit(edit.pk) == "rejected"

    [notice] = Notice.objects.all()
    assert (notice.cause, notice.edit_id, notice.edit_state, notice.person_id) == (
        "edit.rejected",
        edit.pk,
        "rejected",
        editor.pk,
    )
    assert notice.facts == {
        "session_id": edit.session_id,
        "kind": "update",
        "fields": ["name"],
        "author": "editor",
        "attempts": 1,
        "status": 400,
    }
    assert told() == [("edit.rejected", "Team")]


def test_each_outcome_and_no_other_state(
    sandbox: SandboxProcess, queue: Queue, session: Session, editor: User, make_due: Callable[[Edit], None]
) -> None:
    applied = queue(name="After", author=editor)
    assert push_edit(applied.pk) == "applied"
    sandbox.change("sessions", session.pk, {"name": "Theirs"})
    conflict = queue(name="Mine", author=editor)
    assert push_edit(conflict.pk) == "conflict"
    withdrawn = queue(status="completed", author=editor)
    settle.withdraw(withdrawn, editor)
    failing = queue(expirationSeconds=600, author=editor)
    sandbox.fault("503:method=GET")
    for _ in range(3):
        make_due(failing)
        assert push_edit(failing.pk) == "queued"
    Edit.objects.filter(pk=failing.pk).update(attempts=MOST_ATTEMPTS - 1)
    make_due(failing)
    assert push_edit(failing.pk) == "failed"

    found = Notice.objects.order_by("pk").values_list("edit_id", "cause", "facts__status")
    assert list(found) == [
        (applied.pk, "edit.applied", 200),
        (conflict.pk, "edit.conflict", 200),
        (failing.pk, "edit.failed", 503),
    ]


def test_a_cause_is_told_once(queue: Queue, editor: User, make_channel: Make) -> None:
    make_channel()
    edit = queue(name="After", author=editor)
    end(edit, EditState.FAILED)
    note_edit(edit, EditState.FAILED)
    assert len(told()) == 1

    again = settle.retry(edit, editor)
    end(again, EditState.FAILED)
    assert len(told()) == 2, "who tried again hears what came of it"


def test_a_notice_stands_or_falls_with_its_cause(
    queue: Queue, editor: User, make_channel: Make, expire_claim: Callable[[Edit], None]
) -> None:
    make_channel()
    edit = queue(name="After", author=editor)
    assert states.claim(edit, unless=Q(pk=0))
    Edit.objects.filter(pk=edit.pk).update(claim_number=99)
    with pytest.raises(states.ClaimLost):
        states.settle(edit, EditState.FAILED)
    assert not Notice.objects.exists()


def test_who_is_told(
    queue: Queue, editor: User, ops: User, make_channel: Make, organization: Organization
) -> None:
    elsewhere = Organization.objects.create(slug="other", name="Other", is_sandbox=True)
    make_channel("email", name="mine", owner=editor)
    make_channel("email", name="somebody else's", owner=ops)
    make_channel(name="shared")
    make_channel(name="of this organization", organization=organization)
    make_channel(name="of another", organization=elsewhere)
    make_channel(name="of conflicts alone", topics=["conflict"])
    make_channel(name="switched off", is_enabled=False)
    end(queue(name="After", author=editor), EditState.REJECTED, 400)

    assert [name for _, name in told()] == ["mine", "shared", "of this organization"]

    end(queue(name="Later"), EditState.CONFLICT)
    assert [name for _, name in told()][3:] == ["shared", "of this organization", "of conflicts alone"]


def test_an_applied_edit_of_no_person_is_no_news(queue: Queue, make_channel: Make) -> None:
    make_channel()
    end(queue(name="After"), EditState.APPLIED, 200)
    assert not Notice.objects.exists()


# Bulks -----------------------------------------------------------------------------------------------


def begin_bulk(organization: Organization, author: User, count: int) -> tuple[BulkEdit, list[Edit]]:
    ids = [mirror_session(organization, f"s{number:03}", name="Before").pk for number in range(count)]
    bulk = bulks.preview(organization, ids, {"name": "After"}, author)
    bulks.confirm(bulk, author, "Tidy")
    bulks.advance(bulk.pk)
    return bulk, list(Edit.objects.filter(bulk=bulk).order_by("pk"))


def test_a_bulk_is_one_notice_with_counts(organization: Organization, ops: User, make_channel: Make) -> None:
    make_channel(name="all")
    make_channel(name="of conflicts alone", topics=["conflict"])
    bulk, edits = begin_bulk(organization, ops, 40)
    for number, edit in enumerate(edits):
        end(
            edit, EditState.FAILED if number < 9 else EditState.REJECTED if number < 12 else EditState.APPLIED
        )
    assert not Notice.objects.exists()

    bulks.finish(bulk.pk)
    bulks.finish(bulk.pk)

    [notice] = Notice.objects.all()
    assert (notice.cause, notice.bulk_id, notice.person_id) == ("bulk.ended", bulk.pk, ops.pk)
    assert notice.facts["counts"] == {"applied": 28, "rejected": 3, "failed": 9}
    assert told() == [("bulk.ended", "all")]

    assert bulks.retry_failed(bulk, ops) == 12
    for edit in Edit.objects.filter(bulk=bulk, state="queued"):
        end(edit, EditState.APPLIED)
    bulks.finish(bulk.pk)
    assert Notice.objects.latest("pk").facts["counts"] == {"applied": 40}
    assert len(told()) == 1, "it is all well now: the page tells, and nothing else"


def test_an_edit_of_a_bulk_that_has_ended_is_told_by_itself(
    organization: Organization, ops: User, make_channel: Make
) -> None:
    make_channel()
    bulk, [edit] = begin_bulk(organization, ops, 1)
    assert states.claim(edit, unless=Q(pk=0))
    states.settle(edit, EditState.CONFLICT, theirs={"name": "Theirs"})
    bulks.finish(bulk.pk)
    end(settle.resolve_conflict(edit, {"name": "mine"}, ops), EditState.REJECTED, 400)

    assert [cause for cause, _ in told()] == ["bulk.ended", "edit.rejected"]


def test_a_second_person_is_called_and_the_first_hears_of_a_refusal(
    organization: Organization, administrator: User, make_person: Callable[..., User], make_channel: Make
) -> None:
    second = make_person("second", group="Administrators")
    editor = make_person("somebody", group="Support")
    for person in (administrator, second, editor):
        make_channel("email", name=person.username, owner=person)
    make_channel(name="shared")
    session = mirror_session(organization)
    bulk = bulks.preview(organization, [session.pk], {"delete": True}, administrator)
    bulks.confirm(bulk, administrator, "Test calls")
    assert told() == [("bulk.awaiting", "second"), ("bulk.awaiting", "shared")]

    bulks.refuse(bulk, second, "Not this one")
    refusal = Notice.objects.latest("pk")
    assert (refusal.cause, refusal.person) == ("bulk.refused", administrator)
    assert len(told()) == 2


# Organizations ---------------------------------------------------------------------------------------


def refuse(organization: Organization, status: int) -> None:
    with pytest.raises(Refused), pausing(organization):
        raise Refused("GET", "/session", status)


def test_a_pause_and_its_end_are_told_once_each(
    sandbox: SandboxProcess, organization: Organization, ops: User, make_channel: Make
) -> None:
    make_channel("email", name="mine", owner=ops)
    make_channel(name="not of it", topics=["failed"])
    refuse(organization, 401)
    refuse(Organization.objects.get(), 401)
    take_up_again(Organization.objects.get())
    take_up_again(Organization.objects.get())

    assert told() == [("organization.paused", "mine"), ("organization.resumed", "mine")]
    assert Notice.objects.earliest("pk").facts == {"status": 401}

    refuse(Organization.objects.get(), 402)
    assert len(told()) == 3, "another pause is another cause"


def test_a_pause_is_told_when_a_sync_is_refused(
    sandbox: SandboxProcess, organization: Organization, make_channel: Make
) -> None:
    make_channel()
    sandbox.fault("402:path=/session,count=1")
    sync_organization(organization)
    assert [cause for cause, _ in told()] == ["organization.paused"]
