"""Keeps what changed in a session whenever a newer state replaces one, and makes past states from that.

Written by the writer in its own transaction, so that state and history cannot part. What only Vapi saw between two
of our looks is one change here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import models
from django.db.backends.utils import CursorWrapper
from django.db.models.functions import Cast
from django.utils import timezone

from sessions_app.mirror.differences import Changes, find_differences, undo_differences
from sessions_app.mirror.rows import insert_rows
from sessions_app.models import FieldChange, Organization, Session, SessionPayload
from sessions_app.models.history import ChangeSource
from sessions_app.vapi.json import JsonObject, dump_payload, load_payload
from sessions_app.vapi.messages import look_through
from sessions_app.vapi.payloads import SessionRecord
from sessions_app.vapi.times import parse_time

_COLUMNS = ("organization_id", "session_id", "source", "edit_id", "seen_at", "updated_at", "fields")
# Fields that hold what was said.
_WORDS = ("messages", "artifact")
# PostgreSQL's jsonb has no room for numbers of many thousand digits.
_MAYBE_ENDLESS = re.compile(r"[eE][+-]?\d{4}")
_MOST_DIGITS = 1000


@dataclass(frozen=True)
class Origin:
    """What brought a new state."""

    source: ChangeSource = ChangeSource.SYNC
    edit_id: int | None = None


@dataclass(frozen=True)
class Replacement:
    """A new state, and the payload that it replaces."""

    record: SessionRecord
    old: JsonObject
    new: JsonObject


def keep_words(old: JsonObject, record: SessionRecord) -> JsonObject:
    """Return the payload of a record that came without words, with the words that we have."""
    kept = {**record.payload, **{name: old[name] for name in _WORDS if old.get(name)}}
    new, before = record.payload.get("artifact"), old.get("artifact")
    if isinstance(new, dict) and isinstance(before, dict):
        said = {name: value for name, value in before.items() if value and _says_nothing(new.get(name))}
        kept["artifact"] = {**new, **said}
    return kept


def _says_nothing(value: Any) -> bool:
    return value in (None, "", [], {}) or (isinstance(value, list) and look_through(value).is_silent)


def note_changes(
    cursor: CursorWrapper, organization: Organization, replaced: Sequence[Replacement], origin: Origin
) -> None:
    """Keep one row for each session in which something differs."""
    now = timezone.now()
    rows = []
    for each in replaced:
        changes = find_differences(each.old, each.new)
        if changes:
            fields = _dump(changes)
            updated_at = each.record.updated_at
            rows.append(
                (
                    organization.pk,
                    each.record.id,
                    origin.source.value,
                    origin.edit_id,
                    now,
                    updated_at,
                    fields,
                )
            )
    insert_rows(cursor, FieldChange._meta.db_table, _COLUMNS, rows)


def _dump(changes: Changes) -> str:
    text = dump_payload(changes)
    return dump_payload(_without_endless(changes)) if _MAYBE_ENDLESS.search(text) else text


def _without_endless(value: Any) -> Any:
    if isinstance(value, Decimal) and abs(value.adjusted()) >= _MOST_DIGITS:
        return str(value)
    if isinstance(value, list):
        return [_without_endless(inner) for inner in value]
    if isinstance(value, dict):
        return {name: _without_endless(inner) for name, inner in value.items()}
    return value


@dataclass(frozen=True)
class PastState:
    """A session as it stood at a time, as far as that is known."""

    payload: JsonObject
    # Since when it stood so, by Vapi's clock. Later than the time asked for where history is cut.
    known_from: datetime
    is_cut: bool


def read_changes(changes: models.QuerySet[FieldChange]) -> models.QuerySet[FieldChange]:
    """Add `text`: the changes as they are stored, with every number as it was written."""
    return changes.defer("fields").annotate(text=Cast("fields", models.TextField()))


def state_at(session: Session, moment: datetime) -> PastState | None:
    """Undo, newest first, what happened after the moment. None where no payload is kept. Two queries.

    A change happened when Vapi says that the session was updated; where that did not move, when we saw it.
    """
    stored = SessionPayload.objects.filter(session=session).values_list("payload_json", flat=True).first()
    if stored is None:
        return None
    payload = load_payload(stored)
    known = FieldChange.objects.filter(organization_id=session.organization_id, session_id=session.pk)
    newest_first = read_changes(known).order_by("-seen_at", "-pk")
    for change in newest_first.iterator(chunk_size=100):
        fields = change_fields(change)
        if _happened_at(change, fields) <= moment:
            break
        payload = undo_differences(payload, fields)
    known_from = parse_time(payload.get("updatedAt")) or session.updated_at
    return PastState(payload, known_from, known_from > moment)


def change_fields(change: FieldChange) -> Changes:
    """Return the changes of a row that was read by `read_changes`, exact."""
    return load_payload(change.text)  # type: ignore[attr-defined]  # annotated by read_changes


def _happened_at(change: FieldChange, fields: Mapping[str, Any]) -> datetime:
    return change.updated_at if "updatedAt" in fields else change.seen_at
