"""The full sync: one run lays windows and closes them; it and any number of helpers walk them side by side.

A helper needs no more than a window that nobody walks. What it reads it counts in the run that it helps. Where the
run's worker dies, helpers end what they have; the next run goes on with what is left.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace

from django.db.models import QuerySet

from sessions_app.mirror.commits import unhurried
from sessions_app.mirror.connection import NoKey, open_client
from sessions_app.mirror.leases import HeldLease, LeaseLost, holders
from sessions_app.mirror.ledger import read_counts
from sessions_app.mirror.pauses import pause_if_refused
from sessions_app.mirror.pinning import WrongOrganization
from sessions_app.mirror.pull import Pull, Reading, collected_seldom
from sessions_app.mirror.quarantine import release_nameless
from sessions_app.mirror.walk import Step
from sessions_app.mirror.windows import (
    HeldWindow,
    close_plan,
    expected_rows,
    is_laid,
    lay_windows,
    planned_at,
    take_window,
    unfinished,
)
from sessions_app.mirror.writer import is_one_writer_enough
from sessions_app.models import Organization, SyncRun
from sessions_app.models.requests import Purpose
from sessions_app.models.runs import RunKind, RunState, Stream
from sessions_app.vapi.errors import Refused, VapiError
from sessions_app.vapi.reader import MANY, Reader

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
    if (pull.run.total or 0) >= MANY:
        pull.expect_many()
    while not close_plan(organization, stream, lease):
        if not _walk_windows(pull, lease):
            # Helpers are at the last ones; where one dies, its window is free again within a minute.
            time.sleep(_LOOK_AGAIN_SECONDS)
            lease.renew()
    read_counts(pull.run)
    if laid_at:
        release_nameless(organization, stream, not_seen_since=laid_at)


def help_backfill(
    organization: Organization, stream: Stream, *, seconds: float | None = None, workers: int = 1
) -> bool:
    """Walk windows of a full sync that runs elsewhere, at least one page, for about `seconds` or until none is free.

    `workers` is how many processes of this machine are at it. Returns whether there may be more to do. What ends a
    helper is left to the run to meet and to tell.
    """
    run = running_backfill(organization, stream)
    if run is None:
        return False
    deadline = None if seconds is None else time.monotonic() + seconds
    try:
        with (
            open_client(organization, Purpose.BACKFILL) as client,
            Reader(workers) as reader,
            collected_seldom(),
        ):
            pull = Pull(organization, stream, client, run, reader)
            _walk_windows(pull, deadline=deadline)
            return _is_past(deadline)
    except Refused as problem:
        pause_if_refused(organization, problem)
        return False
    except (VapiError, NoKey, WrongOrganization, LeaseLost):
        return False


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
    most = min(MOST_HELPERS, organization.concurrent_requests - 1, left.count())
    return max(0, most - holders(left))


def _running() -> QuerySet[SyncRun]:
    return SyncRun.objects.filter(kind=RunKind.BACKFILL, state=RunState.RUNNING)


def _walk_windows(pull: Pull, lease: HeldLease | None = None, *, deadline: float | None = None) -> bool:
    """Walk windows that nobody walks until there is none, or the deadline has come and a page was stored.

    Returns whether there was one. `lease` is the run's own, which must stand as well.
    """
    held: list[HeldWindow] = []
    is_any = False
    try:
        # With a deadline, what was asked for ahead would mostly be thrown away.
        with pull.stored_of(_steps(pull, held), far_ahead=deadline is None) as stored:
            for window, reading in stored:
                is_any = True
                _note(window, reading, lease)
                if reading is not None and _is_past(deadline):
                    break
    finally:
        for window in held:
            window.release()
    return is_any


def _note(window: HeldWindow, reading: Reading | None, lease: HeldLease | None) -> None:
    """Note how far a window was walked and stored; no reading says that it was walked to its end."""
    with unhurried():
        if lease:
            lease.renew()
        if reading is not None:
            window.reach(reading.step.reached_at, len(reading.step.results))
        else:
            window.finish()
    if reading is None:
        window.release()


def _steps(pull: Pull, held: list[HeldWindow]) -> Iterator[tuple[HeldWindow, Step | None]]:
    """Take window after window, note that it is `held`, and walk it; None says that it was walked to its end.

    The next one is taken while the last answers of the one before are still to be stored.
    """
    while (window := take_window(pull.organization, pull.stream)) is not None:
        held.append(window)
        walk = pull.walk(window.listing)
        is_first = True
        for step in walk.steps():
            if is_first and window.cut(step.page.total_items, step.reached_at):
                # From now on this walk asks for nothing beyond.
                walk.listing = replace(walk.listing, created_at_lt=window.listing.created_at_lt)
            is_first = False
            yield window, step
        yield window, None


def _is_past(deadline: float | None) -> bool:
    return deadline is not None and time.monotonic() >= deadline
