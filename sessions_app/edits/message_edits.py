"""Owns how corrections of messages become an Edit: which operations are fit to be sent; sends nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

from django.core.exceptions import ValidationError

from sessions_app.edits import states
from sessions_app.edits.queue import (
    Making,
    SubmissionReused,
    copy_of,
    demand_reason,
    pending_before,
    submit,
    submitted_before,
)
from sessions_app.edits.turns import NoWords, bears_mark, changed, digest_of, plain, words_of
from sessions_app.models import Edit, Session, SessionPayload
from sessions_app.models.edits import EditKind, EditState
from sessions_app.vapi import REDACTED, load_payload, make_safe

LONGEST_WORDS = 10_000
DOINGS = ("replace", "redact", "remove")


class StaleMessage(ValidationError):
    """The message is not what the person was shown."""

    def __init__(self) -> None:
        super().__init__("This message has changed since it was shown.", code="stale")


def mirrored_messages(session_id: str) -> list[Any]:
    """Return a session's messages as they are mirrored, redacted."""
    stored = SessionPayload.objects.filter(session_id=session_id).values_list("payload_json", flat=True)
    text = stored.first()
    messages = load_payload(text).get("messages") if text else None
    return messages if isinstance(messages, list) else []


def queue_messages(session: Session, operations: Sequence[Mapping[str, Any]], making: Making) -> Edit:
    """Queue operations on messages: {"do", "position", "text"?, "digest"? (of the message that was shown)}.

    Raises ValidationError by field, StaleMessage, SubmissionReused. The caller enqueues the push.
    """
    known = submitted_before(making, session.pk, EditKind.MESSAGES)
    if known is not None:
        return _same_operations(known, operations)
    messages = mirrored_messages(session.pk)
    wanted = check_operations(messages, operations)
    demand_reason(session.organization, making.reason)
    edit = making.edit(
        session.organization_id,
        session.pk,
        kind=EditKind.MESSAGES,
        base={"messages": [plain(messages[operation["position"]]) for operation in wanted]},
        fields={"messages": [operation["do"] for operation in wanted]},
        operations=wanted,
    )
    return submit(edit, making, supersede=_supersede_pending)


def _same_operations(known: Edit, operations: Sequence[Mapping[str, Any]]) -> Edit:
    """Compared as they were sent: what the messages are by now is another matter."""
    if [_asked(operation) for operation in known.operations] != [_asked(given) for given in operations]:
        raise SubmissionReused
    return known


def _asked(operation: Mapping[str, Any]) -> tuple[object, object, object]:
    do = operation.get("do")
    return do, operation.get("position"), operation.get("text") if do == "replace" else None


