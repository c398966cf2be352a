"""Our side of a proof: how many rows of each UTC day stand here, which days are due, and what was proven of them.

Asks Vapi nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from typing import Any

from django.db import connection
from django.db.models import CharField, Count, Max, Q, QuerySet
from django.db.models.expressions import Combinable
from django.db.models.functions import Cast, Substr, TruncDate
from django.utils import timezone

from sessions_app.mirror.leases import HeldLease
from sessions_app.mirror.tables import MirrorTable
from sessions_app.models import Coverage, Organization, Watermark
from sessions_app.models.coverage import CoverageState
from sessions_app.models.runs import Stream

# Equal counts can hide one lost and one deleted: a day is read whole this often.
WALK_EVERY = timedelta(days=7)
# In its turn, so that not every day is due in one night, but never twice within this time.
_WALK_AT_MOST_EVERY = timedelta(days=1)
# Empty days are listed as far back as this; before it a day without rows belongs to the one before it.
_LISTED_DAYS = 1100
# What a day's note begins with where `totalItems` did not hold.
MISCOUNT = "Vapi's count does not hold"
_SAVED_FIELDS = (
    *("state", "upstream_count", "mirrored_count", "missing_count", "forgotten_count"),
    *("proven_at", "walked_at", "disturbed_at", "requests", "note"),
)


@dataclass(frozen=True)
class Span:
    """start <= createdAt < end."""

    start: datetime
    end: datetime


@dataclass(frozen=True)
class DayRows:
    """Rows here: those that Vapi has as far as we know, and those that are stamped missing."""

    live: int = 0
    missing: int = 0
    last_missing_at: datetime | None = None


@dataclass(frozen=True)
class Slot:
    """A day to be proven, with the empty days after it. `must_walk`: its count alone would prove too little."""

    day: date
    span: Span
    rows: DayRows
    known: Coverage | None
    must_walk: bool

    @property
    def expected(self) -> int:
        """How many ids Vapi should list: ours, and those that we let go and it kept."""
        return self.rows.live + (self.known.forgotten_count if self.known else 0)


@dataclass(frozen=True)
class Proof:
    """What was found of one day."""

    slot: Slot
    rows: DayRows
    state: CoverageState
    upstream: int
    forgotten: int = 0
    was_walked: bool = False
    requests: int = 1
    note: str = ""


def live_rows(organization: Organization, table: MirrorTable, span: Span) -> QuerySet[Any]:
    """Return the rows of a span that Vapi has as far as we know."""
    return table.model.objects.filter(
        organization=organization,
        created_at__gte=span.start,
        created_at__lt=span.end,
        missing_since__isnull=True,
    )


def middle_of(organization: Organization, table: MirrorTable, span: Span, count: int) -> datetime | None:
    """Return the createdAt that halves our rows of a span; None where one instant holds too many of them."""
    times = live_rows(organization, table, span).order_by("created_at").values_list("created_at", flat=True)
    middle: datetime | None = times[count // 2 : count // 2 + 1].first() if count else None
    return middle if middle and span.start < middle < span.end else None


def count_days(
    organization: Organization, table: MirrorTable, span: Span | None = None
) -> dict[date, DayRows]:
    """Return our rows by UTC day. One query."""
    rows = table.model.objects.filter(organization=organization)
    if span:
        rows = rows.filter(created_at__gte=span.start, created_at__lt=span.end)
    found = (
        rows.order_by()
        .values(on_day=_day())
        .annotate(
            live=Count("pk", filter=Q(missing_since__isnull=True)),
            missing=Count("pk", filter=Q(missing_since__isnull=False)),
            last_missing_at=Max("missing_since"),
        )
    )
    return {
        date.fromisoformat(str(row["on_day"])): DayRows(row["live"], row["missing"], row["last_missing_at"])
        for row in found
    }


def _day() -> Combinable:
    """The UTC day of createdAt. SQLite keeps times as text, which is far quicker to cut than to convert."""
    if connection.vendor == "sqlite":
        return Substr(Cast("created_at", CharField()), 1, 10)
    return TruncDate("created_at", tzinfo=UTC)


def plan_slots(
    organization: Organization,
    table: MirrorTable,
    *,
    first: datetime | None,
    until: datetime,
    walk_all: bool = False,
) -> list[Slot]:
    """Return every day from the first row on, here or at Vapi, up to `until`. Three queries."""
    ours = count_days(organization, table)
    known = {row.day: row for row in Coverage.objects.filter(organization=organization, stream=table.stream)}
    backfilled_at = Watermark.objects.filter(organization=organization, stream=table.stream).values_list(
        "backfilled_at", flat=True
    )
    walked_at = backfilled_at.first()
    days = _days(set(ours), first, until)
    starts = [datetime.combine(day, time(), UTC) for day in days]
    return [
        Slot(
            day,
            Span(start, min(end, until)),
            ours.get(day, DayRows()),
            known.get(day),
            walk_all or _must_walk(known.get(day), ours.get(day, DayRows()), day, walked_at),
        )
        for day, (start, end) in zip(days, pairwise([*starts, until]), strict=True)
    ]


def _days(ours: set[date], first: datetime | None, until: datetime) -> list[date]:
    last = until.astimezone(UTC).date()
    days = {day for day in ours if day <= last} | {last}
    if first is not None and first < until:
        days.add(first.astimezone(UTC).date())
    oldest = max(min(days), last - timedelta(days=_LISTED_DAYS))
    return sorted(days | {oldest + timedelta(days=number) for number in range((last - oldest).days)})


def _must_walk(known: Coverage | None, rows: DayRows, day: date, backfilled_at: datetime | None) -> bool:
    if known is not None and (known.state == CoverageState.DIFFERS or _is_disturbed(known, rows)):
        return True
    # The first full sync read every day whole.
    walked_at = (known.walked_at if known else None) or backfilled_at
    if walked_at is None:
        return True
    age = timezone.now() - walked_at
    has_its_turn = (timezone.now().toordinal() - day.toordinal()) % WALK_EVERY.days == 0
    return age >= WALK_EVERY or (has_its_turn and age >= _WALK_AT_MOST_EVERY)


def _is_disturbed(known: Coverage, rows: DayRows) -> bool:
    """Say whether something disappeared since the last proof."""
    if known.proven_at is None:
        return False
    moments = [moment for moment in (known.disturbed_at, rows.last_missing_at) if moment is not None]
    return rows.missing != known.missing_count or any(moment > known.proven_at for moment in moments)


def counts_are_doubted(organization: Organization, stream: Stream, since: datetime) -> bool:
    """Say whether `totalItems` was found wrong since then."""
    return Coverage.objects.filter(
        organization=organization, stream=stream, note__startswith=MISCOUNT, walked_at__gte=since
    ).exists()


def save_proofs(
    organization: Organization, stream: Stream, lease: HeldLease, proofs: Sequence[Proof]
) -> None:
    """Write what was found, unless the lease was lost."""
    now = timezone.now()
    with lease.guarding():
        Coverage.objects.bulk_create(
            _rows(organization, stream, proofs, now),
            update_conflicts=True,
            unique_fields=["organization", "stream", "day"],
            update_fields=_SAVED_FIELDS,
            batch_size=500,
        )


def _rows(
    organization: Organization, stream: Stream, proofs: Iterable[Proof], now: datetime
) -> list[Coverage]:
    return [
        Coverage(
            organization=organization,
            stream=stream,
            day=proof.slot.day,
            state=proof.state,
            upstream_count=proof.upstream,
            mirrored_count=proof.rows.live,
            missing_count=proof.rows.missing,
            forgotten_count=proof.forgotten,
            # A day that differs was looked at, not proven: it keeps the time of its last proof.
            proven_at=_kept(proof.slot, "proven_at") if proof.state == CoverageState.DIFFERS else now,
            walked_at=now if proof.was_walked else _kept(proof.slot, "walked_at"),
            disturbed_at=_kept(proof.slot, "disturbed_at"),
            requests=proof.requests,
            note=proof.note,
        )
        for proof in proofs
    ]


def _kept(slot: Slot, name: str) -> datetime | None:
    moment: datetime | None = getattr(slot.known, name) if slot.known else None
    return moment
