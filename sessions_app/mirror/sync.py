"""Pulls one stream of one organization: full by windows, then incremental by updatedAt, and names."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import partial
from statistics import mode

from django.utils import timezone

from sessions_app.mirror.connection import open_client
from sessions_app.mirror.leases import HeldLease, LeaseTaken, hold_lease, is_held
from sessions_app.mirror.ledger import WrongOrganization, close_expired_runs, count, open_run
from sessions_app.mirror.names import sync_names
from sessions_app.mirror.streams import STREAMS, StreamSpec, parse_results, store_answer
from sessions_app.mirror.walk import Step, Walk
from sessions_app.mirror.windows import (
    close_backfill,
    finish_window,
    open_windows,
    plan_windows,
    reach,
    window_listing,
)
from sessions_app.models import Organization, SyncRun, Watermark
from sessions_app.models.requests import Purpose
from sessions_app.models.runs import RunKind, Stream
from sessions_app.vapi.client import Listing, VapiClient

# Rows are read again from this long before the watermark: a clock that is behind, an update still under way.
OVERLAP = timedelta(minutes=10)
Progress = Callable[[SyncRun], None]

__all__ = ["LeaseTaken", "close_expired_runs", "sync_organization", "sync_stream"]


def sync_organization(
    organization: Organization,
    *,
    streams: tuple[Stream, ...] = (Stream.NAMES, Stream.SESSIONS, Stream.CHATS),
    full: bool = False,
    since: datetime | None = None,
    started_by_id: int | None = None,
    progress: Progress | None = None,
) -> list[SyncRun]:
    """Pull streams one after the other. Raises LeaseTaken at the first one that another run holds."""
    return [
        sync_stream(
            organization, stream, full=full, since=since, started_by_id=started_by_id, progress=progress
        )
        for stream in streams
    ]


def sync_stream(
    organization: Organization,
    stream: Stream,
    *,
    full: bool = False,
    since: datetime | None = None,
    started_by_id: int | None = None,
    progress: Progress | None = None,
) -> SyncRun:
    """Pull one stream and return its run in its final state. Raises LeaseTaken.

    The first pull, and every one with `full`, walks everything by windows and goes on where an interrupted one was;
    one with `since` walks what was created from then on; the others read what was updated since the watermark.
    """
    kind = _kind(organization, stream, full=full or since is not None)
    with (
        hold_lease(organization, stream, kind) as lease,
        open_run(organization, stream, kind, lease, started_by_id) as run,
        open_client(organization, _purpose(stream, kind)) as client,
        _collected_by_page(),
    ):
        pull = _Pull(organization, stream, client, lease, run, progress)
        if stream == Stream.NAMES:
            count(run, *sync_names(client, organization))
        elif since is not None:
            pull.created_since(since)
        elif kind == RunKind.BACKFILL:
            pull.backfill()
        else:
            pull.incremental()
    if progress:
        progress(run)
    return run


@contextmanager
def _collected_by_page() -> Iterator[None]:
    """Pause the garbage collector; `_store` runs it. A page is a million objects without cycles, and looking for
    them while it is read takes half of a sync's time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _kind(organization: Organization, stream: Stream, *, full: bool) -> RunKind:
    if stream == Stream.NAMES:
        return RunKind.BACKFILL
    watermarks = Watermark.objects.filter(organization=organization, stream=stream)
    watermark = watermarks.filter(updated_at__isnull=False).first()
    if full or watermark is None:
        return RunKind.BACKFILL
    # While the first backfill is under way elsewhere, what is new arrives beside it.
    done = watermark.backfilled_at is not None or is_held(organization, stream, RunKind.BACKFILL)
    return RunKind.INCREMENTAL if done else RunKind.BACKFILL


def _purpose(stream: Stream, kind: RunKind) -> Purpose:
    return Purpose.NAMES if stream == Stream.NAMES else Purpose(kind.value)


class _Pull:
    """One run at work: its client, its lease and its ledger entry."""

    def __init__(
        self,
        organization: Organization,
        stream: Stream,
        client: VapiClient,
        lease: HeldLease,
        run: SyncRun,
        progress: Progress | None,
    ) -> None:
        self.organization, self.stream, self.lease, self.run = organization, stream, lease, run
        self.progress = progress
        self.client = client

    @property
    def spec(self) -> StreamSpec:
        return STREAMS[self.stream]

    def created_since(self, since: datetime) -> None:
        """Walk a part again. It proves nothing about the rest: no window and no watermark moves."""
        for step in self._walk(Listing(created_at_ge=since)).steps():
            if self.run.total is None:
                self.run.total = step.page.total_items
            self._store(step)

    def backfill(self) -> None:
        list_page = partial(self.client.list_stream, self.spec.path)
        windows = open_windows(self.organization, self.stream)
        if not windows:
            self.run.total = plan_windows(list_page, self.organization, self.stream, self.lease)
            windows = open_windows(self.organization, self.stream)
        for window in windows:
            for step in self._walk(window_listing(window)).steps():
                self._store(step)
                reach(window, self.lease, step.reached_at, len(step.results))
            finish_window(window, self.lease)
        close_backfill(self.organization, self.stream, self.lease)

    def incremental(self) -> None:
        watermark = Watermark.objects.get(organization=self.organization, stream=self.stream)
        assert watermark.updated_at is not None  # noqa: S101 - _kind() chose this run because it is set
        newest = watermark.updated_at
        walk = self._walk(Listing(updated_at_ge=watermark.updated_at - OVERLAP))
        for step in walk.steps():
            newest = max([newest, *self._store(step)])
        # A lower mark is always safe, so that a wrong updatedAt of the future is not followed.
        mark = walk.began_at or min(newest, timezone.now())
        with self.lease.guarding():
            Watermark.objects.filter(pk=watermark.pk).update(updated_at=max(mark, watermark.updated_at))

    def _walk(self, listing: Listing) -> Walk:
        return Walk(
            partial(self.client.list_stream, self.spec.path),
            listing,
            partial(self.client.get_stream, self.spec.path),
        )

    def _store(self, step: Step) -> list[datetime]:
        """Mirror one answer; returns the updatedAt of its records."""
        records, bad = parse_results(self.spec, step.results, step.text_replaced)
        self._pin([record.org_id for record in records])
        written = store_answer(
            self.spec,
            self.organization,
            records,
            bad,
            broken=step.broken,
            asked_at=step.page.asked_at,
            run=self.run,
        )
        count(self.run, written, len(step.results) + len(step.broken))
        gc.collect(1)
        if self.progress:
            self.progress(self.run)
        return [record.updated_at for record in records]

    def _pin(self, org_ids: list[str]) -> None:
        """Pin the organization to what its first answer says mostly. Raises WrongOrganization when all differ."""
        if not org_ids:
            return
        if not self.organization.vapi_org_id:
            Organization.objects.filter(pk=self.organization.pk, vapi_org_id="").update(
                vapi_org_id=mode(org_ids)
            )
            self.organization.refresh_from_db(fields=["vapi_org_id"])
        if self.organization.vapi_org_id not in org_ids:
            raise WrongOrganization
