"""Windows of a backfill: stretches of createdAt, newest first, each a checkpoint when it has been walked."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

from django.db import transaction
from django.utils import timezone

from sessions_app.mirror.leases import HeldLease
from sessions_app.mirror.patience import patiently
from sessions_app.models import Organization, SyncWindow, Watermark
from sessions_app.models.runs import Stream
from sessions_app.vapi.answers import Page
from sessions_app.vapi.client import Listing
from sessions_app.vapi.times import parse_time

ROWS_PER_WINDOW = 5000
MOST_WINDOWS = 2000


def open_windows(organization: Organization, stream: Stream) -> list[SyncWindow]:
    """Return the windows still to walk, newest first."""
    windows = SyncWindow.objects.filter(organization=organization, stream=stream, finished_at__isnull=True)
    return sorted(
        windows, key=lambda window: window.ends_at or datetime.max.replace(tzinfo=UTC), reverse=True
    )


def plan_windows(
    list_page: Callable[[Listing], Page],
    organization: Organization,
    stream: Stream,
    lease: HeldLease,
) -> int | None:
    """Lay the windows of a new backfill and start the watermark at Vapi's time now. Returns the rows to expect."""
    oldest = patiently(lambda: list_page(Listing(limit=1, sort_order="ASC")))
    first = parse_time(oldest.results[0].get("createdAt")) if oldest.results else None
    now = oldest.date or _newest_updated_at(list_page)
    edges = _edges(first, oldest.date or timezone.now(), oldest.total_items or 0)
    with lease.guarding():
        SyncWindow.objects.filter(organization=organization, stream=stream).delete()
        SyncWindow.objects.bulk_create(
            SyncWindow(organization=organization, stream=stream, starts_at=start, ends_at=end)
            for start, end in zip([None, *edges], [*edges, None], strict=True)
        )
        watermark, _ = Watermark.objects.get_or_create(organization=organization, stream=stream)
        if watermark.updated_at is None:
            # Kept from the start of the first backfill: what changes while it runs is read again after it.
            watermark.updated_at = now
            watermark.save(update_fields=["updated_at"])
    return oldest.total_items


def finish_window(window: SyncWindow, lease: HeldLease) -> None:
    with lease.guarding():
        window.finished_at = timezone.now()
        window.save(update_fields=["finished_at", "reached_at", "seen"])


def reach(window: SyncWindow, lease: HeldLease, moment: datetime | None, seen: int) -> None:
    """Note how far a window was walked, so that the next worker goes on there."""
    window.seen += seen
    window.reached_at = moment or window.reached_at
    with lease.guarding():
        window.save(update_fields=["reached_at", "seen"])


def window_listing(window: SyncWindow) -> Listing:
    return replace(
        Listing(), created_at_ge=window.reached_at or window.starts_at, created_at_lt=window.ends_at
    )


def close_backfill(organization: Organization, stream: Stream, lease: HeldLease) -> None:
    """Note that every window has been walked: from now on incremental runs are enough."""
    with lease.guarding(), transaction.atomic():
        Watermark.objects.filter(organization=organization, stream=stream).update(
            backfilled_at=timezone.now()
        )


def _edges(first: datetime | None, now: datetime, rows: int) -> list[datetime]:
    """Return the inner edges of equally wide windows that hold about ROWS_PER_WINDOW rows each."""
    count = min(MOST_WINDOWS, math.ceil(rows / ROWS_PER_WINDOW))
    if first is None or count < 2 or now <= first:
        return []
    width = (now - first) / count
    return [first + width * place for place in range(1, count)]


def _newest_updated_at(list_page: Callable[[Listing], Page]) -> datetime | None:
    """Without a Date of Vapi's: what was surely updated before now. Ours is a ceiling: a lower mark is always safe."""
    page = patiently(lambda: list_page(Listing(limit=1, sort_order="DESC")))
    newest = parse_time(page.results[0].get("updatedAt")) if page.results else None
    return min(newest, timezone.now()) if newest else None
