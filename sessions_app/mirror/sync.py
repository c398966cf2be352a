"""Pulls one stream of one organization: full by windows, then incremental by updatedAt, and names."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.utils import timezone

from sessions_app.mirror.backfill import Invite, run_backfill
from sessions_app.mirror.connection import open_client
from sessions_app.mirror.leases import HeldLease, LeaseTaken, hold_lease, is_held
from sessions_app.mirror.ledger import close_expired_runs, count, open_run
from sessions_app.mirror.names import sync_names
from sessions_app.mirror.pages import latest_believed
from sessions_app.mirror.pull import Progress, Pull, collected_seldom
from sessions_app.models import Organization, SyncRun, Watermark
from sessions_app.models.requests import Purpose
from sessions_app.models.runs import RunKind, Stream
from sessions_app.vapi.client import Listing
from sessions_app.vapi.reader import Reader

# Rows are read again from this long before the watermark: a clock that is behind, an update still under way.
OVERLAP = timedelta(minutes=10)

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
    invite: Invite | None = None,
    workers: int = 1,
) -> SyncRun:
    """Pull one stream and return its run in its final state. Raises LeaseTaken.

    The first pull, and every one with `full`, walks everything by windows and goes on where an interrupted one was;
    one with `since` walks what was created from then on; the others read what was updated since the watermark.
    `invite` is told how many windows a full pull has, so that helpers may be called (mirror.backfill); `workers` is how
    many processes of this machine may then be at it.
    """
    kind = _kind(organization, stream, full=full or since is not None)
    with (
        hold_lease(organization, stream, kind) as lease,
        open_run(organization, stream, kind, lease, started_by_id) as run,
        open_client(organization, _purpose(stream, kind)) as client,
        # Only windows are shared out.
        Reader(workers if kind == RunKind.BACKFILL and since is None else 1) as reader,
        collected_seldom(),
    ):
        if stream == Stream.NAMES:
            count(run, *sync_names(client, organization))
        else:
            pull = Pull(organization, stream, client, run, reader, progress)
            if since is not None:
                _pull_created_since(pull, since)
            elif kind == RunKind.BACKFILL:
                run_backfill(pull, lease, invite)
            else:
                _pull_updated(pull, lease)
    if progress:
        progress(run)
    return run


def _kind(organization: Organization, stream: Stream, *, full: bool) -> RunKind:
    if stream == Stream.NAMES:
        return RunKind.BACKFILL
    watermarks = Watermark.objects.filter(organization=organization, stream=stream)
    # With a mark of the future nothing would be seen until then, and since when nothing was is not known.
    watermark = watermarks.filter(updated_at__lte=latest_believed()).first()
    if full or watermark is None:
        return RunKind.BACKFILL
    # While the first backfill is under way elsewhere, what is new arrives beside it.
    done = watermark.backfilled_at is not None or is_held(organization, stream, RunKind.BACKFILL)
    return RunKind.INCREMENTAL if done else RunKind.BACKFILL


def _purpose(stream: Stream, kind: RunKind) -> Purpose:
    return Purpose.NAMES if stream == Stream.NAMES else Purpose(kind.value)


def _pull_created_since(pull: Pull, since: datetime) -> None:
    """Walk a part again. It proves nothing about the rest: no window and no watermark moves."""
    with pull.stored(pull.walk(Listing(created_at_ge=since))) as stored:
        for reading in stored:
            if pull.run.total is None:
                pull.run.total = reading.step.page.total_items
                pull.run.save(update_fields=["total"])


def _pull_updated(pull: Pull, lease: HeldLease) -> None:
    """Read what was updated since the watermark, and move it."""
    watermark = Watermark.objects.get(organization=pull.organization, stream=pull.stream)
    assert watermark.updated_at is not None  # noqa: S101 - _kind() chose this run because it is set
    newest = watermark.updated_at
    walk = pull.walk(Listing(updated_at_ge=watermark.updated_at - OVERLAP))
    with pull.stored(walk) as stored:
        for reading in stored:
            newest = max([newest, *reading.updated_at])
    # A lower mark is always safe, so that a wrong updatedAt of the future is not followed.
    mark = walk.began_at or min(newest, timezone.now())
    with lease.guarding():
        Watermark.objects.filter(pk=watermark.pk).update(updated_at=max(mark, watermark.updated_at))
