"""The full sync: one run lays windows and closes them; it and any number of helpers walk them side by side.

A helper needs no more than a window that nobody walks. What it reads it counts in the run that it helps. Where the
run's worker dies, helpers end what they have; the next run goes on with what is left.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from django.db import connection
from django.db.models import QuerySet

from sessions_app.mirror.connection import NoKey, open_client
from sessions_app.mirror.leases import HeldLease, LeaseLost, unheld
from sessions_app.mirror.ledger import read_counts
from sessions_app.mirror.pauses import pause_if_refused
from sessions_app.mirror.pinning import WrongOrganization
from sessions_app.mirror.pull import Pull, collected_seldom
from sessions_app.mirror.quarantine import release_nameless
from sessions_app.mirror.windows import (
    HeldWindow,
    close_plan,
    expected_rows,
    held_window,
    is_laid,
    lay_windows,
    planned_at,
    unfinished,
)
from sessions_app.models import Organization, SyncRun
from sessions_app.models.requests import Purpose
from sessions_app.models.runs import RunKind, RunState, Stream
from sessions_app.vapi.errors import Refused, VapiError

# Told how many windows there are, so that it can call helpers.
Invite = Callable[[int], None]

MOST_HELPERS = 8
_LOOK_AGAIN_SECONDS = 0.2


def run_backfill(pull: Pull, lease: HeldLease, invite: Invite | None = None) -> None:
    """Lay windows, or go on with those that are left, and walk until none is. Raises what ends the run."""
    organization, stream = pull.organization, pull.stream
    if not is_laid(organization, stream):
        lay_windows(pull.list_page, organization, stream, lease)
    laid_at = planned_at(organization, stream)
    pull.run.total = expected_rows(organization, stream)
    pull.run.save(update_fields=["total"])
    left = unfinished(organization, stream).count()
    if invite and left > 1:
        invite(left)
    while not close_plan(organization, stream, lease):
        with held_window(organization, stream) as window:
            if window is not None:
                _walk(pull, window, lease)
        if window is None:
            # Helpers are at the last ones; where one dies, its window is free again within a minute.
            time.sleep(_LOOK_AGAIN_SECONDS)
            lease.renew()
    read_counts(pull.run)
    if laid_at:
        release_nameless(organization, stream, not_seen_since=laid_at)


def help_backfill(organization: Organization, stream: Stream, *, seconds: float | None = None) -> bool:
    """Walk windows of a full sync that runs elsewhere, at least one page, for about `seconds` or until none is free.

    Returns whether there may be more to do. What ends a helper is left to the run to meet and to tell.
    """
    run = running_backfill(organization, stream)
    if run is None:
        return False
    deadline = None if seconds is None else time.monotonic() + seconds
    try:
        with open_client(organization, Purpose.BACKFILL) as client, collected_seldom():
            pull = Pull(organization, stream, client, run)
            is_past = False
            while not is_past:
                with held_window(organization, stream) as window:
                    if window is None:
                        return False
                    _walk(pull, window, deadline=deadline)
                is_past = _is_past(deadline)
    except Refused as problem:
        pause_if_refused(organization, problem)
        return False
    except (VapiError, NoKey, WrongOrganization, LeaseLost):
        return False
    return True


def running_backfill(organization: Organization, stream: Stream) -> SyncRun | None:
    """Return the run that a helper may help."""
    return _running().filter(organization=organization, stream=stream).first()


def running_backfills() -> list[tuple[Organization, Stream]]:
    """Return what helpers could be called for. One query."""
    found = _running().filter(organization__in=Organization.objects.reachable())
    return [(run.organization, Stream(run.stream)) for run in found.select_related("organization")]


def helpers_wanted(organization: Organization, stream: Stream) -> int:
    """Return how many more may help: as many as the organization's concurrent requests keep busy beside the run."""
    if is_one_writer_enough():
        return 0
    left = unfinished(organization, stream)
    at_work = left.count() - unheld(left).count()
    return max(0, min(MOST_HELPERS, organization.concurrent_requests - 1, left.count()) - at_work)


def is_one_writer_enough() -> bool:
    """Say whether the database takes one writer at a time, which one worker keeps busy: SQLite."""
    return connection.vendor == "sqlite"


def _running() -> QuerySet[SyncRun]:
    return SyncRun.objects.filter(kind=RunKind.BACKFILL, state=RunState.RUNNING)


def _walk(
    pull: Pull, window: HeldWindow, lease: HeldLease | None = None, *, deadline: float | None = None
) -> None:
    """Walk what is left of a window, or until the deadline. `lease` is the run's own, which must stand as well."""
    is_done = False
    while not is_done:
        is_done = _walk_listing(pull, window, lease, deadline)


def _walk_listing(pull: Pull, window: HeldWindow, lease: HeldLease | None, deadline: float | None) -> bool:
    """Return False where the window was cut meanwhile."""
    is_first = True
    # With a deadline, what was asked for ahead would mostly be thrown away.
    with pull.readings(pull.walk(window.listing), far_ahead=deadline is None) as readings:
        for reading in readings:
            step = reading.step
            pull.store(reading)
            if lease:
                lease.renew()
            window.reach(step.reached_at, len(step.results))
            if is_first and window.cut(step.page.total_items):
                return False
            if _is_past(deadline):
                return True
            is_first = False
    if lease:
        lease.renew()
    window.finish()
    return True


def _is_past(deadline: float | None) -> bool:
    return deadline is not None and time.monotonic() >= deadline
