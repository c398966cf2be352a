"""Owns how the body of a correction is read: fields of a session, or operations on its messages."""

from __future__ import annotations

from typing import Any

from rest_framework.exceptions import ValidationError

from sessions_app.api.edits import refuse_null_name
from sessions_app.api.submissions import object_of, reason_of
from sessions_app.api.views import camel_case, refuse_unknown

EDITABLE = frozenset({"name", "status", "expiration_seconds"})
_MOST_OPERATIONS = 1000


def correction_of(body: object) -> tuple[dict[str, object], list[dict[str, Any]] | None, str]:
    """Return the fields by Vapi's names, or operations on messages, and the reason; 400 where it is none."""
    given = object_of(body)
    refuse_unknown(given, EDITABLE | {"reason", "messages"}, kind="field")
    if "name" in given:
        refuse_null_name(given["name"])
    fields = {camel_case(name): value for name, value in given.items() if name in EDITABLE}
    operations = given.get("messages")
    if operations is None:
        return fields, None, reason_of(given)
    if fields:
        raise ValidationError({"messages": ["Send messages alone."]})
    return {}, _operations(operations), reason_of(given)


def _operations(given: object) -> list[dict[str, Any]]:
    if not isinstance(given, list) or not all(isinstance(entry, dict) for entry in given):
        raise ValidationError({"messages": ['Send a list of {"do", "position", "text"}.']})
    if len(given) > _MOST_OPERATIONS:
        raise ValidationError({"messages": [f"Send at most {_MOST_OPERATIONS}."]})
    for entry in given:
        refuse_unknown(entry, frozenset({"do", "position", "text", "digest"}), kind="field")
    return given
