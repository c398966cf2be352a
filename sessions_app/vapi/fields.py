"""Owns taking typed values out of one remote object; what is optional and odd is noted, never fatal."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from sessions_app.vapi.json import JsonObject
from sessions_app.vapi.money import BadMoney, parse_usd
from sessions_app.vapi.times import parse_time

LONGEST_ID = 200
LARGEST_INTEGER = 2**63 - 1

_TYPES: dict[type, str] = {dict: "object", list: "list", str: "string", bool: "boolean", type(None): "null"}


class BadRecord(ValueError):
    """A record that cannot be mirrored. Field and reason are safe for logs: the value is in neither."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(field, reason)
        self.field = field
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.field}: {self.reason}"


@dataclass(slots=True)
class Fields:
    """A remote object, and the list in which its oddities are noted as "name: type"."""

    payload: JsonObject
    oddities: list[str]
    prefix: str = ""

    def required_id(self, key: str) -> str:
        value = self.payload.get(key)
        if not isinstance(value, str) or not value:
            raise BadRecord(key, f"not an id but {_type(value)}" if value != "" else "empty")
        if len(value) > LONGEST_ID:
            raise BadRecord(key, "too long")
        return value

    def required_time(self, key: str) -> datetime:
        value = self.payload.get(key)
        at = parse_time(value)
        if at is None:
            raise BadRecord(key, "not a time" if isinstance(value, str) else f"not a time but {_type(value)}")
        return at

    def optional_text(self, key: str) -> str | None:
        value = self.payload.get(key)
        if value is None or isinstance(value, str):
            return value
        self._note(key, value)
        return None

    def text(self, key: str) -> str:
        value = self.payload.get(key)
        if isinstance(value, str):
            return value
        if value is not None:
            self._note(key, value)
        return ""

    def integer(self, key: str, most: int = LARGEST_INTEGER) -> int | None:
        """From 0 to `most`; JSON has no integers of its own, so 12.0 is one."""
        value = self.payload.get(key)
        if value is None or (type(value) is int and 0 <= value <= most):
            return value
        if isinstance(value, Decimal) and 0 <= value <= most and value == value.to_integral_value():
            value = int(value)
        if isinstance(value, int) and not isinstance(value, bool):
            if 0 <= value <= most:
                return value
            self._note(key, value, "out of range")
        else:
            self._note(key, value)
        return None

    def usd(self, key: str) -> Decimal | None:
        value = self.payload.get(key)
        try:
            return parse_usd(value)
        except BadMoney:
            self._note(key, value, "no amount")
            return None

    def inner(self, key: str) -> "Fields":
        value = self.payload.get(key)
        if not isinstance(value, dict):
            if value is not None:
                self._note(key, value)
            value = {}
        return Fields(value, self.oddities, f"{self.prefix}{key}.")

    def listed(self, key: str) -> list[Any]:
        value = self.payload.get(key)
        if isinstance(value, list):
            return value
        if value is not None:
            self._note(key, value)
        return []

    def entries(self, key: str) -> list[tuple[int, JsonObject]]:
        """The objects of a list with their places; other entries are noted."""
        placed: list[tuple[int, JsonObject]] = []
        for position, entry in enumerate(self.listed(key)):
            if isinstance(entry, dict):
                placed.append((position, entry))
            else:
                self._note(f"{key}[{position}]", entry)
        return placed

    def _note(self, key: str, value: object, what: str = "") -> None:
        self.oddities.append(f"{self.prefix}{key}: {what or _type(value)}")


def _type(value: object) -> str:
    return _TYPES.get(type(value), "number")