def check_operations(
    messages: Sequence[Any], operations: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Return the operations, each with the digest of its message and of what it becomes. Raises ValidationError."""
    if not operations:
        raise ValidationError({"messages": "Nothing was changed."})
    digests = [digest_of(message) for message in messages]
    wanted = [_checked(messages, digests, operation) for operation in operations]
    positions = [operation["position"] for operation in wanted]
    if len(set(positions)) < len(positions):
        raise ValidationError({"messages": "One message is named twice."})
    _refuse_torn_calls(messages, {op["position"] for op in wanted if op["do"] == "remove"})
    removed = {op["position"] for op in wanted if op["do"] == "remove"}
    results = {op["position"]: op["result"] for op in wanted if "result" in op}
    for operation in wanted:
        before = [place for place in range(operation["position"]) if place not in removed]
        operation["before"] = results.get(before[-1], digests[before[-1]]) if before else ""
        operation["is_unique"] = digests.count(operation["digest"]) == 1
    return wanted


def _checked(messages: Sequence[Any], digests: Sequence[str], operation: Mapping[str, Any]) -> dict[str, Any]:
    do, position = operation.get("do"), operation.get("position")
    if do not in DOINGS:
        raise _wrong(f"Choose {', '.join(DOINGS)}.")
    if isinstance(position, bool) or not isinstance(position, int):
        raise _wrong("Say which message: its position, counted from 0.")
    if operation.get("digest") and digests[position : position + 1] != [operation["digest"]]:
        raise StaleMessage
    if not 0 <= position < len(messages) or not isinstance(messages[position], dict):
        raise _wrong(f"There is no message {position}.")
    wanted: dict[str, Any] = {"do": do, "position": position, "digest": digests[position]}
    if do == "replace":
        wanted["text"] = _checked_words(operation.get("text"), messages[position])
    if do != "remove":
        try:
            wanted["result"] = digest_of(changed(messages[position], wanted))
        except NoWords:
            raise _wrong("This message holds no words.") from None
    return wanted


def _checked_words(text: object, message: Mapping[str, Any]) -> str:
    """Vapi's own rules: text of at most 10,000 characters, and only an assistant may say nothing."""
    if not isinstance(text, str):
        raise _wrong("Enter the words.")
    if not text.strip():
        raise _wrong("Enter the words; to take them away, redact or remove the message.")
    if len(text) > LONGEST_WORDS:
        raise _wrong(f"Vapi takes at most {LONGEST_WORDS} characters; this has {len(text)}.")
    if make_safe(text)[1]:
        raise _wrong("This text holds characters that cannot be stored.")
    if REDACTED in text:
        raise _wrong("This text carries the mark of something redacted, which would overwrite the original.")
    if text == words_of(message):
        raise _wrong("Nothing was changed.")
    return text


def _refuse_torn_calls(messages: Sequence[Any], removed: set[int]) -> None:
    """A tool's result without its call, or a call whose result is taken away, is no conversation to Vapi."""
    for place, message in enumerate(messages):
        answered = _answered_call(message)
        if not answered:
            continue
        caller = next((at for at in range(place) if answered in _calls(messages[at])), None)
        if caller is not None and (place in removed) != (caller in removed):
            raise _wrong("A tool's call and its result can only be removed together.")


def _answered_call(message: object) -> str:
    if not isinstance(message, dict):
        return ""
    return str(message.get("tool_call_id") or message.get("toolCallId") or "")


def _calls(message: object) -> set[str]:
    calls = message.get("tool_calls") or message.get("toolCalls") if isinstance(message, dict) else None
    return {str(call.get("id")) for call in calls or [] if isinstance(call, dict)}


def _supersede_pending(edit: Edit, actor: str) -> None:
    """A message that its author corrects again before the first correction left: the later one stands."""
    meant = {operation["digest"] for operation in edit.operations}
    for old in pending_before(edit, EditKind.MESSAGES):
        same_author = (old.author_id, old.token_id) == (edit.author_id, edit.token_id)
        rest = [index for index, op in enumerate(old.operations) if op["digest"] not in meant]
        if not same_author or len(rest) == len(old.operations):
            continue
        if states.move(old, EditState.SUPERSEDED, actor=actor, superseded_by=edit) and rest:
            copy_of(old, actor=actor, **only(old, rest))


def only(edit: Edit, indexes: Sequence[int]) -> dict[str, Any]:
    """Return the columns of a messages edit that has only these of its operations."""
    operations = [edit.operations[index] for index in indexes]
    return {
        "operations": operations,
        "base": {"messages": [edit.base["messages"][index] for index in indexes]},
        "fields": {"messages": [operation["do"] for operation in operations]},
    }


def settled_columns(edit: Edit, choice: object) -> dict[str, Any] | None:
    """Return the columns of the edit that goes on once a conflict is settled; None where nothing is left to send.

    `choice` is "mine", "theirs" or {"value": words} where one message is disputed. Raises ValidationError.
    """
    disputed = {entry["operation"]: entry for entry in edit.theirs["messages"]}
    if isinstance(choice, dict) and (choice.keys() != {"value"} or len(disputed) != 1):
        raise _wrong("New words can be given where one message is in conflict.")
    if choice not in ("mine", "theirs") and not isinstance(choice, dict):
        raise _wrong('Choose "mine", "theirs" or {"value": ...}.')
    kept = []
    for index, operation in enumerate(edit.operations):
        if index not in disputed:
            kept.append((operation, edit.base["messages"][index]))
        elif choice != "theirs":
            kept += _on_theirs(operation, disputed[index], choice)
    if not kept:
        return None
    _refuse_one_message_twice([operation for operation, _ in kept])
    return {
        "operations": [operation for operation, _ in kept],
        "base": {"messages": [message for _, message in kept]},
        "fields": {"messages": [operation["do"] for operation, _ in kept]},
    }


def _refuse_one_message_twice(operations: Sequence[Mapping[str, Any]]) -> None:
    """Two corrections may have come to mean one message: by its place, or as the only one of its kind."""
    for one, other in combinations([op for op in operations if op["do"] != "insert"], 2):
        may_move = one.get("is_unique") or other.get("is_unique")
        if one["digest"] == other["digest"] and (one["position"] == other["position"] or may_move):
            raise _wrong("Another of these corrections means what stands there, so only theirs can stand.")


def _on_theirs(
    operation: Mapping[str, Any], entry: Mapping[str, Any], choice: object
) -> list[tuple[dict[str, Any], Any]]:
    """Mean what stands there now."""
    message = entry["message"]
    if isinstance(choice, dict):
        operation = {"do": "replace", "text": choice["value"], "before": operation.get("before", "")}
    if not isinstance(message, dict):
        if operation["do"] == "remove":
            return []
        raise _wrong("The message is gone from Vapi, so only theirs can stand.")
    if operation["do"] == "insert":
        raise _wrong("The place where the message stood is gone, so only theirs can stand.")
    wanted = {**operation, "position": entry["position"], "digest": digest_of(message)}
    # Only this one message is known of what stands there.
    wanted["is_unique"] = False
    if wanted["do"] == "replace":
        wanted["text"] = _checked_words(wanted["text"], message)
    if wanted["do"] != "remove":
        wanted["result"] = digest_of(changed(message, wanted))
    return [(wanted, message)]


def queue_messages_back(edit: Edit, making: Making) -> Edit:
    """Queue what takes an applied correction of messages back. Raises ValidationError."""
    removed = {op["position"] for op in edit.operations if op["do"] == "remove"}
    pairs = list(zip(edit.operations, edit.base["messages"], strict=True))
    operations = [_backwards(op, old, removed) for op, old in pairs]
    digests = [digest_of(message) for message in mirrored_messages(edit.session_id)]
    for operation in operations:
        operation["is_unique"] = digests.count(operation["digest"]) == 1
    back = making.edit(
        edit.organization_id,
        edit.session_id,
        kind=EditKind.MESSAGES,
        base={"messages": [None if op["do"] == "remove" else changed(old, op) for op, old in pairs]},
        fields={"messages": [operation["do"] for operation in operations]},
        operations=operations,
    )
    return submit(back, making, supersede=_supersede_pending)


def _backwards(operation: Mapping[str, Any], old: Any, removed: set[int]) -> dict[str, Any]:
    if operation["do"] not in DOINGS:
        raise _wrong("This takes something back itself. Correct the message anew.")
    if bears_mark(old):
        raise _wrong("The message held something that was blanked here, so it can't be put back.")
    position = operation["position"] - sum(place < operation["position"] for place in removed)
    is_removed = operation["do"] == "remove"
    return {
        "do": "insert" if is_removed else "restore",
        "position": position,
        "digest": operation["before"] if is_removed else operation["result"],
        "before": operation["before"],
        "message": old,
        "result": digest_of(old),
    }


def _wrong(words: str) -> ValidationError:
    return ValidationError({"messages": words})
