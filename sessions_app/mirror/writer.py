"""The only writer of mirrored columns: parsed records into rows, lines, rollup and search, in one transaction.

The order matters. Parents are upserted first, sorted by id, which locks them; only then are their old lines read
and replaced, and the difference added to the rollup. Reading old lines earlier would let concurrent writers count
one line twice.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from django.db import IntegrityError, InterfaceError, OperationalError, connection, transaction
from django.db.backends.utils import CursorWrapper
from django.utils import timezone

from sessions_app.costs.lines import LineRow, ReportedRow
from sessions_app.costs.rollup import change_rollup, hold_report_zone
from sessions_app.logs import describe_error
from sessions_app.mirror.drift import note_drift
from sessions_app.mirror.forgetting import erase_with_sessions, forgotten_among, remove_offered
from sessions_app.mirror.history import Origin, Replacement, keep_words, note_changes
from sessions_app.mirror.quarantine import quarantine, release
from sessions_app.mirror.rows import (
    delete_rows,
    insert_rows,
    select_rows,
    stored_time,
    take_rows,
    upsert_parents,
)
from sessions_app.mirror.tables import (
    CHATS,
    SESSIONS,
    MirrorTable,
    Record,
    digits_of,
    line_rows,
    reported_row,
    session_of,
)
from sessions_app.mirror.versions import (
    MAY_REPLACE,
    MAY_REPLACE_BY_HINT,
    NEVER_ASKED,
    Version,
    is_hint_news,
    is_news,
    stored_versions,
)
from sessions_app.models import CostLine, Organization, ReportedCost, SyncRun
from sessions_app.models.history import ChangeSource
from sessions_app.search.words import WordsRow, index_numbers, index_words
from sessions_app.vapi.json import JsonObject, dump_payload, load_payload
from sessions_app.vapi.payloads import ChatRecord, SessionRecord, parse_chat, parse_session

# A transaction ends at whichever comes first, so that on SQLite no other writer waits long.
MAX_ROWS = 1000
MAX_BYTES = 8_000_000
_TRIES = 4
_Row = TypeVar("_Row", LineRow, ReportedRow)
_LINES, _REPORTED = CostLine._meta.db_table, ReportedCost._meta.db_table
_LINE_COLUMNS = tuple("cost_usd" if name == "cost_pico" else name for name in LineRow._fields)
_REPORTED_COLUMNS = tuple("cost_usd" if name == "cost_pico" else name for name in ReportedRow._fields)


@dataclass
class WriteResult:
    """How many records were new, changed, the same as before, and kept apart as they could not be stored."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    quarantined: int = 0
    written_ids: set[str] = field(default_factory=set)

    def __iadd__(self, other: WriteResult) -> WriteResult:
        self.created += other.created
        self.updated += other.updated
        self.unchanged += other.unchanged
        self.quarantined += other.quarantined
        self.written_ids |= other.written_ids
        return self


@dataclass(frozen=True)
class _Batch:
    table: MirrorTable
    organization: Organization
    asked_at: datetime
    run: SyncRun | None
    deep: bool
    origin: Origin
    is_hint: bool = False

    def is_news(self, record: Record, stored: Version | None) -> bool:
        if self.is_hint:
            return is_hint_news(record, stored)
        return is_news(record, stored, self.asked_at, deep=self.deep)


def mirror_sessions(
    organization: Organization,
    records: Iterable[SessionRecord],
    *,
    asked_at: datetime,
    run: SyncRun | None = None,
    deep: bool = False,
    source: ChangeSource = ChangeSource.SYNC,
    edit_id: int | None = None,
) -> WriteResult:
    """Store sessions asked for at `asked_at`. `deep` compares whole contents: for the answer to a GET.

    `source` and `edit_id` are what the history says of changes found here.
    """
    return _mirror(_Batch(SESSIONS, organization, asked_at, run, deep, Origin(source, edit_id)), records)


