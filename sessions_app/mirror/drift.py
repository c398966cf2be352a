"""Notes what Vapi sends that vapi/schema.py does not name: fields, statuses, roles and kinds of cost.

Names and types only. Where a name could be a customer's word it is left out. Looks at records that are news, once a
page, and writes at most one statement a page.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import chain
from operator import itemgetter
from typing import Any, NamedTuple

from django.db import connection
from django.utils import timezone

from sessions_app.mirror.rows import adapted
from sessions_app.mirror.tables import Record
from sessions_app.models import Organization, SchemaDrift
from sessions_app.models.drift import DriftKind
from sessions_app.models.runs import Stream
from sessions_app.vapi.json import JsonObject, dump_payload
from sessions_app.vapi.schema import CHAT, COST_FIELDS, MESSAGE_FIELDS, ROLES, SESSION, Schema

_SCHEMAS = {Stream.SESSIONS: SESSION, Stream.CHATS: CHAT}
# Such as a programmer gives; a telephone number, an address or a sentence is none.
_NAME = re.compile(r"(?!.*\d{4})[A-Za-z_$][A-Za-z0-9_$.:/-]{0,59}")
NO_NAME = "(not a name)"
# What has more keys than this is a map, whose keys are values.
_MOST_KEYS = 30
_DEEPEST = 4
_MOST_FOUND = 200


@dataclass
class _Found:
    count: int
    # The first one seen.
    sample: Any


class _Notes(dict[tuple[str, str], _Found]):
    """What was found in one page: {(kind, name): how often, and the first}."""

    def add(self, kind: DriftKind, name: str, sample: Any) -> None:
        found = self.get((kind.value, name))
        if found is not None:
            found.count += 1
        elif len(self) < _MOST_FOUND:
            self[(kind.value, name)] = _Found(1, sample)

    def add_word(self, kind: DriftKind, word: object) -> None:
        self.add(kind, shown_name(word), word)

    def add_fields(self, known: frozenset[str], given: JsonObject, path: str) -> None:
        if not known.issuperset(given):
            for name, value in given.items():
                if name not in known:
                    self.add(DriftKind.FIELD, f"{path}{shown_name(name)}", value)


def note_drift(organization: Organization, stream: Stream, records: Sequence[Record]) -> None:
    """Count what is unknown in these records."""
    notes = _Notes()
    schema = _SCHEMAS[stream]
    for record in records:
        _look(record.payload, schema, notes)
    if notes:
        _store(organization, stream, notes, timezone.now())


def _look(payload: JsonObject, schema: Schema, notes: _Notes) -> None:
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
        notes.add_word(DriftKind.STATUS, status)


class _Entries(NamedTuple):
    """What is known of the objects of a list: their fields, and the words that one of these holds."""

    fields: frozenset[str]
    key: str
    words: frozenset[str]
    kind: DriftKind

    def are_all_known(self, entries: list[Any]) -> bool:
        """Say whether there is surely nothing to note: nothing but an object has a value by name."""
        try:
            words = map(itemgetter(self.key), entries)
            return self.words.issuperset(words) and self.fields.issuperset(chain.from_iterable(entries))
        except (KeyError, TypeError):
            return False


_MESSAGES = _Entries(MESSAGE_FIELDS, "role", ROLES, DriftKind.ROLE)
_COSTS = {
    schema.cost_kinds: _Entries(COST_FIELDS, "type", schema.cost_kinds, DriftKind.COST_KIND)
    for schema in _SCHEMAS.values()
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


def _store(organization: Organization, stream: Stream, notes: _Notes, now: datetime) -> None:
    """Add to what is noted already. Sorted, so that concurrent writers wait for each other in one order."""
    table = SchemaDrift._meta.db_table
    rows = [
        (
            *(organization.pk, stream.value, kind, name),
            dump_payload(shape_of(found.sample)),
            *(now, now, found.count),
        )
        for (kind, name), found in sorted(notes.items())
    ]
    with connection.cursor() as cursor:
        cursor.executemany(
            f'INSERT INTO "{table}" AS t (organization_id, stream, kind, name, shape, first_seen_at,'  # noqa: S608 - a table of ours
            " last_seen_at, count) VALUES (%s, %s, %s, %s, %s, %s, %s, %s)"
            " ON CONFLICT (organization_id, stream, kind, name) DO UPDATE SET"
            " count = t.count + excluded.count, last_seen_at = excluded.last_seen_at",
            rows if connection.vendor == "postgresql" else adapted(rows),
        )
