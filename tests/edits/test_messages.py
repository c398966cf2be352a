"""Corrections of messages: which turn is meant, what is sent, and that turns which came meanwhile stay."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from sessions_app.edits.message_edits import queue_messages
from sessions_app.edits.push import push_edit
from sessions_app.edits.queue import Making
from sessions_app.edits.settle import resolve_conflict, undo
from sessions_app.edits.turns import WITHHELD
from sessions_app.mirror.refetch import refetch_session
from sessions_app.models import Edit, Organization, Session
from sessions_app.vapi import REDACTED
from tests.sandbox_process import SandboxProcess

pytestmark = pytest.mark.django_db(transaction=True)

Remote = Callable[[], Any]
Do = Callable[[Edit], None]
TALK: list[dict[str, Any]] = [
    {"role": "system", "content": "Be kind."},
    {"role": "user", "content": "My name is Ada."},
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {"id": "c1", "type": "function", "function": {"name": "find", "arguments": '{"apiKey": "hush"}'}}
        ],
    },
    {"role": "tool", "tool_call_id": "c1", "content": "found"},
    {"role": "assistant", "content": "Hello Ada."},
    {
        "role": "user",
        "message": "Bye",
        "time": 1769860000123.5,
        "secondsFromStart": 4.25,
        "endTime": 1,
        "duration": 1,
    },
]


@pytest.fixture
def talk(sandbox: SandboxProcess, organization: Organization, session: Session) -> Session:
    sandbox.change("sessions", session.pk, {"messages": TALK})
    found = refetch_session(organization, session.pk)
    assert found is not None
    sandbox.control("DELETE", "journal")
    return found


def correct(session: Session, *operations: dict[str, Any], **making: Any) -> Edit:
    return queue_messages(session, operations, Making("admin", **making))


def replace(position: int, text: str) -> dict[str, Any]:
    return {"do": "replace", "position": position, "text": text}


def test_a_message_is_replaced_and_the_rest_stays(
    sandbox: SandboxProcess, talk: Session, remote: Remote
) -> None:
    edit = correct(talk, replace(4, "Hello Grace."))

    assert push_edit(edit.pk) == "applied"

    assert remote()["messages"] == [*TALK[:4], {"role": "assistant", "content": "Hello Grace."}, TALK[5]]
    (patch,) = sandbox.journal("PATCH")
    assert set(patch["body"]) == {"messages"}
    talk.refresh_from_db()
    assert "Grace" in talk.stored_payload.payload_json


def test_secrets_go_back_as_they_came(talk: Session, remote: Remote) -> None:
    assert REDACTED in talk.stored_payload.payload_json
    push_edit(correct(talk, replace(1, "My name is Grace.")).pk)
    assert json.loads(remote()["messages"][2]["tool_calls"][0]["function"]["arguments"]) == {"apiKey": "hush"}


def test_a_secret_is_in_no_row(talk: Session) -> None:
    edit = correct(talk, {"do": "remove", "position": 2}, {"do": "remove", "position": 3})
    push_edit(edit.pk)
    assert "hush" not in str(Edit.objects.values())


def test_words_are_withheld_in_either_shape(talk: Session, remote: Remote) -> None:
    edit = correct(talk, {"do": "redact", "position": 1}, {"do": "redact", "position": 5})
    assert push_edit(edit.pk) == "applied"
    said = remote()["messages"]
    assert (said[1]["content"], said[5]["message"], said[5]["time"]) == (WITHHELD, WITHHELD, 1769860000123.5)


def test_messages_are_removed(talk: Session, remote: Remote) -> None:
    edit = correct(talk, *({"do": "remove", "position": place} for place in (1, 2, 3)))
    assert push_edit(edit.pk) == "applied"
    assert remote()["messages"] == [TALK[0], TALK[4], TALK[5]]


def test_a_turn_that_was_appended_while_the_edit_waited_stays(
    sandbox: SandboxProcess, talk: Session, remote: Remote
) -> None:
    edit = correct(talk, replace(4, "Hello Grace."), {"do": "remove", "position": 5})
    new = {"role": "user", "content": "One more thing."}
    sandbox.change("sessions", talk.pk, {"messages": [*TALK, new]})

    assert push_edit(edit.pk) == "applied"

    assert remote()["messages"] == [*TALK[:4], {"role": "assistant", "content": "Hello Grace."}, new]


def test_a_message_that_moved_is_found(sandbox: SandboxProcess, talk: Session, remote: Remote) -> None:
    edit = correct(talk, replace(4, "Hello Grace."))
    sandbox.change("sessions", talk.pk, {"messages": TALK[1:]})
    assert push_edit(edit.pk) == "applied"
    assert remote()["messages"][3]["content"] == "Hello Grace."


def test_a_message_that_changed_is_a_conflict_and_nothing_is_sent(
    sandbox: SandboxProcess, talk: Session, remote: Remote
) -> None:
    edit = correct(talk, replace(4, "Hello Grace."), replace(1, "My name is Grace."))
    theirs = [*TALK[:4], {"role": "assistant", "content": "Hello Lovelace."}, TALK[5]]
    sandbox.change("sessions", talk.pk, {"messages": theirs})

    assert push_edit(edit.pk) == "conflict"

    edit.refresh_from_db()
    assert remote()["messages"] == theirs and sandbox.journal("PATCH") == []
    assert edit.theirs == {"messages": [{"operation": 0, "position": 4, "message": theirs[4]}]}


@pytest.mark.parametrize(
    ("choice", "first", "fifth"),
    [
        ("mine", "My name is Grace.", "Hello Grace."),
        ("theirs", "My name is Grace.", "Hello Lovelace."),
        ({"value": "Hello both."}, "My name is Grace.", "Hello both."),
    ],
)
def test_a_conflict_is_settled_and_what_did_not_collide_goes_through(
    sandbox: SandboxProcess, talk: Session, remote: Remote, choice: object, first: str, fifth: str
) -> None:
    edit = correct(talk, replace(4, "Hello Grace."), replace(1, "My name is Grace."))
    theirs = [*TALK[:4], {"role": "assistant", "content": "Hello Lovelace."}, TALK[5]]
    sandbox.change("sessions", talk.pk, {"messages": theirs})
    push_edit(edit.pk)
    edit.refresh_from_db()

    settled = resolve_conflict(edit, {"messages": choice})

    assert push_edit(settled.pk) == "applied"
    said = remote()["messages"]
    assert (said[1]["content"], said[4]["content"]) == (first, fifth)


def test_the_same_words_already_there(sandbox: SandboxProcess, talk: Session) -> None:
    edit = correct(talk, replace(4, "Hello Grace."))
    same = [*TALK[:4], {"role": "assistant", "content": "Hello Grace."}, TALK[5]]
    sandbox.change("sessions", talk.pk, {"messages": same})
    assert push_edit(edit.pk) == "applied"
    assert sandbox.journal("PATCH") == []


@pytest.mark.parametrize("look_fails", [False, True])
def test_a_lost_answer_is_settled_by_a_look(
    sandbox: SandboxProcess, talk: Session, remote: Remote, make_due: Do, look_fails: bool
) -> None:
    edit = correct(talk, {"do": "remove", "position": 1}, replace(4, "Hello Grace."))
    sandbox.fault("lost:method=PATCH,count=1" + (";500:method=GET,skip=1,count=9" if look_fails else ""))

    assert push_edit(edit.pk) == ("queued" if look_fails else "applied")

    sandbox.fault("")
    new = {"role": "user", "content": "And now?"}
    sandbox.change("sessions", talk.pk, {"messages": [*remote()["messages"], new]})
    make_due(edit)
    assert push_edit(edit.pk) == "applied"
    assert len(sandbox.journal("PATCH")) == 1
    assert remote()["messages"][-1] == new and len(remote()["messages"]) == len(TALK)


def test_it_is_undone(talk: Session, remote: Remote) -> None:
    edit = correct(
        talk,
        {"do": "redact", "position": 1},
        replace(0, "Be brief."),
        {"do": "remove", "position": 4},
        {"do": "remove", "position": 5},
    )
    push_edit(edit.pk)
    edit.refresh_from_db()
    assert remote()["messages"] != TALK

    assert push_edit(undo(edit).pk) == "applied"

    assert remote()["messages"] == TALK


def test_what_was_blanked_here_is_not_put_back(talk: Session) -> None:
    edit = correct(talk, {"do": "remove", "position": 2}, {"do": "remove", "position": 3})
    push_edit(edit.pk)
    edit.refresh_from_db()
    with pytest.raises(ValidationError, match="blanked"):
        undo(edit)


def test_a_second_correction_of_a_message_takes_the_place_of_the_first(talk: Session, remote: Remote) -> None:
    first = correct(talk, replace(4, "Hello Grace."), replace(1, "I am Grace."))
    second = correct(talk, replace(4, "Hello Joan."))
    first.refresh_from_db()
    assert (first.state, first.superseded_by_id) == ("superseded", second.pk)
    for edit in Edit.objects.filter(state="queued").order_by("pk"):
        assert push_edit(edit.pk) == "applied"
    said = remote()["messages"]
    assert (said[1]["content"], said[4]["content"]) == ("I am Grace.", "Hello Joan.")


@pytest.mark.parametrize(
    ("operation", "words"),
    [
        (replace(4, f"It was {REDACTED}"), "redacted"),
        (replace(4, "x" * 10_001), "10000"),
        (replace(4, "  "), "redact or remove"),
        (replace(4, "Hello Ada."), "Nothing was changed"),
        (replace(2, "words"), "holds no words"),
        (replace(99, "words"), "no message 99"),
        (replace(-1, "words"), "no message -1"),
        ({"do": "remove", "position": 3}, "together"),
        ({"do": "remove", "position": 2}, "together"),
        ({"do": "rewrite", "position": 1}, "Choose"),
        ({**replace(4, "Hi"), "digest": "0" * 64}, "has changed"),
        ({"do": "replace", "position": 4, "text": None}, "Enter the words"),
    ],
)
def test_what_is_not_fit_is_refused_at_once(talk: Session, operation: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        correct(talk, operation)
    assert not Edit.objects.exists()
