"""Owns how corrections of messages reach Vapi: on the array as it is just read, so that turns since then stay.

PATCH takes the whole array, and what is mirrored has its secrets blanked, so the raw array is read, changed and sent
back without being kept anywhere. A turn that comes between our GET and our PATCH is lost: Vapi knows no If-Match.
"""

from __future__ import annotations

from typing import Any

from sessions_app.edits.outcomes import apply, collide, not_kept, send_once
from sessions_app.edits.turns import apply_operations, gist_of, plain
from sessions_app.models import Edit
from sessions_app.vapi import Fetched, JsonObject, VapiClient


def push_messages(client: VapiClient, edit: Edit) -> None:
    """One attempt. Raises VapiError or BadRecord."""
    found, raw = client.get_session_unredacted(edit.session_id)
    messages = _messages(raw)
    outcome = apply_operations(messages, edit.operations)
    if outcome.is_done or _is_what_was_sent(edit, messages):
        apply(edit, found)
    elif outcome.disputed:
        collide(edit, found, {"messages": _disputed(edit, outcome.disputed, _messages(found.payload))})
    else:
        _send(client, edit, outcome.messages)


def _send(client: VapiClient, edit: Edit, messages: list[Any]) -> None:
    sent = {"length": len(messages), "sha256": gist_of(messages)}

    def look() -> Fetched | None:
        found, raw = client.get_session_unredacted(edit.session_id)
        return found if _is_what_was_sent(edit, _messages(raw)) else None

    def send() -> Fetched:
        return client.patch_session(edit.session_id, {"messages": messages})

    answer = send_once(edit, send, look, sent=sent)
    if _is_what_was_sent(edit, _messages(answer.payload)):
        apply(edit, answer)
    else:
        not_kept(edit, answer)


def _is_what_was_sent(edit: Edit, messages: list[Any]) -> bool:
    """Say whether the array begins with what we sent last; turns may have followed it."""
    if edit.sent_at is None or not edit.sent:
        return False
    return bool(gist_of(messages[: edit.sent["length"]]) == edit.sent["sha256"])


def _disputed(edit: Edit, indexes: tuple[int, ...], messages: list[Any]) -> list[dict[str, Any]]:
    """What stands where each disputed operation meant something else; None where nothing stands."""
    found = []
    for index in indexes:
        position = int(edit.operations[index]["position"])
        message = messages[position] if position < len(messages) else None
        found.append({"operation": index, "position": position, "message": plain(message)})
    return found


def _messages(payload: JsonObject) -> list[Any]:
    messages = payload.get("messages")
    return messages if isinstance(messages, list) else []
