"""Windows of a full sync: stretches of createdAt, newest first, each a checkpoint when it has been walked.

They are laid by the count that the listing reports, as if rows came evenly; one that turns out to hold many more is
cut when its first page says so.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import datetime, timedelta
from itertools import pairwise

from django.db.models import Exists, F, QuerySet, Sum
from django.utils import timezone

from sessions_app.mirror.leases import HeldLease, kept, take, unheld
from sessions_app.mirror.pages import latest_believed, told_at
from sessions_app.mirror.walk import ListPage, first_of
from sessions_app.models import Organization, SyncWindow, Watermark
from sessions_app.models.runs import Stream
from sessions_app.vapi.client import Listing
from sessions_app.vapi.times import parse_time

ROWS_PER_WINDOW = 5000
MOST_WINDOWS = 2000
# A window with so many times the rows is cut, unless the parts would be narrower than this.
_CROWDED = 3
_NARROWEST = timedelta(minutes=1)
# A plan that was laid longer ago than this is laid anew, unless nothing was ever read whole: what its finished
# windows read would be too old to be called a full sync.
_PLAN_HOLDS = timedelta(days=1)


class HeldWindow:
    """A window that we walk, and its lease. Every checkpoint is written only while the lease is ours."""

    def __init__(self, window: SyncWindow, lease: HeldLease) -> None:
        self._window, self._lease = window, lease
        self._kept = ExitStack()
        self._kept.enter_context(kept(lease))

    @property
    def listing(self) -> Listing:
        """What is left to walk of it."""
        start = self._window.reached_at or self._window.starts_at
        return Listing(created_at_ge=start, created_at_lt=self._window.ends_at)

    def reach(self, moment: datetime | None, seen: int) -> None:
        """Note how far it was walked, so that the next worker goes on there."""
        self._window.seen += seen
        self._window.reached_at = moment or self._window.reached_at
        self._save("reached_at", "seen")

    def finish(self) -> None:
        self._window.finished_at = timezone.now()
        self._save("finished_at")

    def release(self) -> None:
        """Hold it no longer."""
        self._kept.close()

    def cut(self, total: int | None, start: datetime | None) -> bool:
        """Leave most of a window that holds `total` rows to others, where that is far more than one should hold.

        `start` is up to where it has been read. Returns whether it was cut: then `listing` ends earlier.
        """
        end = self._window.ends_at or timezone.now()
        if start is None or not total or total < _CROWDED * ROWS_PER_WINDOW:
            return False
        parts = min(self._most_parts(), math.ceil(total / ROWS_PER_WINDOW))
        edges = _edges(start, end, parts)
        if not edges or edges[0] - start < _NARROWEST:
            return False
        share = total // parts
        with self._lease.guarding():
            self._add([*edges, self._window.ends_at], share)
            self._window.ends_at, self._window.expected = edges[0], self._window.seen + share
            self._window.save(update_fields=["ends_at", "expected"])
        return True

    def _most_parts(self) -> int:
        """A count that is wrong must not make windows without end."""
        window = self._window
        laid = SyncWindow.objects.filter(organization=window.organization_id, stream=window.stream).count()
        return max(1, MOST_WINDOWS - laid)

    def _add(self, edges: Sequence[datetime | None], share: int) -> None:
        SyncWindow.objects.bulk_create(
            SyncWindow(
                organization_id=self._window.organization_id,
                stream=self._window.stream,
                starts_at=start,
                ends_at=end,
                expected=share,
            )
            for start, end in pairwise(edges)
        )

    def _save(self, *fields: str) -> None:
        with self._lease.guarding():
            self._window.save(update_fields=fields)


def lay_windows(list_page: ListPage, organization: Organization, stream: Stream, lease: HeldLease) -> None:
    """Lay the windows of a new full sync, and start the watermark at Vapi's time now."""
    oldest, _ = first_of(list_page, Listing(sort_order="ASC"))
    first = parse_time(oldest.results[0].get("createdAt")) if oldest.results else None
    now = told_at(oldest) or _newest_updated_at(list_page)
    total = oldest.total_items
    parts = min(MOST_WINDOWS, math.ceil((total or 0) / ROWS_PER_WINDOW))
    edges = _edges(first, told_at(oldest) or timezone.now(), parts)
    share = None if total is None else math.ceil(total / (len(edges) + 1))
    with lease.guarding():
        SyncWindow.objects.filter(organization=organization, stream=stream).delete()
        SyncWindow.objects.bulk_create(
            SyncWindow(organization=organization, stream=stream, starts_at=start, ends_at=end, expected=share)
            for start, end in pairwise([None, *edges, None])
        )
        watermark, _ = Watermark.objects.get_or_create(organization=organization, stream=stream)
        watermark.planned_at = timezone.now()
        # Kept from the start of the first full sync: what changes while it runs is read again after it.
        if watermark.updated_at is None or watermark.updated_at > latest_believed():
            watermark.updated_at = now
        watermark.save(update_fields=["planned_at", "updated_at"])


def is_laid(organization: Organization, stream: Stream) -> bool:
    """Say whether a full sync is under way, or was interrupted, that can be gone on with."""
    mark = Watermark.objects.filter(organization=organization, stream=stream).first()
    if mark is None or mark.planned_at is None:
        return False
    return mark.backfilled_at is None or mark.planned_at > timezone.now() - _PLAN_HOLDS


def planned_at(organization: Organization, stream: Stream) -> datetime | None:
    """Return when the full sync that is under way was laid: everything is read after that."""
    marks = Watermark.objects.filter(organization=organization, stream=stream)
    return marks.values_list("planned_at", flat=True).first()


def take_window(organization: Organization, stream: Stream) -> HeldWindow | None:
    """Take the newest window that nobody walks, if there is one; its lease is kept until it is released."""
    open_ones = unfinished(organization, stream)
    newest_first = unheld(open_ones).order_by(F("starts_at").desc(nulls_last=True))
    while (pk := newest_first.values_list("pk", flat=True).first()) is not None:
        lease = take(open_ones, pk)
        if lease is not None:
            return HeldWindow(SyncWindow.objects.get(pk=pk), lease)
    return None


def unfinished(organization: Organization, stream: Stream) -> QuerySet[SyncWindow]:
    return SyncWindow.objects.filter(organization=organization, stream=stream, finished_at__isnull=True)


def expected_rows(organization: Organization, stream: Stream) -> int | None:
    """Return how many rows are to be read of the windows that are left, as far as the listing said."""
    left = unfinished(organization, stream).aggregate(rows=Sum(F("expected") - F("seen")))["rows"]
    return None if left is None else max(0, left)


def close_plan(organization: Organization, stream: Stream, lease: HeldLease) -> bool:
    """Note that every window has been walked: from now on incremental runs are enough. False where one is left."""
    left = unfinished(organization, stream)
    with lease.guarding():
        marks = Watermark.objects.filter(~Exists(left), organization=organization, stream=stream)
        return bool(marks.update(backfilled_at=timezone.now(), planned_at=None))


def _edges(first: datetime | None, now: datetime, parts: int) -> list[datetime]:
    """Return the inner edges of equally wide stretches."""
    if first is None or parts < 2 or now <= first:
        return []
    width = (now - first) / parts
    return [first + width * place for place in range(1, parts)]


def _newest_updated_at(list_page: ListPage) -> datetime | None:
    """Without a Date of Vapi's: what was surely updated before now. Ours is a ceiling: a lower mark is always safe."""
    page, _ = first_of(list_page, Listing(sort_order="DESC"))
    newest = parse_time(page.results[0].get("updatedAt")) if page.results else None
    return min(newest, timezone.now()) if newest else None
