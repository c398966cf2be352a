"""Owns Vapi's own rules for what PATCH /session/{id} takes, so that a mistake shows beside its field at once."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from math import isfinite

from django.core.exceptions import ValidationError

from sessions_app.edits.values import EDITABLE, Values, differing
from sessions_app.vapi import REDACTED, make_safe

LONGEST_NAME = 40
STATUSES = ("active", "completed")
LEAST_SECONDS, MOST_SECONDS = 60, 2_592_000


class NothingChanged(ValidationError):
    """Every field already has the wanted value."""

    def __init__(self) -> None:
        super().__init__("Nothing was changed.", code="unchanged")


def check_changes(base: Values, fields: Values) -> dict[str, object]:
    """Return what is to change: the cleaned values of `fields` that differ from `base`.

    Raises ValidationError by field, by Vapi's field names; NothingChanged where none is left. A value that
    stays as it is need not be one that Vapi takes today.
    """
    problems = {field: "This field can't be edited." for field in fields if field not in EDITABLE}
    changes: dict[str, object] = {}
    for field in [] if problems else differing(fields, base, fields):
        try:
            changes[field] = _CHECKS[field](fields[field])
        except ValueError as error:
            problems[field] = str(error)
    if problems:
        raise ValidationError(dict(problems))
    changed = differing(changes, base, changes)
    if not changed:
        raise NothingChanged
    return {field: changes[field] for field in changed}


def _name(value: object) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ValueError("Enter text.")
    if len(value) > LONGEST_NAME:
        raise ValueError(f"Vapi takes at most {LONGEST_NAME} characters; this has {len(value)}.")
    if value and not value.strip():
        raise ValueError("A name of nothing but spaces can't be seen. Leave it empty to clear it.")
    if make_safe(value)[1]:
        raise ValueError("This text holds characters that cannot be stored.")
    if REDACTED in value:
        raise ValueError(
            "This text carries the mark of something redacted, which would overwrite the original."
        )
    return value


def _status(value: object) -> str:
    if value not in STATUSES:
        raise ValueError(f"Vapi takes {' or '.join(STATUSES)}.")
    return str(value)


def _expiration_seconds(value: object) -> int:
    if isinstance(value, float | Decimal) and isfinite(value) and value == int(value):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError("Enter a whole number of seconds.")
    if not LEAST_SECONDS <= value <= MOST_SECONDS:
        raise ValueError(f"Vapi takes {LEAST_SECONDS} to {MOST_SECONDS} seconds (a minute to 30 days).")
    return value


_CHECKS: dict[str, Callable[[object], object]] = {
    "name": _name,
    "status": _status,
    "expirationSeconds": _expiration_seconds,
}
