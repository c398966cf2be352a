"""Up to when the mirror is complete, and up to which day that is proven. Reads what syncs and proofs have recorded."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db.models import OuterRef, Subquery

from sessions_app.models.costs import CostRollup, Source
from sessions_app.models.coverage import Coverage as ProvenDay
from sessions_app.models.coverage import CoverageState
from sessions_app.models.organizations import Organization
from sessions_app.models.runs import QuarantinedRecord, RunKind, RunState, Stream, SyncRun, Watermark

if TYPE_CHECKING:
    from sessions_app.models.access import ApiToken

STREAMS = (Stream.SESSIONS, Stream.CHATS)
# What a partial run could not store is in quarantine, which is counted by itself.
_READ_WHOLE = (RunState.SUCCEEDED, RunState.PARTIAL)


@dataclass(frozen=True)
class Completeness:
    """`as_of` is the moment up to which every organization has been read whole.

    None while a first full sync has not finished for some, which are the ones in `waiting_for`.
    `proven_through`: each day up to and with this one was compared with Vapi and found equal. None: not yet.
    """

    as_of: datetime | None = None
    proven_through: date | None = None
    waiting_for: tuple[Organization, ...] = ()


@dataclass(frozen=True)
class Coverage:
    """Completeness by stream. `quarantined_count` records could not be stored and are missing.

    `begins_on` is the first day of each stream since which every organization that has rows has them. What was before
    Vapi may no longer have had when it was first asked.
    """

    streams: dict[str, Completeness]
    quarantined_count: int
    begins_on: dict[str, date | None]

    @property
    def complete_as_of(self) -> dict[str, datetime | None]:
        return {stream: found.as_of for stream, found in self.streams.items()}


def read_coverage(
    who: AbstractBaseUser | AnonymousUser | ApiToken, organizations: Sequence[Organization]
) -> Coverage:
    """Return how complete the costs of `organizations` are. Three queries."""
    ids = [organization.pk for organization in organizations]
    found = read_streams(ids)
    quarantined = QuarantinedRecord.objects.visible_to(who).filter(
        organization_id__in=ids, stream__in=STREAMS, resolved_at__isnull=True
    )
    streams = {
        stream.value: _of_all({each: found.get((each.pk, stream), _NONE) for each in organizations})
        for stream in STREAMS
    }
    return Coverage(streams, quarantined.count(), _read_beginnings(ids))


def _read_beginnings(organization_ids: Collection[int]) -> dict[str, date | None]:
    """By stream; pruned rows count, as their costs do. One query."""

    def first_day(source: Source) -> Subquery:
        sums = CostRollup.objects.filter(
            organization=OuterRef("pk"), source=source, is_itemized=False, line_count__gt=0
        )
        return Subquery(sums.order_by("day").values("day")[:1])

    rows = Organization.objects.filter(pk__in=list(organization_ids)).annotate(
        sessions=first_day(Source.SESSION), chats=first_day(Source.CHAT)
    )
    days = list(rows.order_by().values_list("sessions", "chats"))
    return {
        stream.value: max((row[place] for row in days if row[place]), default=None)
        for place, stream in enumerate(STREAMS)
    }


def complete_as_of(organization_ids: Collection[int], streams: Sequence[Stream]) -> Completeness:
    """Return up to when all of these streams of all of these organizations are complete. One query."""
    found = read_streams(organization_ids)
    return _least([found.get((pk, stream), _NONE) for pk in organization_ids for stream in streams])


_NONE = Completeness()
_PROVEN = (CoverageState.PROVEN, CoverageState.BEYOND_RETENTION)


def read_streams(organization_ids: Collection[int]) -> dict[tuple[int, str], Completeness]:
    """Return how complete each stream is, by organization and stream. One query.

    The watermark says up to when it was read whole, but for a Vapi that does not tell its time: there it moves with
    new rows alone. Of runs only the incremental ones are asked: a full one may go on where one began long ago, or
    walk a part again.
    """
    later_runs = SyncRun.objects.filter(
        organization=OuterRef("organization"),
        stream=OuterRef("stream"),
        kind=RunKind.INCREMENTAL,
        state__in=_READ_WHOLE,
        started_at__gt=OuterRef("updated_at"),
    ).order_by("-started_at")
    days = ProvenDay.objects.filter(organization=OuterRef("organization"), stream=OuterRef("stream"))
    newest = days.filter(state__in=_PROVEN).order_by("-day")
    rows = (
        Watermark.objects.filter(organization_id__in=list(organization_ids), stream__in=STREAMS)
        .annotate(
            read_at=Subquery(later_runs.values("started_at")[:1]),
            first_open=Subquery(days.exclude(state__in=_PROVEN).order_by("day").values("day")[:1]),
            last_proven=Subquery(newest.values("day")[:1]),
            last_proven_at=Subquery(newest.values("proven_at")[:1]),
        )
        .values()
    )
    return {(row["organization_id"], row["stream"]): _completeness(row) for row in rows}


def _completeness(row: Mapping[str, Any]) -> Completeness:
    is_whole = row["backfilled_at"] and row["updated_at"]
    return Completeness(
        as_of=(row["read_at"] or row["updated_at"]) if is_whole else None,
        proven_through=_proven_through(row["first_open"], row["last_proven"], row["last_proven_at"]),
    )


def _proven_through(
    first_open: date | None, last_proven: date | None, last_proven_at: datetime | None
) -> date | None:
    if last_proven is None or last_proven_at is None:
        return None
    # A day that was proven before it ended is proven so far only.
    is_over = last_proven_at.astimezone(UTC).date() > last_proven
    through = last_proven if is_over else last_proven - timedelta(days=1)
    return min(through, first_open - timedelta(days=1)) if first_open else through


def _of_all(found: Mapping[Organization, Completeness]) -> Completeness:
    waiting_for = tuple(organization for organization, each in found.items() if each.as_of is None)
    return replace(_least(list(found.values())), waiting_for=waiting_for)


def _least(found: Sequence[Completeness]) -> Completeness:
    moments = [each.as_of for each in found if each.as_of is not None]
    days = [each.proven_through for each in found if each.proven_through is not None]
    return Completeness(
        min(moments) if moments and len(moments) == len(found) else None,
        min(days) if days and len(days) == len(found) else None,
    )
