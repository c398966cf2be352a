"""Turns that say the same: a correction of one never reaches another, and what cannot be told apart is a conflict."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from sessions_app.edits.message_edits import StaleMessage, queue_messages
from sessions_app.edits.push import push_edit
from sessions_app.edits.queue import Making
from sessions_app.edits.settle import resolve_conflict, undo
from sessions_app.edits.turns import WITHHELD, digest_of
from sessions_app.mirror.refetch import refetch_session
from sessions_app.models import Edit, Organization, Session
from tests.sandbox_process import SandboxProcess

pytestmark = pytest.mark.django_db(transaction=True)

Say = Callable[..., Session]
Said = Callable[[], list[str]]


@pytest.fixture
def say(sandbox: SandboxProcess, organization: Organization, session: Session) -> Say:
    """say("Hello", "Yes."): the session's turns at Vapi, mirrored unless `seen=False`."""

    def change(*words: str, seen: bool = True) -> Session:
        turns = [{"role": "user", "content": one} for one in words]
        sandbox.change("sessions", session.pk, {"messages": turns})
        return (refetch_session(organization, session.pk) if seen else None) or session

    return change


@pytest.fixture
def said(sandbox: SandboxProcess, session: Session) -> Said:
    return lambda: [turn["content"] for turn in sandbox.truth_of(session.pk)["messages"]]


def correct(session: Session, *operations: tuple[str, int], **more: Any) -> Edit:
    wanted = [{"do": do, "position": place, "text": "New", **more} for do, place in operations]
    return queue_messages(session, wanted, Making("admin"))


def test_a_turn_that_moved_is_found_where_it_is_the_only_one(say: Say, said: Said) -> None:
    edit = correct(say("Hello", "Yes.", "Bye"), ("redact", 1))
    say("Yes.", "Bye", seen=False)
    assert push_edit(edit.pk) == "applied"
    assert said() == [WITHHELD, "Bye"]


def test_a_turn_that_is_gone_is_not_taken_for_its_twin(say: Say, said: Said) -> None:
    edit = correct(say("Yes.", "Hello", "Yes."), ("redact", 0))
    say("Hello", "Yes.", seen=False)
    assert push_edit(edit.pk) == "conflict"
    assert said() == ["Hello", "Yes."]


def test_a_redaction_by_another_is_not_taken_for_ours(say: Say, said: Said) -> None:
    """All that was redacted looks alike: that somebody redacted another turn does not make ours done."""
    edit = correct(say("Mine", "Theirs"), ("redact", 0))
    say("Worded anew", WITHHELD, seen=False)
    assert push_edit(edit.pk) == "conflict"


def test_an_undo_does_not_restore_words_into_another_turn(say: Say, said: Said) -> None:
    edit = correct(say("One", "Hello", "Two"), ("redact", 0), ("redact", 2))
    assert push_edit(edit.pk) == "applied"
    edit.refresh_from_db()
    say("Hello", WITHHELD)
    assert push_edit(undo(edit).pk) == "conflict"
    assert said() == ["Hello", WITHHELD]


def test_two_corrections_cannot_be_settled_on_one_turn(say: Say, said: Said) -> None:
    edit = correct(say("One", "Two"), ("redact", 1), ("remove", 0))
    say("Two", seen=False)
    assert push_edit(edit.pk) == "conflict"
    edit.refresh_from_db()
    with pytest.raises(ValidationError, match="only theirs can stand"):
        resolve_conflict(edit, {"messages": "mine"})
    assert push_edit(resolve_conflict(edit, {"messages": "theirs"}).pk) == "applied"
    assert said() == [WITHHELD]


def test_a_page_that_shows_the_turn_elsewhere_is_stale(say: Say) -> None:
    """Of two that say the same it cannot be told which was shown."""
    shown = digest_of({"role": "user", "content": "Yes."})
    session = say("Hello", "Yes.")
    with pytest.raises(StaleMessage):
        correct(session, ("redact", 0), digest=shown)
    assert correct(session, ("redact", 1), digest=shown).pk
