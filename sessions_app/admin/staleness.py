"""Which organizations' data are older than they should be, and why. One small query while all are fresh."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils import timezone

from sessions_app.models import Organization, SyncRun, Watermark
from sessions_app.models.runs import RunKind, RunState, Stream

STREAMS = (Stream.SESSIONS, Stream.CHATS)
_PULLS = (RunKind.BACKFILL, RunKind.INCREMENTAL)
_READ = (RunState.SUCCEEDED, RunState.PARTIAL)
_LATEST_RUNS = 50


@dataclass(frozen=True)
class Stale:
    """An organization with old data. `as_of` None: not everything has been read once."""

    organization: str
    as_of: datetime | None
    why: str
    is_first_sync: bool


def read_stale(organizations: Sequence[Organization], silent: Collection[str]) -> tuple[Stale, ...]:
    """Return those that are older than their goal, but for paused ones; `silent` are processes that were not seen."""
    now = timezone.now()
    asked = [one for one in organizations if one.paused_at is None]
    as_of = _complete_as_of(asked)
    old = [one for one in asked if _is_old(as_of[one.pk], one, now)]
    if not old:
        return ()
    runs = _latest_runs(old)
    return tuple(
        _describe(one, as_of[one.pk], runs, silent)
        for one in old
        if as_of[one.pk] is None or not _was_read(one, runs, now)
    )


def _is_old(as_of: datetime | None, organization: Organization, now: datetime) -> bool:
    return as_of is None or as_of < now - timedelta(seconds=organization.freshness_goal_seconds)


def _complete_as_of(organizations: Sequence[Organization]) -> dict[int, datetime | None]:
    """By organization, the moment up to which both streams have been read whole."""
    marks = Watermark.objects.filter(organization__in=organizations, stream__in=STREAMS)
    reached = {
        (pk, stream): updated_at if backfilled_at else None
        for pk, stream, updated_at, backfilled_at in marks.values_list(
            "organization_id", "stream", "updated_at", "backfilled_at"
        )
    }
    found: dict[int, datetime | None] = {}
    for one in organizations:
        moments = [reached.get((one.pk, stream)) for stream in STREAMS]
        known = [moment for moment in moments if moment is not None]
        found[one.pk] = min(known) if len(known) == len(STREAMS) else None
    return found


def _latest_runs(organizations: Sequence[Organization]) -> list[SyncRun]:
    runs = SyncRun.objects.filter(organization__in=organizations, stream__in=STREAMS, kind__in=_PULLS)
    return list(runs.order_by("-started_at", "-pk")[:_LATEST_RUNS])


def _was_read(organization: Organization, runs: Sequence[SyncRun], now: datetime) -> bool:
    """Vapi's clock may be behind ours: what was read lately is not old."""
    since = now - timedelta(seconds=organization.freshness_goal_seconds)
    lately = {
        run.stream
        for run in runs
        if run.organization_id == organization.pk and run.state in _READ and run.started_at >= since
    }
    return len(lately) == len(STREAMS)


def _describe(
    organization: Organization, as_of: datetime | None, runs: Sequence[SyncRun], silent: Collection[str]
) -> Stale:
    own = [run for run in runs if run.organization_id == organization.pk]
    is_first_sync = as_of is None and any(run.state == RunState.RUNNING for run in own)
    return Stale(str(organization), as_of, _why(own, silent, is_first_sync=is_first_sync), is_first_sync)


def _why(runs: Sequence[SyncRun], silent: Collection[str], *, is_first_sync: bool) -> str:
    if "worker" in silent:
        return "No worker is running."
    if is_first_sync:
        return "The first full sync is under way."
    if "beat" in silent:
        return "No beat is running, so nothing starts a sync."
    ended = next((run for run in runs if run.state != RunState.RUNNING), None)
    if ended is not None and ended.state == RunState.FAILED:
        return f"The last sync failed: {ended.error}"
    if any(run.state == RunState.RUNNING for run in runs):
        return "A sync is under way."
    return "No sync has been started lately." if runs else "Nothing has been pulled from Vapi yet."
