"""Owns what of a payload schema.py does not name: fields, statuses, roles and kinds of cost. Keeps nothing of it.

Names and types only. Where a name could be a customer's word it is left out.
"""

import re
from dataclasses import dataclass
from decimal import Decimal
from itertools import chain
from operator import itemgetter
from typing import Any, Literal, NamedTuple

from sessions_app.vapi.json import JsonObject, dump_payload
from sessions_app.vapi.schema import CHAT, COST_FIELDS, MESSAGE_FIELDS, ROLES, SESSION, Schema

UnknownKind = Literal["field", "status", "role", "cost_kind"]

# Such as a programmer gives; a telephone number, an address or a sentence is none.
_NAME = re.compile(r"(?!.*\d{4})[A-Za-z_$][A-Za-z0-9_$.:/-]{0,59}")
NO_NAME = "(not a name)"
# What has more keys than this is a map, whose keys are values.
_MOST_KEYS = 30
_DEEPEST = 4
MOST_FOUND = 200


class Unknown(NamedTuple):
    """Something that is not named. `name` is a field's path or the unknown word, `shape` the first one's types as
    JSON: {"a": "string", "b": ["number"]}."""

    kind: UnknownKind
    name: str
    times: int
    shape: str


@dataclass
class _Found:
    times: int
    # The first one seen.
    sample: Any


class _Notes(dict[tuple[UnknownKind, str], _Found]):
    """What was found: {(kind, name): how often, and the first}."""

    def add(self, kind: UnknownKind, name: str, sample: Any) -> None:
        found = self.get((kind, name))
        if found is not None:
            found.times += 1
        elif len(self) < MOST_FOUND:
            self[(kind, name)] = _Found(1, sample)

    def add_word(self, kind: UnknownKind, word: object) -> None:
        self.add(kind, shown_name(word), word)

    def add_fields(self, known: frozenset[str], given: JsonObject, path: str) -> None:
        if not known.issuperset(given):
            for name, value in given.items():
                if name not in known:
                    self.add("field", f"{path}{shown_name(name)}", value)


def unknown_in(payload: JsonObject, schema: Schema) -> tuple[Unknown, ...]:
    """Return what is unknown in a payload, at most MOST_FOUND of it."""
    notes = _Notes()
    notes.add_fields(schema.fields, payload, "")
    for name, known in schema.objects:
        inner = payload.get(name)
        if isinstance(inner, dict) and not known.issuperset(inner):
            notes.add_fields(known, inner, f"{name}.")
    for path in schema.messages:
        _look_at_list(_at(payload, path), _MESSAGES, path, notes)
    _look_at_list(payload.get("costs"), _COSTS[schema.cost_kinds], ("costs",), notes)
    status = payload.get("status")
    if schema.statuses and status is not None and not _is_one_of(schema.statuses, status):
        notes.add_word("status", status)
    return tuple(
        [
            Unknown(kind, name, found.times, dump_payload(shape_of(found.sample)))
            for (kind, name), found in notes.items()
        ]
    )


class _Entries(NamedTuple):
    """What is known of the objects of a list: their fields, and the words that one of these holds."""

    fields: frozenset[str]
    key: str
    words: frozenset[str]
    kind: UnknownKind

    def are_all_known(self, entries: list[Any]) -> bool:
        """Say whether there is surely nothing to note: nothing but an object has a value by name."""
        try:
            words = map(itemgetter(self.key), entries)
            return self.words.issuperset(words) and self.fields.issuperset(chain.from_iterable(entries))
        except (KeyError, TypeError):
            return False


_MESSAGES = _Entries(MESSAGE_FIELDS, "role", ROLES, "role")
_COSTS = {
    schema.cost_kinds: _Entries(COST_FIELDS, "type", schema.cost_kinds, "cost_kind")
    for schema in (SESSION, CHAT)
}


def _look_at_list(entries: object, known: _Entries, path: tuple[str, ...], notes: _Notes) -> None:
    if not entries or not isinstance(entries, list) or known.are_all_known(entries):
        return
    for entry in entries:
        if isinstance(entry, dict):
            notes.add_fields(known.fields, entry, f"{'.'.join(path)}[].")
            word = entry.get(known.key)
            if not _is_one_of(known.words, word):
                notes.add_word(known.kind, word)


def _is_one_of(words: frozenset[str], word: object) -> bool:
    return isinstance(word, str) and word in words


def _at(payload: JsonObject, path: tuple[str, ...]) -> object:
    value: object = payload
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def shown_name(word: object) -> str:
    """Return a word where it looks like one that a programmer chose; else that it does not."""
    return word if isinstance(word, str) and _NAME.fullmatch(word) else NO_NAME


def shape_of(value: object, depth: int = 0) -> object:
    """Return types in the place of values: {"a": "string", "b": ["number"]}."""
    if isinstance(value, dict):
        return _shape_of_object(value, depth)
    if isinstance(value, list):
        shapes = [shape_of(inner, depth + 1) for inner in value[:_MOST_KEYS]] if depth < _DEEPEST else []
        return [shape for at, shape in enumerate(shapes) if shape not in shapes[:at]]
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    return "number" if isinstance(value, int | float | Decimal) else "string"


def _shape_of_object(value: JsonObject, depth: int) -> object:
    if depth >= _DEEPEST:
        return "object"
    if len(value) > _MOST_KEYS:
        return {"*": shape_of(next(iter(value.values())), depth + 1)}
    return {shown_name(name): shape_of(inner, depth + 1) for name, inner in value.items()}
