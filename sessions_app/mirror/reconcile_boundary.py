"""The boundary of Vapi's retention: learned from a listing, confirmed by a sample, and what lies before it stamped."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone

from sessions_app.mirror.coverage import Span, live_rows
from sessions_app.mirror.leases import HeldLease
from sessions_app.mirror.reconcile_day import is_too_much
from sessions_app.mirror.reconcile_upstream import Upstream, created_at
from sessions_app.mirror.tables import MirrorTable
from sessions_app.models import Organization, RetentionBoundary, WebhookEvent
from sessions_app.models.mirrored import MissingReason
from sessions_app.vapi.answers import Page
from sessions_app.vapi.errors import Gone

SAMPLE = 5
_LONG_AGO = datetime(1, 1, 2, tzinfo=UTC)


@dataclass(frozen=True)
class Boundary:
    """`begins_at`: the oldest createdAt that Vapi shows; None where it is not known or a sample spoke against it."""

    begins_at: datetime | None
    stamped: int = 0
    # Rows before it that a person has to agree to stamp.
    waiting: int = 0


def learn_boundary(
    upstream: Upstream,
    organization: Organization,
    table: MirrorTable,
    lease: HeldLease,
    oldest: Page,
    *,
    stamp_anyway: bool,
) -> Boundary:
    """Note where Vapi's rows begin; stamp ours before it in bulk once a sample of them is answered with 404."""
    begins_at = created_at(oldest)
    if begins_at is None:
        return Boundary(None)
    known = _note(organization, table, lease, begins_at, is_announced=bool(oldest.items_beyond_retention))
    before = live_rows(organization, table, Span(_LONG_AGO, begins_at))
    number = before.count()
    if number and not _is_confirmed(upstream, before, number):
        return Boundary(None)
    if not number:
        return Boundary(begins_at)
    with lease.guarding():
        RetentionBoundary.objects.filter(pk=known.pk).update(confirmed_at=timezone.now())
    live = table.model.objects.filter(organization=organization, missing_since__isnull=True).count()
    if not (known.is_announced or stamp_anyway) and is_too_much(number, live):
        return Boundary(begins_at, waiting=number)
    with lease.guarding():
        stamped = before.filter(asked_at__lte=oldest.asked_at).update(
            missing_since=timezone.now(),
            missing_reason=MissingReason.BEYOND_RETENTION,
            asked_at=oldest.asked_at,
        )
    _name_deletions(organization, table, begins_at)
    return Boundary(begins_at, stamped=stamped)


def _name_deletions(organization: Organization, table: MirrorTable, begins_at: datetime) -> None:
    """Of some a server message told that they were deleted."""
    told = WebhookEvent.objects.filter(organization=organization, kind=f"{table.source.value}.deleted")
    table.model.objects.filter(
        organization=organization,
        created_at__lt=begins_at,
        missing_reason=MissingReason.BEYOND_RETENTION,
        id__in=told.values("remote_id"),
    ).update(missing_reason=MissingReason.DELETED)


def _note(
    organization: Organization,
    table: MirrorTable,
    lease: HeldLease,
    begins_at: datetime,
    *,
    is_announced: bool,
) -> RetentionBoundary:
    with lease.guarding():
        known, _ = RetentionBoundary.objects.update_or_create(
            organization=organization,
            stream=table.stream,
            defaults={
                "oldest_listed_at": begins_at,
                "is_announced": is_announced,
                "seen_at": timezone.now(),
            },
        )
    return known


def _is_confirmed(upstream: Upstream, before: QuerySet[Any], number: int) -> bool:
    """Ask for the oldest, the newest and some between. One that is still there speaks against the boundary."""
    for remote_id in _sample(before, number):
        try:
            upstream.get(remote_id)
        except Gone:
            continue
        return False
    return True


def _sample(before: QuerySet[Any], number: int) -> list[str]:
    places = {round(place * (number - 1) / (SAMPLE - 1)) for place in range(SAMPLE)}
    ordered = before.order_by("created_at", "id").values_list("id", flat=True)
    return [remote_id for place in sorted(places) for remote_id in ordered[place : place + 1]]
