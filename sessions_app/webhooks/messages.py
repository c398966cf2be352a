"""Owns what is taken out of a server message's body before it is stored: redacted, storable, and its few columns."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sessions_app.vapi.fields import LONGEST_ID
from sessions_app.vapi.json import BadJson, dump_payload, parse_json
from sessions_app.vapi.redaction import may_hold_secrets, redact
from sessions_app.vapi.text import make_safe, may_need_safety
from sessions_app.vapi.times import parse_moment, parse_time

_LONGEST_KIND = 100


class BadMessage(ValueError):
    """The body is no server message. Says what is wrong, never quotes it."""


@dataclass(frozen=True)
class Message:
    kind: str
    # Of the session or chat that it is about, as far as it says so.
    remote_id: str
    assistant_id: str
    sent_at: datetime | None
    object_updated_at: datetime | None
    body_json: str


def read_message(body: bytes) -> Message:
    """Return what is stored of a body {"message": {"type": ...}}. Raises BadMessage."""
    clean, text = _read_clean(body)
    message = clean.get("message") if isinstance(clean, dict) else None
    if not isinstance(message, dict):
        raise BadMessage("no object with a message")
    kind = message.get("type")
    if not isinstance(kind, str) or not kind:
        raise BadMessage("the message has no type")
    subject = message.get(kind.partition(".")[0])
    about: dict[str, Any] = subject if isinstance(subject, dict) else {}
    assistant = message.get("assistant")
    fallback = assistant.get("id") if isinstance(assistant, dict) else None
    return Message(
        kind=kind[:_LONGEST_KIND],
        remote_id=_id(about.get("id")),
        assistant_id=_id(about.get("assistantId")) or _id(fallback),
        sent_at=parse_moment(message.get("timestamp")),
        object_updated_at=parse_time(about.get("updatedAt")),
        body_json=text,
    )


def _read_clean(body: bytes) -> tuple[Any, str]:
    """The parsed body without secrets, and as text. What needs no change is kept as it was written."""
    try:
        text = body.decode("utf-8-sig")
        value = parse_json(text)
        has_secrets, is_unsafe = may_hold_secrets(body), may_need_safety(body)
        if has_secrets:
            value = redact(value)
        if is_unsafe:
            value, _ = make_safe(value)
        return value, dump_payload(value) if has_secrets or is_unsafe else text
    except (BadJson, UnicodeDecodeError, RecursionError, TypeError):
        pass
    # Raised out here: the parser's own error holds the text.
    raise BadMessage("the body is not JSON")


def _id(value: object) -> str:
    return value if isinstance(value, str) and len(value) <= LONGEST_ID else ""