def mirror_chats(
    organization: Organization,
    records: Iterable[ChatRecord],
    *,
    asked_at: datetime,
    run: SyncRun | None = None,
    deep: bool = False,
    source: ChangeSource = ChangeSource.SYNC,
    edit_id: int | None = None,
) -> WriteResult:
    """Store chats, as `mirror_sessions` does sessions. They are not edited, and have no history."""
    return _mirror(_Batch(CHATS, organization, asked_at, run, deep, Origin(source, edit_id)), records)


def mirror_hint(table: MirrorTable, organization: Organization, record: Record) -> WriteResult:
    """Store a session or chat that came unasked, by webhook. A tie is never decided by it: that takes a GET."""
    origin = Origin(ChangeSource.WEBHOOK)
    return _mirror(_Batch(table, organization, NEVER_ASKED, None, False, origin, is_hint=True), [record])


def _mirror(batch: _Batch, records: Iterable[Record]) -> WriteResult:
    result = WriteResult()
    offered = _newest_of_each(records)
    with connection.cursor() as cursor:
        versions = stored_versions(cursor, batch.table, [record.id for record in offered])
    news: list[Record] = []
    unchanged: set[str] = set()
    let_go = _let_go(batch, [each for each in offered if each.id not in versions])
    for record in offered:
        if record.id in let_go:
            result.unchanged += 1
            continue
        stored = versions.get(record.id)
        refusal = _refusal(batch, record, stored)
        if refusal:
            result.quarantined += 1
            _quarantine(batch, record, refusal)
        elif batch.is_news(record, stored):
            news.append(record)
        else:
            result.unchanged += 1
            unchanged.add(record.id)
    release(batch.organization, batch.table.stream, unchanged)
    for part in _portions(news):
        result += _write_or_bisect(batch, part, versions)
    note_drift(batch.organization, batch.table.stream, news)
    return result


def _let_go(batch: _Batch, new: Sequence[Record]) -> set[str]:
    let_go = forgotten_among(batch.organization, batch.table.stream, [each.id for each in new])
    if batch.table is CHATS:
        chats = {each.id: (session_of(each), each.created_at) for each in new}
        let_go |= erase_with_sessions(batch.organization, chats)
    return let_go


def _newest_of_each(records: Iterable[Record]) -> list[Record]:
    newest: dict[str, Record] = {}
    for record in records:
        known = newest.get(record.id)
        if known is None or record.updated_at >= known.updated_at:
            newest[record.id] = record
    return sorted(newest.values(), key=lambda record: record.id)


def _refusal(batch: _Batch, record: Record, stored: Version | None) -> str:
    if stored is not None and stored.organization_id != batch.organization.pk:
        return "id: belongs to another organization"
    if batch.organization.vapi_org_id and record.org_id != batch.organization.vapi_org_id:
        return "orgId: not the one this organization was pinned to"
    return ""


def _portions(records: Sequence[Record]) -> Iterator[list[Record]]:
    part: list[Record] = []
    size = 0
    for record in records:
        if part and (len(part) >= MAX_ROWS or size + len(record.payload_json) > MAX_BYTES):
            yield part
            part, size = [], 0
        part.append(record)
        size += len(record.payload_json)
    if part:
        yield part


def _write_or_bisect(batch: _Batch, records: list[Record], stored: Container[str]) -> WriteResult:
    """Write records; where the database refuses, halve until the one that it refuses stands alone.

    `stored` are the ids of those that were there when they were looked for.
    """
    try:
        return _write_with_retries(batch, records, stored)
    except Exception as error:
        if not _is_a_records_fault(error):
            raise
        if len(records) == 1:
            _quarantine(batch, records[0], describe_error(error))
            return WriteResult(quarantined=1)
    middle = len(records) // 2
    result = _write_or_bisect(batch, records[:middle], stored)
    result += _write_or_bisect(batch, records[middle:], stored)
    return result


def _write_with_retries(batch: _Batch, records: list[Record], stored: Container[str]) -> WriteResult:
    are_new = not any(record.id in stored for record in records)
    for _ in range(_TRIES - 1):
        try:
            return _write(batch, records, are_new=are_new)
        except IntegrityError:
            # Somebody else stored one of them meanwhile, or left something of it behind.
            are_new = False
        except OperationalError as error:
            if not _is_passing(error):
                raise
    return _write(batch, records, are_new=False)


