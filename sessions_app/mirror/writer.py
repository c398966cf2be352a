"""The only writer of mirrored columns: parsed records into rows, lines, rollup and search, in one transaction.

The order matters. Parents are upserted first, sorted by id, which locks them; only then are their old lines read
and replaced, and at the very end the difference is added to the rollup. Reading old lines earlier would let concurrent
writers count one line twice. Costs and payloads are parts of it in modules of their own, called by nobody else.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime

from django.db import IntegrityError, InterfaceError, OperationalError, connection, transaction
from django.db.backends.utils import CursorWrapper
from django.utils import timezone

from sessions_app.costs.rollup import add_sums, hold_report_zone
from sessions_app.logs import describe_error
from sessions_app.mirror.commits import unhurried
from sessions_app.mirror.drift import note_drift
from sessions_app.mirror.forgetting import erase_with_sessions, forgotten_among, remove_offered
from sessions_app.mirror.history import Origin
from sessions_app.mirror.quarantine import quarantine, release
from sessions_app.mirror.rows import insert_rows, upsert_parents
from sessions_app.mirror.stored_costs import replace_costs
from sessions_app.mirror.stored_payloads import (
    insert_payloads,
    keep_failures,
    kept_words,
    replace_payloads,
)
from sessions_app.mirror.tables import (
    CHATS,
    SESSIONS,
    MirrorTable,
    Record,
    digits_of,
    session_of,
)
from sessions_app.mirror.versions import (
    MAY_REPLACE,
    MAY_REPLACE_BY_HINT,
    NEVER_ASKED,
    Version,
    Versions,
    is_hint_news,
    is_news,
    refusal,
    stored_versions,
)
from sessions_app.models import Organization, SyncRun
from sessions_app.models.history import ChangeSource
from sessions_app.models.runs import RunKind
from sessions_app.search.words import WordsRow, index_numbers, index_words
from sessions_app.vapi.messages import Said
from sessions_app.vapi.payloads import ChatRecord, SessionRecord
from sessions_app.vapi.words import Words, index_of

# A transaction ends at whichever comes first, so that on SQLite no other writer waits long.
MAX_ROWS = 1000
MAX_BYTES = 8_000_000
_TRIES = 4
# Answers that one worker stores at a time where the database takes more than one writer: what of a transaction is its
# own work, and what is waiting for the database, of one of them comes beside that of the other.
_AT_ONCE = 2


def is_one_writer_enough() -> bool:
    """Say whether the database takes one writer at a time, which one worker keeps busy: SQLite."""
    return connection.vendor == "sqlite"


def writers_at_once() -> int:
    """Return how many answers one worker may store at the same time."""
    return 1 if is_one_writer_enough() else _AT_ONCE


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
    # What was stored when the records came, where that was looked at.
    looked_at: Versions | None = None

    def transaction(self) -> AbstractContextManager[None]:
        """What a full sync stores is read again where it is lost; what came otherwise, Vapi may have let go of."""
        is_full = self.run is not None and self.run.kind == RunKind.BACKFILL
        return unhurried() if is_full else transaction.atomic()

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
    looked_at: Versions | None = None,
) -> WriteResult:
    """Store sessions asked for at `asked_at`. `deep` compares whole contents: for the answer to a GET.

    `source` and `edit_id` are what the history says of changes found here. `looked_at` are the versions that were
    stored when the records came; whatever has happened since, none is written that is no news by then.
    """
    origin = Origin(source, edit_id)
    batch = _Batch(SESSIONS, organization, asked_at, run, deep, origin, looked_at=looked_at)
    return _mirror(batch, records)


def mirror_chats(
    organization: Organization,
    records: Iterable[ChatRecord],
    *,
    asked_at: datetime,
    run: SyncRun | None = None,
    deep: bool = False,
    source: ChangeSource = ChangeSource.SYNC,
    edit_id: int | None = None,
    looked_at: Versions | None = None,
) -> WriteResult:
    """Store chats, as `mirror_sessions` does sessions. They are not edited, and have no history."""
    origin = Origin(source, edit_id)
    batch = _Batch(CHATS, organization, asked_at, run, deep, origin, looked_at=looked_at)
    return _mirror(batch, records)


def mirror_hint(table: MirrorTable, organization: Organization, record: Record) -> WriteResult:
    """Store a session or chat that came unasked, by webhook. A tie is never decided by it: that takes a GET."""
    origin = Origin(ChangeSource.WEBHOOK)
    return _mirror(_Batch(table, organization, NEVER_ASKED, None, False, origin, is_hint=True), [record])


def _mirror(batch: _Batch, records: Iterable[Record]) -> WriteResult:
    result = WriteResult()
    offered = _newest_of_each(records)
    versions = batch.looked_at
    if versions is None:
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
        if reason := refusal(record, stored, batch.organization):
            result.quarantined += 1
            _quarantine(batch, record, reason)
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
    return let_go | _erased_with_sessions(batch, new)


def _erased_with_sessions(batch: _Batch, new: Sequence[Record]) -> set[str]:
    if batch.table is not CHATS:
        return set()
    chats = {each.id: (session_of(each), each.created_at) for each in new}
    return erase_with_sessions(batch.organization, chats)


def _newest_of_each(records: Iterable[Record]) -> list[Record]:
    newest: dict[str, Record] = {}
    for record in records:
        known = newest.get(record.id)
        if known is None or record.updated_at >= known.updated_at:
            newest[record.id] = record
    return sorted(newest.values(), key=lambda record: record.id)


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
    with batch.transaction(), connection.cursor() as cursor:
        zone = hold_report_zone(cursor, organization.pk)
        before = {} if are_new else stored_versions(cursor, table, [record.id for record in records])
        writable = records if are_new else _still_news(batch, records, before)
        written = _write_parents(cursor, batch, writable, are_new=are_new)
        # Looked at with the rows locked: one, or its session, may have been let go since it was offered.
        new = [record for record in writable if record.id in written and record.id not in before]
        let_go = forgotten_among(organization, table.stream, written) | _erased_with_sessions(batch, new)
        if let_go:
            remove_offered(cursor, table, let_go)
            written -= let_go
        now_stored = [record for record in writable if record.id in written]
        moved = replace_costs(cursor, table, organization.pk, now_stored, zone, are_new=are_new)
        kept = {} if are_new else kept_words(cursor, table, now_stored)
        if are_new:
            insert_payloads(cursor, table, [(record.id, record.payload_json) for record in now_stored])
        else:
            with_words = {record.id for record in now_stored} - kept.keys()
            replace_payloads(cursor, table, organization, now_stored, with_words, batch.origin)
            keep_failures(table, kept)
        _index(cursor, batch, now_stored, kept, are_new=are_new)
        release(organization, table.stream, written)
        # Last, what other writers wait for until this transaction has ended.
        index_numbers(cursor, _numbers(now_stored))
        add_sums(cursor, moved)
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
        if not refusal(record, before.get(record.id), batch.organization)
        and batch.is_news(record, before.get(record.id))
    ]


def _index(
    cursor: CursorWrapper, batch: _Batch, records: list[Record], kept: Mapping[str, Said], *, are_new: bool
) -> None:
    source = batch.table.source.value
    rows = [
        WordsRow(source, record.id, session_of(record), _words(record, kept.get(record.id)))
        for record in records
    ]
    index_words(cursor, batch.organization.pk, rows, are_new=are_new)


def _words(record: Record, kept: Said | None) -> Words:
    """What a record is found by: its names, and what was said, in it or in what is kept of it."""
    return record.index if kept is None else index_of(record.labels, kept.words)


def _numbers(records: list[Record]) -> set[str]:
    numbers = {digits_of(record.customer_number) for record in records if isinstance(record, SessionRecord)}
    return numbers - {""}


def _quarantine(batch: _Batch, record: Record, reason: str) -> None:
    quarantine(
        batch.organization,
        batch.table.stream,
        remote_id=record.id,
        reason=reason,
        payload_json=record.payload_json,
        run=batch.run,
    )
