"""Proves a first full sync whose processes are killed again and again: everything is here, once, and as it is at Vapi.

What is here is compared with what Vapi lists by a reader of its own, which shares nothing with the mirror.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import requests
from django.conf import settings
from django.db import connection
from django.db.models import Count, Sum
from django.utils import timezone

from sessions_app.management.benchmarks import BenchmarkFailed, Figure
from sessions_app.management.databases import database_url
from sessions_app.management.exits import LEASE_TAKEN
from sessions_app.mirror.reconcile import reconcile_stream
from sessions_app.models import Coverage, Organization, Session, SyncRun, SyncWindow
from sessions_app.models.runs import RunKind, RunState, Stream
from sessions_app.vapi.times import parse_time

_LOOK_AGAIN_SECONDS = 0.5
# A lease lasts a minute; whoever waits longer for it waits in vain.
_LEASE_SECONDS = 90
_PICO = Decimal("1e-12")


@dataclass
class _Sync:
    """`manage.py sync` in processes of its own, started again until it is done."""

    workers: int
    waited_seconds: float = 0.0
    _process: subprocess.Popen[bytes] = field(init=False)

    def start(self) -> None:
        """Start; whoever was killed holds its lease for up to a minute."""
        began, now = time.monotonic(), timezone.now()
        while True:
            self._process = self._started()
            while self._process.poll() is None and not _is_reading_since(now):
                time.sleep(_LOOK_AGAIN_SECONDS)
            waited = time.monotonic() - began
            if self._process.poll() != LEASE_TAKEN or waited > _LEASE_SECONDS:
                break
        self.waited_seconds += waited

    def _started(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(  # noqa: S603 - our own program
            [
                *(sys.executable, "manage.py", "sync", "--full", "--stream=sessions", "--json"),
                f"--workers={self.workers}",
            ],
            cwd=settings.BASE_DIR,
            env={**os.environ, "DATABASE_URL": database_url()},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def await_rows(self, count: int) -> bool:
        """Wait until so many sessions are here. False where the sync ended before."""
        while self._process.poll() is None:
            if Session.objects.count() >= count:
                return True
            time.sleep(_LOOK_AGAIN_SECONDS)
        return False

    def kill(self) -> None:
        """kill -9: the run and those that joined it, all of them started by it."""
        for pid in {self._process.pid, *_holders()}:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait()

    def end(self) -> None:
        if self._process.wait() != 0:
            raise BenchmarkFailed(f"the sync ended with {self._process.returncode}")


def kill_figures(
    organization: Organization, *, workers: int, kills: int, log: Callable[[str], None]
) -> Iterator[Figure]:
    """Yield how long a first sync took that was killed `kills` times, and what the proofs found."""
    total = _total(organization)
    sync = _Sync(1 if connection.vendor == "sqlite" else workers)
    start = time.monotonic()
    sync.start()
    for number in range(kills):
        if sync.await_rows(total * (number + 1) // (kills + 1)):
            sync.kill()
            log(f"killed with {Session.objects.count():,} of {total:,} sessions here")
            sync.start()
    sync.end()
    took = time.monotonic() - start
    yield Figure("sessions", total, "at Vapi")
    yield Figure("first sync, killed on the way", took, "s")
    yield Figure("of which starting, and waiting for dead leases", sync.waited_seconds, "s")
    yield Figure("rate without that waiting", total / (took - sync.waited_seconds), "sessions/s")
    yield from _compared(organization)
    yield from _proven(organization)


def _compared(organization: Organization) -> Iterator[Figure]:
    start = time.monotonic()
    listed, cost = 0, Decimal(0)
    for page in _pages(organization):
        listed += len(page)
        cost += sum((_exact(row.get("cost")) for row in page), Decimal(0))
        here = {row.pk: row for row in Session.objects.filter(pk__in=[row["id"] for row in page])}
        wrong = [row["id"] for row in page if not _is_same(row, here.get(row["id"]))]
        if wrong:
            raise BenchmarkFailed(
                f"{len(wrong)} sessions are not here as they are at Vapi, such as {wrong[0]}"
            )
    sums = Session.objects.aggregate(rows=Count("pk"), cost=Sum("cost_usd"))
    if (sums["rows"], sums["cost"] or 0) != (listed, cost):
        raise BenchmarkFailed(
            f"{sums['rows']} rows of {sums['cost']} USD are here, {listed} of {cost} at Vapi"
        )
    yield Figure("compared one by one, all equal", listed, f"sessions in {time.monotonic() - start:.0f} s")


def _proven(organization: Organization) -> Iterator[Figure]:
    start = time.monotonic()
    run = reconcile_stream(organization, Stream.SESSIONS)
    if run.state != RunState.SUCCEEDED or run.created or run.missing:
        raise BenchmarkFailed(f"the proof ended {run.state}: {run.error}, {run.created} were lacking")
    days = Coverage.objects.filter(organization=organization, stream=Stream.SESSIONS)
    counted = days.aggregate(rows=Sum("mirrored_count"), days=Count("pk"))
    yield Figure(
        "proven by coverage",
        counted["rows"] or 0,
        f"sessions, {counted['days']} days, {time.monotonic() - start:.0f} s",
    )


def _pages(organization: Organization) -> Iterator[list[dict[str, Any]]]:
    """Every session as Vapi lists it, by createdAt, each once."""
    since, seen = "", set[str]()
    while True:
        page = _ask(
            organization, {"limit": 1000, "sortOrder": "ASC", **({"createdAtGe": since} if since else {})}
        )
        rows = [row for row in page["results"] if row["id"] not in seen]
        if not rows:
            return
        yield rows
        since = rows[-1]["createdAt"]
        seen = {row["id"] for row in page["results"] if row["createdAt"] == since}


def _total(organization: Organization) -> int:
    return int(_ask(organization, {"limit": 1})["metadata"]["totalItems"])


def _ask(organization: Organization, query: dict[str, Any]) -> dict[str, Any]:
    answer = requests.get(
        f"{organization.base_url}/session",
        params=query,
        headers={"Authorization": f"Bearer {organization.api_key}"},
        timeout=60,
    )
    answer.raise_for_status()
    return dict(json.loads(answer.content, parse_float=Decimal))


def _is_same(remote: dict[str, Any], here: Session | None) -> bool:
    return here is not None and (here.updated_at, here.status, here.cost_usd or Decimal(0)) == (
        parse_time(remote["updatedAt"]),
        remote.get("status") or "",
        _exact(remote.get("cost")),
    )


def _exact(cost: object) -> Decimal:
    return Decimal(str(cost)).quantize(_PICO) if cost is not None else Decimal(0)


def _is_reading_since(moment: datetime) -> bool:
    runs = SyncRun.objects.filter(kind=RunKind.BACKFILL, state=RunState.RUNNING)
    return runs.filter(started_at__gte=moment).exists()


def _holders() -> set[int]:
    """Processes of this machine that walk windows now: no one else is at this database."""
    held = SyncWindow.objects.filter(expires_at__gte=datetime.now(UTC)).values_list("holder", flat=True)
    places = [holder.split(":") for holder in held]
    return {int(place[1]) for place in places if place[0] == socket.gethostname()} - {os.getpid()}