def _is_a_records_fault(error: Exception) -> bool:
    """An operational error means a database that is away or busy, but for PostgreSQL's limits (class 54)."""
    if isinstance(error, OperationalError):
        return _sqlstate(error).startswith("54")
    return not isinstance(error, InterfaceError | MemoryError)


def _sqlstate(error: Exception) -> str:
    return getattr(error.__cause__, "sqlstate", None) or ""


def _is_passing(error: OperationalError) -> bool:
    """A deadlock or a serialization failure: the transaction was undone and may simply run again."""
    return _sqlstate(error) in {"40P01", "40001"}


def _write(batch: _Batch, records: list[Record], *, are_new: bool) -> WriteResult:
    """Write records in one transaction.

    Where none of them was stored when they were looked for (`are_new`) there is nothing to compare, replace or take
    out of the sums: they are inserted as they are. One that came in between is an IntegrityError.
    """
    table, organization = batch.table, batch.organization
    with transaction.atomic(), connection.cursor() as cursor:
        zone = hold_report_zone(cursor, organization.pk)
        before = {} if are_new else stored_versions(cursor, table, [record.id for record in records])
        writable = records if are_new else _still_news(batch, records, before)
        written = _write_parents(cursor, batch, writable, are_new=are_new)
        # Looked at with the rows locked: one may have been let go since it was offered.
        let_go = forgotten_among(organization, table.stream, written)
        if let_go:
            remove_offered(cursor, table, let_go)
            written -= let_go
        now_stored = [record for record in writable if record.id in written]
        _replace_costs(cursor, batch, now_stored, zone, are_new=are_new)
        worded = set() if are_new else _worded_ids(cursor, table, now_stored)
        with_words = [record for record in now_stored if record.id not in worded]
        if are_new:
            _insert_payloads(cursor, table, [(record.id, record.payload_json) for record in now_stored])
        else:
            _replace_payloads(cursor, batch, now_stored, {record.id for record in with_words})
        _index(cursor, batch, with_words, are_new=are_new)
        release(organization, table.stream, written)
    created = sum(1 for record_id in written if record_id not in before)
    return WriteResult(
        created=created,
        updated=len(written) - created,
        unchanged=len(records) - len(written),
        written_ids=written,
    )


def _write_parents(cursor: CursorWrapper, batch: _Batch, records: list[Record], *, are_new: bool) -> set[str]:
    """Store the rows themselves, sorted by id. Returns the ids really written."""
    table = batch.table
    now = timezone.now()
    rows = [table.row(record, batch.organization.pk, batch.asked_at, now) for record in records]
    if are_new:
        insert_rows(cursor, table.name, table.columns, rows)
        return {record.id for record in records}
    rule = MAY_REPLACE_BY_HINT if batch.is_hint else MAY_REPLACE
    return upsert_parents(cursor, table.name, table.columns, rows, rule) if rows else set()


def _still_news(batch: _Batch, records: list[Record], before: dict[str, Version]) -> list[Record]:
    """On SQLite the write lock is held by now, so this decides; PostgreSQL decides again, row by row."""
    return [
        record
        for record in records
        if _refusal(batch, record, before.get(record.id)) == ""
        and batch.is_news(record, before.get(record.id))
    ]


def _worded_ids(cursor: CursorWrapper, table: MirrorTable, records: list[Record]) -> set[str]:
    """Return those that came blank and whose stored payload says something: Zero Data Retention blanks it, and we
    keep what we have."""
    ids = [record.id for record in records if record.blank_content]
    columns = (table.payload_key, "payload_json")
    stored = select_rows(cursor, table.payload_name, columns, table.payload_key, ids) if ids else []
    parse = parse_session if table is SESSIONS else parse_chat
    return {remote_id for remote_id, text in stored if not parse(load_payload(text)).blank_content}


