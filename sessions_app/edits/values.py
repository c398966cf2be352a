"""Owns which fields of a session can be edited and when two of their values are the same; knows no rows of edits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sessions_app.models import Session
from sessions_app.vapi import JsonObject, SessionRecord, parse_session

Values = Mapping[str, object]

# What stands for null and absent. PATCH takes no null: a name is cleared by sending an empty one.
DEFAULTS: dict[str, object] = {"name": "", "status": "", "expirationSeconds": 86_400}
EDITABLE = tuple(DEFAULTS)


def is_same(field: str, one: object, other: object) -> bool:
    """Null, absent and default are equal."""
    return _normal(field, one) == _normal(field, other)


def differing(one: Values, other: Values, fields: Iterable[str]) -> list[str]:
    """Return those of `fields` that have another value in `one` than in `other`."""
    return [field for field in fields if not is_same(field, one.get(field), other.get(field))]


def mirrored_values(session: Session) -> dict[str, object]:
    """Return the editable fields, by Vapi's names, as they are mirrored."""
    return {
        "name": session.name,
        "status": session.status,
        "expirationSeconds": session.expiration_seconds,
    }


def remote_values(payload: JsonObject) -> dict[str, object]:
    """Return the editable fields of a payload, read just as the mirror reads them. Raises BadRecord."""
    record: SessionRecord = parse_session(payload)
    return {
        "name": record.name or "",
        "status": record.status,
        "expirationSeconds": record.expiration_seconds,
    }


def _normal(field: str, value: object) -> object:
    return DEFAULTS.get(field) if value is None or value == "" else value
