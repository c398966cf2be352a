"""Owns letting go of rows for good: payloads and whole rows past our own retention, and the digests of what is gone.

Sums of costs stay: a forgotten row's cost lines are kept under its digest, without its id. A legal hold beats
everything here. Asks Vapi nothing.
"""

from __future__ import annotations

import hmac
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper
from django.db.models import QuerySet
from django.utils import timezone

from sessions_app.mirror.holds import extend_holds, held_among, held_sessions
from sessions_app.mirror.rows import delete_rows, select_rows
from sessions_app.mirror.tables import CHATS, SESSIONS, MirrorTable
from sessions_app.models import (
    CostLine,
    FieldChange,
    ForgottenId,
    NumberSuffix,
    Organization,
    ReportedCost,
    SearchText,
    Session,
)
from sessions_app.models.forgetting import ForgottenReason
from sessions_app.models.runs import Stream
from sessions_app.search.words import lock_numbers, suffixes

# One transaction each: on SQLite every other writer waits for it.
_AT_ONCE = 100
# About a tenth of a second's work.
_MERGE_PAGES = 500
_FTS = "sessions_app_searchwords"
_SEARCH, _LINES, _REPORTED = (model._meta.db_table for model in (SearchText, CostLine, ReportedCost))


@dataclass(frozen=True)
class LetGo:
    payloads: int
    rows: int


# Digests -------------------------------------------------------------------------------------------


def digest_of(organization_id: int, stream: str, remote_id: str, key: str = "") -> str:
    """Return the keyed digest by which an id is known after it was let go."""
    text = f"vapiadmin.forgotten:{organization_id}:{stream}:{remote_id}"
    return hmac.digest((key or settings.SECRET_KEY).encode(), text.encode(errors="replace"), "sha256").hex()