def _replace_costs(
    cursor: CursorWrapper, batch: _Batch, records: list[Record], zone: ZoneInfo, *, are_new: bool
) -> None:
    table, organization_id = batch.table, batch.organization.pk
    lines = [line for record in records for line in line_rows(table, record, organization_id)]
    reported = [reported_row(table, record, organization_id) for record in records]
    old = [] if are_new else _take_costs(cursor, table, records)
    insert_rows(cursor, _LINES, _LINE_COLUMNS, lines)
    insert_rows(cursor, _REPORTED, _REPORTED_COLUMNS, reported)
    change_rollup(cursor, zone, old, [*lines, *reported])


def _take_costs(
    cursor: CursorWrapper, table: MirrorTable, records: list[Record]
) -> list[LineRow | ReportedRow]:
    """Delete the stored lines and reported costs. Returns them."""
    ids = [record.id for record in records]
    keys = [f"{table.source.value}:{record_id}" for record_id in ids]
    source = f" AND source = '{table.source.value}'"
    lines = select_rows(cursor, _LINES, _LINE_COLUMNS, "parent_id", ids, source)
    reported = select_rows(cursor, _REPORTED, _REPORTED_COLUMNS, "id", keys)
    if lines or reported:
        delete_rows(cursor, _LINES, "parent_id", ids, source)
        delete_rows(cursor, _REPORTED, "id", keys)
    return [*_old_rows(LineRow, lines), *_old_rows(ReportedRow, reported)]


def _old_rows(kind: type[_Row], stored: list[tuple[Any, ...]]) -> list[_Row]:
    rows = [kind(*values) for values in stored]
    return [row._replace(occurred_at=stored_time(row.occurred_at)) for row in rows]


def _insert_payloads(cursor: CursorWrapper, table: MirrorTable, rows: list[tuple[str, str]]) -> None:
    insert_rows(cursor, table.payload_name, (table.payload_key, "payload_json"), rows)


def _replace_payloads(
    cursor: CursorWrapper, batch: _Batch, records: list[Record], with_words: set[str]
) -> None:
    table = batch.table
    if table is SESSIONS:
        rows = _replace_with_history(cursor, batch, records, with_words)
    else:
        rows = [(record.id, record.payload_json) for record in records if record.id in with_words]
        delete_rows(cursor, table.payload_name, table.payload_key, [row[0] for row in rows])
    _insert_payloads(cursor, table, rows)


def _replace_with_history(
    cursor: CursorWrapper, batch: _Batch, records: list[Record], with_words: set[str]
) -> list[tuple[str, str]]:
    """Take the old payloads out, keep what changed, and return (id, JSON) of the new ones."""
    table = batch.table
    ids = [record.id for record in records]
    taken = take_rows(cursor, table.payload_name, table.payload_key, "payload_json", ids)
    rows: list[tuple[str, str]] = []
    replaced: list[Replacement] = []
    for record in records:
        assert isinstance(record, SessionRecord)  # noqa: S101 - of the sessions' table
        if record.id not in taken:
            rows.append((record.id, record.payload_json))
            continue
        old: JsonObject = load_payload(taken[record.id])
        has_words = record.id in with_words
        new = record.payload if has_words else keep_words(old, record)
        rows.append((record.id, record.payload_json if has_words else dump_payload(new)))
        replaced.append(Replacement(record, old, new))
    note_changes(cursor, batch.organization, replaced, batch.origin)
    return rows


def _index(cursor: CursorWrapper, batch: _Batch, records: list[Record], *, are_new: bool) -> None:
    source = batch.table.source.value
    rows = [
        WordsRow(source, record.id, session_of(record), record.labels, record.words) for record in records
    ]
    index_words(cursor, batch.organization.pk, rows, are_new=are_new)
    numbers = {digits_of(record.customer_number) for record in records if isinstance(record, SessionRecord)}
    index_numbers(cursor, numbers - {""})


def _quarantine(batch: _Batch, record: Record, reason: str) -> None:
    quarantine(
        batch.organization,
        batch.table.stream,
        remote_id=record.id,
        reason=reason,
        payload_json=record.payload_json,
        run=batch.run,
    )
