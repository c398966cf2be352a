"""The ledger of pulls: a SyncRun is opened and closed here, whatever happens in between."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from django.db import Error as DatabaseError
from django.db.models import Exists, F, OuterRef
from django.db.models.functions import Now
from django.utils import timezone

from sessions_app.logs import describe_error
from sessions_app.mirror.budget import MOST_COOL_DOWN_SECONDS
from sessions_app.mirror.commits import unhurried
from sessions_app.mirror.connection import NoKey
from sessions_app.mirror.leases import HeldLease, LeaseLost, with_new_connection
from sessions_app.mirror.patience import must_wait_long
from sessions_app.mirror.pauses import pause_if_refused
from sessions_app.mirror.pinning import WrongOrganization
from sessions_app.mirror.writer import WriteResult
from sessions_app.models import Lease, Organization, SyncRun
from sessions_app.models.runs import RunKind, RunState, Stream
from sessions_app.vapi.errors import Refused, Unavailable, VapiError

log = logging.getLogger(__name__)

_COUNTED = ("seen", "created", "updated", "unchanged", "quarantined")


class Unfinished(Exception):
    """A run did what it could and left something: it ends as partial. Says what, and who has to act."""


@contextmanager
def open_run(
    organization: Organization,
    stream: Stream,
    kind: RunKind,
    lease: HeldLease,
    started_by_id: int | None = None,
) -> Iterator[SyncRun]:
    """Open a run and give it a final state, whatever happens.

    Errors of Vapi, the database or the lease end it as failed and stay inside; others end it and go on. Where the
    database is away to the end, the run is closed when its lease has expired.
    """
    close_expired_runs()
    run = SyncRun.objects.create(
        organization=organization,
        stream=stream,
        kind=kind,
        lease_number=lease.number,
        started_by_id=started_by_id,
        started_at=timezone.now(),
    )
    error, is_partial = "interrupted", False
    try:
        yield run
        error = ""
    except Unfinished as left:
        error, is_partial = str(left), True
    except (VapiError, NoKey, WrongOrganization) as problem:
        error = _in_words(problem)
        if isinstance(problem, Refused):
            pause_if_refused(organization, problem)
    except LeaseLost:
        error = "The lease was lost: this run stood still for more than a minute and another one took over."
    except DatabaseError as problem:
        error = describe_error(problem)
    except Exception as problem:
        error = describe_error(problem)
        raise
    finally:
        _close(run, error, is_partial=is_partial)


def count(run: SyncRun, result: WriteResult, seen: int) -> None:
    """Add a page's outcome to the run, which several workers may share, and read what it amounts to by now."""
    with unhurried():
        SyncRun.objects.filter(pk=run.pk).update(
            seen=F("seen") + seen,
            created=F("created") + result.created,
            updated=F("updated") + result.updated,
            unchanged=F("unchanged") + result.unchanged,
            quarantined=F("quarantined") + result.quarantined,
        )
        read_counts(run)


def read_counts(run: SyncRun) -> None:
    """Read what a run amounts to by now, with what others counted in it."""
    run.refresh_from_db(fields=_COUNTED)


def close_expired_runs() -> int:
    """End as failed every run whose lease is no longer its own: its worker died. Returns how many."""
    lease = Lease.objects.filter(
        organization=OuterRef("organization"), stream=OuterRef("stream"), kind=OuterRef("kind")
    )
    living = lease.filter(number=OuterRef("lease_number"), expires_at__gte=Now())
    return (
        SyncRun.objects.filter(state=RunState.RUNNING)
        .filter(~Exists(living))
        .update(
            state=RunState.FAILED,
            error="The worker died or was stopped; the next run goes on where this one was.",
            finished_at=Now(),
        )
    )


def _in_words(problem: Exception) -> str:
    if isinstance(problem, Unavailable) and must_wait_long(problem):
        until = timezone.now() + timedelta(seconds=min(problem.retry_after or 0, MOST_COOL_DOWN_SECONDS))
        return f"Vapi asks to be left alone until {until:%H:%M:%S} UTC. The next run begins after that."
    if isinstance(problem, Refused) and problem.status in {401, 403}:
        return f"Vapi refused the API key ({problem.status}). Check the key and the address of Vapi."
    words = " ".join(problem.words) if isinstance(problem, Refused) else ""
    return f"{problem}. {words}".strip()


def _close(run: SyncRun, error: str, *, is_partial: bool = False) -> None:
    state = RunState.FAILED if error else RunState.PARTIAL if run.quarantined else RunState.SUCCEEDED
    if is_partial:
        state = RunState.PARTIAL
    run.state, run.error, run.finished_at = state, error, timezone.now()
    try:
        with_new_connection(lambda: _write_end(run))
    except DatabaseError:
        log.exception("sync run not closed: the database is away", extra={"run": run.pk})
        return
    log.log(
        logging.WARNING if run.error else logging.INFO,
        "sync run ended",
        extra={"run": run.pk, "stream": run.stream, "kind": run.kind, "state": run.state, "seen": run.seen},
    )


def _write_end(run: SyncRun) -> None:
    running = SyncRun.objects.filter(pk=run.pk, state=RunState.RUNNING)
    if not running.update(state=run.state, error=run.error, finished_at=run.finished_at):
        # It stood still for so long that somebody closed it. That stands.
        run.refresh_from_db(fields=["state", "error", "finished_at"])
