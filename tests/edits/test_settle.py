"""What people decide: conflicts field by field, edits withdrawn, edits tried again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError

from sessions_app.edits.push import push_due, push_edit
from sessions_app.edits.settle import resolve_conflict, retry, withdraw
from sessions_app.edits.standing import describe_standing
from sessions_app.edits.states import EditMoved
from sessions_app.models import Edit, Session
from tests.sandbox_process import SandboxProcess

pytestmark = pytest.mark.django_db(transaction=True)

Queue = Callable[..., Edit]
Remote = Callable[[], Any]


@pytest.fixture
def conflict(sandbox: SandboxProcess, session: Session, queue: Queue, editor: User) -> Edit:
    """Mine: After, completed. Theirs: Theirs, and the status did not move."""
    edit = queue(name="After", status="completed", author=editor)
    sandbox.change("sessions", session.pk, {"name": "Theirs"})
    assert push_edit(edit.pk) == "conflict"
    edit.refresh_from_db()
    return edit


def test_send_mine(conflict: Edit, remote: Remote, administrator: User) -> None:
    new = resolve_conflict(conflict, {"name": "mine"}, administrator)

    assert (new.state, new.author) == ("queued", administrator)
    assert new.base == {"name": "Theirs", "status": "active"}
    assert push_edit(new.pk) == "applied"
    assert (remote()["name"], remote()["status"]) == ("After", "completed")
    conflict.refresh_from_db()
    assert (conflict.state, conflict.superseded_by) == ("superseded", new)


def test_take_theirs_sends_what_did_not_collide(
    sandbox: SandboxProcess, conflict: Edit, remote: Remote, editor: User
) -> None:
    new = resolve_conflict(conflict, {"name": "theirs"}, editor)

    assert push_edit(new.pk) == "applied"
    assert (remote()["name"], remote()["status"]) == ("Theirs", "completed")
    assert [patch["body"] for patch in sandbox.journal("PATCH")] == [{"status": "completed"}]


def test_take_theirs_where_nothing_is_left_ends_the_edit(
    sandbox: SandboxProcess, session: Session, queue: Queue, editor: User
) -> None:
    edit = queue(name="After")
    sandbox.change("sessions", session.pk, {"name": "Theirs"})
    push_edit(edit.pk)
    edit.refresh_from_db()

    ended = resolve_conflict(edit, {"name": "theirs"}, editor)

    assert (ended.pk, ended.state) == (edit.pk, "withdrawn")
    assert push_due() == 0
    assert sandbox.journal("PATCH") == []


def test_a_third_value(conflict: Edit, remote: Remote, editor: User) -> None:
    new = resolve_conflict(conflict, {"name": {"value": "Both"}}, editor)

    assert push_edit(new.pk) == "applied"
    assert remote()["name"] == "Both"


def test_theirs_moved_again_is_a_conflict_again(
    sandbox: SandboxProcess, conflict: Edit, session: Session, remote: Remote, editor: User
) -> None:
    new = resolve_conflict(conflict, {"name": "mine"}, editor)
    sandbox.change("sessions", session.pk, {"name": "Theirs again"})

    assert push_edit(new.pk) == "conflict"
    assert remote()["name"] == "Theirs again"


@pytest.mark.parametrize(
    ("choices", "field"),
    [
        ({}, "name"),
        ({"name": "ours"}, "name"),
        ({"name": {"value": "x" * 41}}, "name"),
        ({"name": "mine", "status": "mine"}, "status"),
        ({"name": None}, "name"),
    ],
)
def test_choices_that_settle_nothing(conflict: Edit, choices: dict[str, object], field: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        resolve_conflict(conflict, choices)

    assert list(refusal.value.message_dict) == [field]
    assert Edit.objects.get().state == "conflict"


def test_a_conflict_is_settled_once(conflict: Edit, editor: User) -> None:
    stale = Edit.objects.get(pk=conflict.pk)
    resolve_conflict(conflict, {"name": "mine"}, editor)

    with pytest.raises(EditMoved):
        resolve_conflict(stale, {"name": "theirs"}, editor)
    with pytest.raises(EditMoved):
        withdraw(stale, editor)
    assert Edit.objects.count() == 2


def test_a_conflict_holds_back_only_edits_of_its_fields(
    sandbox: SandboxProcess, conflict: Edit, queue: Queue
) -> None:
    held, free = queue(name="Later"), queue(expirationSeconds=600)

    assert push_edit(held.pk) == "queued"
    push_due()

    held.refresh_from_db()
    free.refresh_from_db()
    assert (held.state, held.claim_number, free.state) == ("queued", 0, "applied")
    assert [patch["body"] for patch in sandbox.journal("PATCH")] == [{"expirationSeconds": 600}]
    assert describe_standing(held) == "Waiting until the conflict of an earlier edit is settled."


def test_an_edit_behind_a_conflict_follows_what_was_settled(
    sandbox: SandboxProcess, session: Session, queue: Queue, remote: Remote, editor: User, administrator: User
) -> None:
    first = queue(name="After", author=editor)
    Edit.objects.filter(pk=first.pk).update(state="sending")
    behind = queue(name="Later", author=administrator)
    Edit.objects.filter(pk=first.pk).update(state="queued")
    sandbox.change("sessions", session.pk, {"name": "Theirs"})
    push_due()
    first.refresh_from_db()
    assert first.state == "conflict"

    resolve_conflict(first, {"name": "mine"}, editor)
    push_due()

    assert [patch["body"]["name"] for patch in sandbox.journal("PATCH")] == ["After", "Later"]
    assert remote()["name"] == "Later"
    behind.refresh_from_db()
    assert behind.superseded_by is not None
    assert (behind.superseded_by.state, behind.superseded_by.author) == ("applied", administrator)


def test_a_queued_edit_is_withdrawn(sandbox: SandboxProcess, queue: Queue, editor: User) -> None:
    edit = queue(name="After")

    assert withdraw(edit, editor).state == "withdrawn"

    assert push_due() == 0
    assert push_edit(edit.pk) == "withdrawn"
    assert sandbox.journal() == []


def test_an_edit_that_left_is_not_withdrawn(sandbox: SandboxProcess, queue: Queue, editor: User) -> None:
    edit = queue(name="After")
    page = Edit.objects.get(pk=edit.pk)
    push_due()

    with pytest.raises(EditMoved, match="applied"):
        withdraw(page, editor)
    assert Edit.objects.get().state == "applied"


def test_an_edit_whose_answer_was_lost_is_not_withdrawn(
    sandbox: SandboxProcess, queue: Queue, editor: User
) -> None:
    edit = queue(name="After")
    sandbox.fault("lost:method=PATCH;429:method=GET,skip=1,retry_after=60")
    push_due()
    edit.refresh_from_db()

    with pytest.raises(EditMoved, match="may have reached Vapi"):
        withdraw(edit, editor)
    assert Edit.objects.get().state == "queued"


def test_one_that_was_given_up_is_tried_again(
    sandbox: SandboxProcess, queue: Queue, remote: Remote, editor: User
) -> None:
    edit = queue(name="After")
    Edit.objects.filter(pk=edit.pk).update(attempts=39)
    sandbox.fault("503:method=PATCH,count=1")
    push_due()
    edit.refresh_from_db()
    assert edit.state == "failed"

    new = retry(edit, editor)

    assert push_edit(new.pk) == "applied"
    assert remote()["name"] == "After"
    with pytest.raises(EditMoved):
        retry(edit, editor)


def test_an_edit_behind_a_held_one_of_its_field_waits_too(
    sandbox: SandboxProcess, conflict: Edit, queue: Queue, editor: User
) -> None:
    Edit.objects.filter(pk=conflict.pk).update(fields={"name": "After"})
    queue(base={"name": "Theirs", "expirationSeconds": None}, name="Later", expirationSeconds=600)
    behind = queue(expirationSeconds=900, author=editor, base={"expirationSeconds": 300})

    push_due()

    behind.refresh_from_db()
    assert (behind.state, behind.attempts) == ("queued", 0)
