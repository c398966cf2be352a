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


# What POST /session takes from us. Inline assistants and squads may carry secrets, so only ids of them are taken.
_IDS = ("assistantId", "squadId", "customerId", "phoneNumberId")
_CUSTOMER = ("number", "name", "email", "externalId", "sipUri")
_ROLES = ("system", "developer", "user", "assistant")
_LONGEST_CUSTOMER_FIELD = 40
_LONGEST_WORDS = 10_000


def check_create(fields: Values) -> dict[str, object]:
    """Return the cleaned body of a new session. Raises ValidationError by field, by Vapi's field names."""
    problems: dict[str, str] = {}
    wanted: dict[str, object] = {}
    for field, value in fields.items():
        try:
            wanted[field] = _CREATE_CHECKS[field](value)
        except KeyError:
            problems[field] = "A new session can't be given this."
        except ValueError as error:
            problems[field] = str(error)
    if "assistantId" in wanted and "squadId" in wanted:
        problems["squadId"] = "A session has an assistant or a squad, not both."
    if problems:
        raise ValidationError(dict(problems))
    return wanted


def _text(value: object, most: int) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("Enter text.")
    if len(value) > most:
        raise ValueError(f"Vapi takes at most {most} characters; this has {len(value)}.")
    if make_safe(value)[1] or REDACTED in value:
        raise ValueError("This text holds characters or marks that cannot be sent.")
    return value


def _id(value: object) -> str:
    return _text(value, 200)


def _customer(value: object) -> dict[str, str]:
    if not isinstance(value, dict) or not value or not set(value) <= set(_CUSTOMER):
        raise ValueError(f"Send an object of {', '.join(_CUSTOMER)}.")
    return {
        name: _text(text, 200 if name == "sipUri" else _LONGEST_CUSTOMER_FIELD)
        for name, text in value.items()
    }


def _messages(value: object) -> list[dict[str, str]]:
    if not isinstance(value, list):
        raise ValueError("Send a list of messages.")
    return [_message(entry) for entry in value]


def _message(value: object) -> dict[str, str]:
    if not isinstance(value, dict) or set(value) != {"role", "content"} or value["role"] not in _ROLES:
        raise ValueError(f"A message is {{role, content}}, its role one of {', '.join(_ROLES)}.")
    return {"role": value["role"], "content": _text(value["content"], _LONGEST_WORDS)}


_CREATE_CHECKS: dict[str, Callable[[object], object]] = {
    **_CHECKS,
    **dict.fromkeys(_IDS, _id),
    "customer": _customer,
    "messages": _messages,
}
