"""What becomes an edit, what it is compared with later, and which pending edit it replaces."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError

from sessions_app.edits.push import push_due
from sessions_app.edits.queue import SubmissionReused, base_digest, queue_edit, shown_values
from sessions_app.edits.validation import NothingChanged
from sessions_app.models import Edit, Session
from tests.sandbox_process import SandboxProcess

pytestmark = pytest.mark.django_db(transaction=True)

Queue = Callable[..., Edit]


def state_of(edit: Edit) -> str:
    return Edit.objects.get(pk=edit.pk).state


def test_an_edit_holds_what_differs_and_its_base(queue: Queue, session: Session, editor: User) -> None:
    edit = queue(name="After", status="active", expirationSeconds=86_400, author=editor)

    edit.refresh_from_db()
    assert (edit.state, edit.session_id, edit.author) == ("queued", session.pk, editor)
    assert edit.base == {"name": "Before"}
    assert edit.fields == {"name": "After"}


def test_nothing_reaches_vapi_before_the_push(sandbox: SandboxProcess, queue: Queue) -> None:
    queue(name="After")
    assert sandbox.journal() == []


def test_what_a_form_shows_includes_what_is_pending(queue: Queue, session: Session) -> None:
    assert shown_values(session) == {"name": "Before", "status": "active", "expirationSeconds": None}
    before = base_digest(shown_values(session))

    queue(name="After")

    assert shown_values(session)["name"] == "After"
    assert base_digest(shown_values(session)) != before


def test_the_base_is_what_was_shown_not_what_is_mirrored_now(
    sandbox: SandboxProcess, queue: Queue, session: Session
) -> None:
    stale = shown_values(session)
    Session.objects.filter(pk=session.pk).update(name="Mirrored since")
    sandbox.change("sessions", session.pk, {"name": "Mirrored since"})

    edit = queue(base=stale, name="After")

    assert edit.base == {"name": "Before"}
    push_due()
    assert state_of(edit) == "conflict"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "x" * 41),
        ("name", 5),
        ("name", "nul \x00"),
        ("name", "lone \ud800"),
        ("name", "https://[redacted]@example.com"),
        ("status", "dormant"),
        ("status", None),
        ("status", ["active"]),
        ("expirationSeconds", 59),
        ("expirationSeconds", 2_592_001),
        ("expirationSeconds", 60.5),
        ("expirationSeconds", float("inf")),
        ("expirationSeconds", "3600"),
        ("expirationSeconds", True),
        ("messages", []),
        ("orgId", "other"),
    ],
)
def test_what_vapi_refuses_is_refused_beside_its_field(queue: Queue, field: str, value: object) -> None:
    with pytest.raises(ValidationError) as refusal:
        queue(name="Fine", **{field: value}) if field != "name" else queue(name=value)

    assert list(refusal.value.message_dict) == [field]
    assert not Edit.objects.exists()


@pytest.mark.parametrize(
    ("field", "value", "kept"),
    [
        ("name", "ü" * 40, "ü" * 40),
        ("name", None, ""),
        ("expirationSeconds", 60, 60),
        ("expirationSeconds", 2_592_000, 2_592_000),
        ("expirationSeconds", 3600.0, 3600),
    ],
)
def test_what_vapi_takes(queue: Queue, field: str, value: object, kept: object) -> None:
    assert queue(**{field: value}).fields == {field: kept}


def test_a_value_unknown_to_us_may_stay(queue: Queue) -> None:
    edit = queue(base={"name": "Before", "status": "dormant"}, name="After", status="dormant")
    assert edit.fields == {"name": "After"}


@pytest.mark.parametrize("fields", [{}, {"name": "Before"}, {"status": "active", "expirationSeconds": None}])
def test_an_edit_that_changes_nothing(queue: Queue, fields: dict[str, object]) -> None:
    with pytest.raises(NothingChanged):
        queue(**fields)


def test_the_same_submission_twice_is_one_edit(session: Session, editor: User) -> None:
    submission: dict[str, Any] = {
        "session": session,
        "base": shown_values(session),
        "fields": {"name": "After"},
        "source": "admin",
        "author": editor,
        "submission_key": uuid4(),
    }
    first, second = queue_edit(**submission), queue_edit(**submission)

    assert first.pk == second.pk
    assert Edit.objects.count() == 1


def test_a_submission_key_of_something_else_is_refused(session: Session, editor: User, viewer: User) -> None:
    submission: dict[str, Any] = {
        "session": session,
        "base": shown_values(session),
        "source": "admin",
        "submission_key": uuid4(),
    }
    queue_edit(**submission, fields={"name": "After"}, author=editor)

    with pytest.raises(SubmissionReused):
        queue_edit(**submission, fields={"name": "Other"}, author=editor)
    with pytest.raises(SubmissionReused):
        queue_edit(**submission, fields={"name": "After"}, author=viewer)
    assert Edit.objects.count() == 1


def test_a_second_edit_supersedes_a_queued_first(
    sandbox: SandboxProcess, queue: Queue, editor: User, administrator: User
) -> None:
    first = queue(name="After", author=editor)
    second = queue(name="Later", author=administrator)

    first.refresh_from_db()
    assert (first.state, first.superseded_by) == ("superseded", second)
    assert second.base == {"name": "Before"}, "the first was never sent"

    push_due()
    assert state_of(second) == "applied"
    assert [patch["body"] for patch in sandbox.journal("PATCH")] == [{"name": "Later"}]


def test_two_quick_edits_from_one_page_by_one_person(
    sandbox: SandboxProcess, queue: Queue, session: Session, editor: User
) -> None:
    page = shown_values(session)
    first = queue(base=page, name="After", author=editor)
    second = queue(base=page, name="Later", author=editor)

    push_due()
    assert (state_of(first), state_of(second)) == ("superseded", "applied")
    assert len(sandbox.journal("PATCH")) == 1


def test_a_pending_edit_that_was_not_shown_is_not_overwritten(
    queue: Queue, session: Session, editor: User, administrator: User
) -> None:
    page = shown_values(session)
    first = queue(base=page, name="After", author=editor)
    second = queue(base=page, name="Later", author=administrator)

    push_due()
    assert (state_of(first), state_of(second)) == ("applied", "conflict")


def test_what_is_not_superseded_of_an_edit_is_still_sent(
    sandbox: SandboxProcess, queue: Queue, editor: User, administrator: User
) -> None:
    first = queue(name="After", status="completed", author=editor)
    second = queue(name="Later", author=administrator)

    rest = Edit.objects.exclude(pk__in=[first.pk, second.pk]).get()
    assert (rest.fields, rest.author) == ({"status": "completed"}, editor)
    push_due()
    assert (state_of(first), state_of(second), state_of(rest)) == ("superseded", "applied", "applied")
    assert sorted(next(iter(patch["body"])) for patch in sandbox.journal("PATCH")) == ["name", "status"]


def test_an_edit_that_may_have_left_is_followed_not_superseded(
    sandbox: SandboxProcess, queue: Queue, make_due: Callable[[Edit], None]
) -> None:
    first = queue(name="After")
    sandbox.fault("lost:method=PATCH,count=1;429:method=GET,skip=1,count=1,retry_after=60")
    push_due()

    second = queue(name="Later")

    assert (state_of(first), second.base) == ("queued", {"name": "After"})
    make_due(first)
    push_due()
    assert (state_of(first), state_of(second)) == ("applied", "applied")
    assert [patch["body"]["name"] for patch in sandbox.journal("PATCH")] == ["After", "Later"]


def test_changing_a_pending_edit_back_sends_nothing(sandbox: SandboxProcess, queue: Queue) -> None:
    queue(name="After")
    back = queue(name="Before")

    push_due()
    assert state_of(back) == "applied"
    assert sandbox.journal("PATCH") == []
