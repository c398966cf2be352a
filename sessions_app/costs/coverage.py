"""Up to when the mirrored costs are complete. Reads what the syncs have recorded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db.models import OuterRef, Subquery

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
    """

    as_of: datetime | None
    waiting_for: tuple[Organization, ...]


@dataclass(frozen=True)
class Coverage:
    """Completeness by stream. `quarantined_count` records could not be stored and are missing."""

    streams: dict[str, Completeness]
    quarantined_count: int

    @property
    def complete_as_of(self) -> dict[str, datetime | None]:
        return {stream: found.as_of for stream, found in self.streams.items()}


def read_coverage(
    who: AbstractBaseUser | AnonymousUser | ApiToken, organizations: Sequence[Organization]
) -> Coverage:
    """Return how complete the costs of `organizations` are. Two queries."""
    ids = [organization.pk for organization in organizations]
    reached = _read_up_to(who, ids)
    quarantined = QuarantinedRecord.objects.visible_to(who).filter(
        organization_id__in=ids, stream__in=STREAMS, resolved_at__isnull=True
    )
    streams = {
        stream.value: _completeness({each: reached.get((each.pk, stream)) for each in organizations})
        for stream in STREAMS
    }
    return Coverage(streams, quarantined.count())


def _read_up_to(
    who: AbstractBaseUser | AnonymousUser | ApiToken, organization_ids: Sequence[int]
) -> dict[tuple[int, str], datetime]:
    """Return the moments up to which organizations' streams have been read whole, by organization and stream.

    The watermark says so, but for a Vapi that does not tell its time: there it moves with new rows alone. Of runs
    only the incremental ones are asked: a full one may go on where one began long ago, or walk a part again.
    """
    later_runs = SyncRun.objects.filter(
        organization=OuterRef("organization"),
        stream=OuterRef("stream"),
        kind=RunKind.INCREMENTAL,
        state__in=_READ_WHOLE,
        started_at__gt=OuterRef("updated_at"),
    ).order_by("-started_at")
    found = (
        Watermark.objects.visible_to(who)
        .filter(organization_id__in=organization_ids, stream__in=STREAMS)
        .filter(backfilled_at__isnull=False, updated_at__isnull=False)
        .annotate(read_at=Subquery(later_runs.values("started_at")[:1]))
        .values_list("organization_id", "stream", "updated_at", "read_at")
    )
    return {(pk, stream): read_at or updated_at for pk, stream, updated_at, read_at in found if updated_at}


def _completeness(reached: Mapping[Organization, datetime | None]) -> Completeness:
    known = [moment for moment in reached.values() if moment is not None]
    waiting_for = tuple(each for each, moment in reached.items() if moment is None)
    return Completeness(min(known) if known and not waiting_for else None, waiting_for)