def digests_of(organization_id: int, stream: str, remote_id: str) -> list[str]:
    """Return every digest by which the id may be known: SECRET_KEY may have been changed since."""
    keys = (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    return [digest_of(organization_id, stream, remote_id, str(key)) for key in keys]


def forgotten_among(
    organization: Organization, stream: str, ids: Collection[str], reason: ForgottenReason | None = None
) -> set[str]:
    """Return those of `ids` that were let go, for whatever reason. One cheap query where nothing ever was."""
    known = ForgottenId.objects.filter(organization=organization, stream=stream)
    if reason is not None:
        known = known.filter(reason=reason)
    if not ids or not known.exists():
        return set()
    by_digest = {digest: each for each in ids for digest in digests_of(organization.pk, stream, each)}
    digests = list(by_digest)
    found: set[str] = set()
    for start in range(0, len(digests), 900):
        part = known.filter(digest__in=digests[start : start + 900])
        found |= {by_digest[digest] for digest in part.values_list("digest", flat=True)}
    return found


def remember(organization: Organization, stream: str, days: dict[str, date], reason: ForgottenReason) -> None:
    """Note ids as let go, each with the UTC day of its createdAt. What was pruned may be erased as well."""
    now = timezone.now()
    if reason == ForgottenReason.ERASED:
        known_before: dict[str, Any] = {
            "update_conflicts": True,
            "unique_fields": ["organization", "stream", "digest"],
            "update_fields": ["reason"],
        }
    else:
        known_before = {"ignore_conflicts": True}
    ForgottenId.objects.bulk_create(
        [
            ForgottenId(
                organization=organization,
                stream=stream,
                digest=digest_of(organization.pk, stream, remote_id),
                reason=reason,
                created_day=day,
                forgotten_at=now,
            )
            for remote_id, day in sorted(days.items())
        ],
        **known_before,
    )


def erase_with_sessions(organization: Organization, chats: Mapping[str, tuple[str, datetime]]) -> set[str]:
    """Note new chats, {id: (session's id, createdAt)}, as erased where their session was. Returns their ids."""
    sessions = {session_id for session_id, _ in chats.values() if session_id}
    erased = forgotten_among(organization, Stream.SESSIONS, sessions, ForgottenReason.ERASED)
    days = {
        chat_id: created_at.astimezone(UTC).date()
        for chat_id, (session_id, created_at) in chats.items()
        if session_id in erased
    }
    if days:
        remember(organization, Stream.CHATS, days, ForgottenReason.ERASED)
    return set(days)


# Rows ----------------------------------------------------------------------------------------------


def not_held(rows: QuerySet[Any], table: MirrorTable) -> QuerySet[Any]:
    """Leave out what a legal hold keeps: held sessions, and their chats."""
    return rows.exclude(held_sessions("pk" if table is SESSIONS else "session_id"))


@contextmanager
def writers_held(organization: Organization) -> Iterator[None]:
    """A transaction during which nothing of the organization is stored: writers that have begun finish first.

    It waits for them before it has locked anything else. SQLite has one writer at a time, which this transaction is.
    """
    with transaction.atomic():
        # Not FOR UPDATE: it would keep writers from checking their foreign keys.
        Organization.objects.select_for_update(no_key=True).get(pk=organization.pk)
        yield


def forget_rows(
    organization: Organization,
    table: MirrorTable,
    ids: Sequence[str],
    reason: ForgottenReason,
    *,
    updated_before: datetime | None = None,
) -> int:
    """Delete rows with payloads, words, history and numbers, in one transaction. Returns how many there were.

    With `updated_before` those that were updated since stay.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        mine = not_held(table.model.objects.filter(organization=organization, pk__in=ids), table)
        rows = mine if updated_before is None else mine.filter(updated_at__lt=updated_before)
        gone = {pk: moment.astimezone(UTC).date() for pk, moment in _lock(rows, table).items()}
        if not gone:
            return 0
        remember(organization, table.stream, gone, reason)
        numbers = _numbers(table, list(gone))
        _forget_words(cursor, table, list(gone))
        delete_rows(cursor, table.payload_name, table.payload_key, list(gone))
        _rename_costs(cursor, organization, table, list(gone))
        if table is SESSIONS:
            FieldChange.objects.filter(organization=organization, session_id__in=gone).delete()
        delete_rows(cursor, table.name, "id", list(gone))
        forget_numbers(numbers)
    return len(gone)


def _lock(rows: QuerySet[Any], table: MirrorTable) -> dict[str, datetime]:
    """Lock rows that may be let go. Returns the createdAt of each that may be, now that it is locked."""
    # In one order, before anything of them is read: a writer that waits finds the digest afterwards.
    ordered = rows.select_for_update(of=("self",)).order_by("pk")
    locked = dict(ordered.values_list("pk", "created_at"))
    # Whoever holds a session locks it too: asked once more, as it may have been held while this waited.
    held = held_among(locked) if table is SESSIONS else set()
    return {pk: moment for pk, moment in locked.items() if pk not in held}


def remove_offered(cursor: CursorWrapper, table: MirrorTable, ids: Collection[str]) -> None:
    """Take back rows that were just written although they had been let go meanwhile."""
    delete_rows(cursor, table.name, "id", sorted(ids))


def _numbers(table: MirrorTable, ids: Sequence[str]) -> set[str]:
    if table is not SESSIONS:
        return set()
    found = Session.objects.filter(pk__in=ids).exclude(customer_digits="")
    return set(found.values_list("customer_digits", flat=True))


def forget_numbers(numbers: Collection[str]) -> None:
    """Delete the parts of numbers that no session has any more, in the caller's transaction."""
    # Locked first: whoever is storing a session of a known number holds them, and is waited for.
    lock_numbers(numbers)
    used = set(Session.objects.filter(customer_digits__in=numbers).values_list("customer_digits", flat=True))
    for number in sorted(set(numbers) - used):
        NumberSuffix.objects.filter(suffix__in=suffixes(number), digits=number).delete()


def _forget_words(cursor: CursorWrapper, table: MirrorTable, ids: Sequence[str]) -> None:
    source = f" AND source = '{table.source.value}'"
    if connection.vendor == "sqlite":
        rowids = [row[0] for row in select_rows(cursor, _SEARCH, ("id",), "parent_id", ids, source)]
        delete_rows(cursor, _FTS, "rowid", rowids)
    delete_rows(cursor, _SEARCH, "parent_id", ids, source)


def _rename_costs(
    cursor: CursorWrapper, organization: Organization, table: MirrorTable, ids: Sequence[str]
) -> None:
    """Sums stay equal to their lines; the lines no longer name what they came from."""
    source = table.source.value
    # A chat's own lines name it; what the chats of a forgotten session cost is not listed under its id either.
    own = ", chat_id = %(name)s" if table is CHATS else ""
    for remote_id in ids:
        name = f"forgotten-{digest_of(organization.pk, table.stream, remote_id)}"
        cursor.execute(
            f"UPDATE {_LINES} SET id = %(start)s || position, parent_id = %(name)s{own}"  # noqa: S608 - our own table's name
            " WHERE source = %(source)s AND parent_id = %(id)s",
            {"start": f"{source}:{name}:", "name": name, "source": source, "id": remote_id},
        )
        cursor.execute(
            f"UPDATE {_REPORTED} SET id = %s, parent_id = %s WHERE id = %s",  # noqa: S608 - our own table's name
            [f"{source}:{name}", name, f"{source}:{remote_id}"],
        )
        if table is SESSIONS:
            CostLine.objects.filter(session_id=remote_id).update(session_id=name)


# Our own retention ---------------------------------------------------------------------------------


def prune_retained(now: datetime | None = None) -> LetGo:
    """Let go of what is past each organization's own retention. May be killed, and run any number of times.

    A row's age counts from Vapi's updatedAt: a session that goes on is not old.
    """
    now = now or timezone.now()
    payloads = rows = 0
    for organization in Organization.objects.all():
        extend_holds(organization)
        for table in (CHATS, SESSIONS):
            rows += _prune_rows(organization, table, now)
            payloads += _prune_payloads(organization, table, now)
    return LetGo(payloads, rows)


def _prune_rows(organization: Organization, table: MirrorTable, now: datetime) -> int:
    before = _past(now, organization.row_retention_days)
    old = old_rows(organization, table, now)
    pruned = 0
    while ids := list(old.values_list("pk", flat=True)[:_AT_ONCE]):
        done = forget_rows(organization, table, ids, ForgottenReason.PRUNED, updated_before=before)
        if not done:
            break
        pruned += done
    return pruned


def _prune_payloads(organization: Organization, table: MirrorTable, now: datetime) -> int:
    """Drop what was said; names, customer and costs stay."""
    old = old_payloads(organization, table, now)
    pruned = 0
    while ids := list(old.values_list("pk", flat=True)[:_AT_ONCE]):
        with transaction.atomic(), connection.cursor() as cursor:
            # Held or updated since they were chosen: they stay.
            gone = list(_lock(old.filter(pk__in=ids), table))
            delete_rows(cursor, table.payload_name, table.payload_key, gone)
            _forget_said(cursor, table, gone)
            if table is SESSIONS:
                FieldChange.objects.filter(organization=organization, session_id__in=gone).delete()
        pruned += len(gone)
    return pruned


def old_rows(organization: Organization, table: MirrorTable, now: datetime) -> QuerySet[Any]:
    """Whole rows that are past their age, but for those that are held. Oldest first."""
    return _older(organization, table, organization.row_retention_days, now)


def old_payloads(organization: Organization, table: MirrorTable, now: datetime) -> QuerySet[Any]:
    """Rows that still have a payload and are past its age, but for those that are held. Oldest first."""
    old = _older(organization, table, organization.payload_retention_days, now)
    return old.filter(stored_payload__isnull=False)


def _older(organization: Organization, table: MirrorTable, days: int | None, now: datetime) -> QuerySet[Any]:
    rows = table.model.objects.filter(organization=organization)
    before = _past(now, days)
    if before is None:
        return rows.none()
    return not_held(rows.filter(updated_at__lt=before), table).order_by("updated_at", "pk")


def _past(now: datetime, days: int | None) -> datetime | None:
    return None if days is None else now - timedelta(days=days)


def _forget_said(cursor: CursorWrapper, table: MirrorTable, ids: Sequence[str]) -> None:
    """Keep the words of names, by which a row is found, and none of what was said."""
    source = f" AND source = '{table.source.value}'"
    rowids = [row[0] for row in select_rows(cursor, _SEARCH, ("id",), "parent_id", ids, source)]
    if connection.vendor == "postgresql":
        cursor.execute(
            f"UPDATE {_SEARCH} SET words = ts_filter(words, '{{a}}') WHERE id = ANY(%s)",  # noqa: S608 - our own table's name
            [rowids],
        )
    else:
        cursor.executemany(
            f"UPDATE {_FTS} SET said = '' WHERE rowid = %s",  # noqa: S608 - our own table's name
            [(rowid,) for rowid in rowids],
        )


def overwrite_deleted() -> None:
    """SQLite: let what this connection deletes be overwritten in the file."""
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA secure_delete = ON")


def purge_index_and_journal() -> None:
    """SQLite: merge the index of words, step by step, so that deleted words leave it; then empty the write-ahead log.

    PostgreSQL does both by itself, with autovacuum and by recycling its log.
    """
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            pages = -_MERGE_PAGES
            while _merge(cursor, pages) >= 2:  # SQLite's own sign that something was left to merge
                pages = _MERGE_PAGES
            # Whatever the steps left, in one: little by now.
            cursor.execute(f"INSERT INTO {_FTS} ({_FTS}) VALUES ('optimize')")  # noqa: S608 - our own table's name
            if not connection.in_atomic_block:
                cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _merge(cursor: CursorWrapper, pages: int) -> int:
    cursor.execute("SELECT total_changes()")
    before: int = cursor.fetchone()[0]
    cursor.execute(f"INSERT INTO {_FTS} ({_FTS}, rank) VALUES ('merge', %s)", [pages])  # noqa: S608 - our own table's name
    cursor.execute("SELECT total_changes()")
    changes: int = cursor.fetchone()[0] - before
    return changes
