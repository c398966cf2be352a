"""Up to when the mirrored costs are complete. Reads what the syncs have recorded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

from sessions_app.models.organizations import Organization
from sessions_app.models.runs import QuarantinedRecord, Stream, Watermark

if TYPE_CHECKING:
    from sessions_app.models.access import ApiToken

STREAMS = (Stream.SESSIONS, Stream.CHATS)


@dataclass(frozen=True)
class Coverage:
    """`complete_as_of` holds, by stream, the moment up to which every organization has been read whole.

    None: a first full sync has not finished yet. `quarantined_count` records could not be stored and are missing.
    """

    complete_as_of: dict[str, datetime | None]
    quarantined_count: int


def read_coverage(
    who: AbstractBaseUser | AnonymousUser | ApiToken, organizations: Sequence[Organization]
) -> Coverage:
    """Return how complete the costs of `organizations` are. Two queries."""
    ids = [organization.pk for organization in organizations]
    reached: dict[tuple[int, str], datetime | None] = {
        (organization_id, stream): updated_at if backfilled_at else None
        for organization_id, stream, updated_at, backfilled_at in Watermark.objects.visible_to(who)
        .filter(organization_id__in=ids, stream__in=STREAMS)
        .values_list("organization_id", "stream", "updated_at", "backfilled_at")
    }
    quarantined = QuarantinedRecord.objects.visible_to(who).filter(
        organization_id__in=ids, stream__in=STREAMS, resolved_at__isnull=True
    )
    complete = {stream.value: _earliest([reached.get((pk, stream)) for pk in ids]) for stream in STREAMS}
    return Coverage(complete, quarantined.count())


def _earliest(moments: list[datetime | None]) -> datetime | None:
    known = [moment for moment in moments if moment is not None]
    return min(known) if known and len(known) == len(moments) else None
