"""Measures a sync beside what it is made of: reading alone, and bare statements that store the same rows."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import requests
from django.conf import settings
from django.db import connection

from sessions_app.management.bare_rows import BareRows, empty_tables
from sessions_app.management.benchmarks import BenchmarkFailed, Figure
from sessions_app.management.databases import database_url
from sessions_app.mirror.connection import open_client
from sessions_app.mirror.pull import collected_seldom
from sessions_app.mirror.streams import STREAMS
from sessions_app.mirror.sync import sync_stream
from sessions_app.mirror.walk import Walk
from sessions_app.models import Chat, Organization, Session, SyncRun
from sessions_app.models.requests import Purpose
from sessions_app.models.runs import RunState, Stream
from sessions_app.vapi.client import Listing
from sessions_app.vapi.reading import parse_results

ROUNDS = 3
_STREAMS = (Stream.SESSIONS, Stream.CHATS)
_MEGABYTE = 1_048_576


@dataclass
class _Rates:
    """Records a second, by what was done, one for each round."""

    found: dict[str, list[float]] = field(default_factory=dict)

    def take(self, name: str, work: Callable[[], int]) -> None:
        start = time.perf_counter()
        records = work()
        self.add(name, records, time.perf_counter() - start)

    def add(self, name: str, records: int, seconds: float) -> None:
        self.found.setdefault(name, []).append(records / seconds)

    def median(self, name: str) -> float:
        return statistics.median(self.found[name])


def sync_comparison(
    organization: Organization, *, rounds: int, workers: int, latency_ms: int
) -> Iterator[Figure]:
    """Yield records (sessions and chats) a second, medians of `rounds`, and the ratios with their goals.

    What is compared is done in turns, so that all of it sees the same machine. `workers` above 1 and `latency_ms`
    above 0 measure those as well; all the rest is one worker's.
    """
    rates = _Rates()
    for number in range(rounds):
        rates.take("a", lambda: _download_and_parse(organization))
        _sync_into_nothing(rates, "c", organization)
        bare = BareRows.read()
        rates.take("d0", lambda: _sync(organization))
        _change_one_in_a_hundred(organization, number)
        rates.take("d1", lambda: _sync(organization))
        empty_tables()
        rates.take("b", bare.write)
        del bare
        if latency_ms:
            _control(organization, "faults", {"spec": f"latency:ms={latency_ms}"})
            _sync_into_nothing(rates, "latency", organization)
            _control(organization, "faults", {"spec": ""})
        if workers > 1:
            empty_tables()
            rates.add("workers", *_sync_by_command(organization, workers))
            rates.add("d0 workers", *_sync_by_command(organization, workers))
    yield from _rates_and_ratios(rates, workers, latency_ms)


def _rates_and_ratios(rates: _Rates, workers: int, latency_ms: int) -> Iterator[Figure]:
    bare = "bare COPY" if connection.vendor == "postgresql" else "bare executemany"
    names = {
        "a": "(a) download and parse",
        "b": f"(b) {bare} of the same rows",
        "c": "(c) full sync",
        "d0": "(d) again, nothing changed",
        "d1": "(d) again, 1 % changed",
        "latency": f"(c) with {latency_ms} ms of latency",
        "workers": f"(c) with {workers} workers",
        "d0 workers": f"(d) nothing changed, {workers} workers",
    }
    for key, name in names.items():
        if key in rates.found:
            yield Figure(name, rates.median(key), "records/s")
    ratios = (
        ("c", "b", 0.7),
        ("workers", "b", 1.3),
        ("d0", "a", 1.0),
        ("d1", "a", 0.75),
        ("d0 workers", "a", 1.0),
        ("latency", "c", 0.85),
    )
    for over, under, goal in ratios:
        if over in rates.found:
            name = f"{names[over]} to ({under})"
            yield Figure(name, rates.median(over) / rates.median(under), "", goal)


def growth_figures(organization: Organization, *, first: int) -> Iterator[Figure]:
    """Yield rate and memory of one sync of all sessions, after the first `first` ones and at its end."""
    marks = [(time.perf_counter(), 0, _resident_megabytes())]

    def mark(run: SyncRun) -> None:
        marks.append((time.perf_counter(), run.seen, _resident_megabytes()))

    _sync_stream(organization, Stream.SESSIONS, mark)
    total = marks[-1][1]
    # Long enough that a moment of the machine's own decides nothing.
    stretch = max(first, total // 20)
    early, late = _rate(marks, first, first + stretch), _rate(marks, total - stretch, total)
    highest_early = max(size for _, seen, size in marks if seen <= 2 * first)
    yield Figure(f"sync with {first:,} sessions present", early, "sessions/s")
    yield Figure(f"sync with {total:,} sessions present", late, "sessions/s")
    yield Figure("ratio of the two", late / early, "", 0.8)
    yield Figure(f"memory up to {2 * first:,} sessions", highest_early, "MB")
    yield Figure(f"memory up to {total:,} sessions", max(size for _, _, size in marks), "MB")


def _rate(marks: list[tuple[float, int, float]], start: int, end: int) -> float:
    """Sessions a second from the last mark before `start` to the first one after `end`."""
    began = max(mark for mark in marks if mark[1] <= start)
    ended = min(mark for mark in marks if mark[1] >= min(end, marks[-1][1]))
    return (ended[1] - began[1]) / (ended[0] - began[0])


def _resident_megabytes() -> float:
    """Of this process and of the one that reads for it."""
    pages = sum(int(Path(folder, "statm").read_text().split()[1]) for folder in ("/proc/self", *_readers()))
    return pages * os.sysconf("SC_PAGE_SIZE") / _MEGABYTE


def _readers() -> Iterator[str]:
    for children in Path("/proc/self/task").glob("*/children"):
        for pid in children.read_text().split():
            if b"sessions_app.vapi.reader" in Path("/proc", pid, "cmdline").read_bytes():
                yield f"/proc/{pid}"


def _download_and_parse(organization: Organization) -> int:
    """Every record as the writer takes it, secrets redacted; nothing is stored."""
    seen = 0
    for stream in _STREAMS:
        spec = STREAMS[stream]
        with open_client(organization, Purpose.BACKFILL) as client, collected_seldom():
            list_page = partial(client.list_stream, spec.path)
            for step in Walk(list_page, Listing(), partial(client.get_stream, spec.path)).steps():
                seen += len(parse_results(spec.path, step.results, step.text_replaced)[0])
    return seen


def _sync_into_nothing(rates: _Rates, name: str, organization: Organization) -> None:
    empty_tables()
    rates.take(name, lambda: _sync(organization))


def _sync(organization: Organization) -> int:
    return sum(_sync_stream(organization, stream) for stream in _STREAMS)


def _sync_stream(
    organization: Organization, stream: Stream, progress: Callable[[SyncRun], None] | None = None
) -> int:
    run = sync_stream(organization, stream, full=True, progress=progress)
    if run.state != RunState.SUCCEEDED:
        raise BenchmarkFailed(f"the sync of {stream} ended {run.state}: {run.error}")
    return run.seen


def _sync_by_command(organization: Organization, workers: int) -> tuple[int, float]:
    """Records and seconds of what `manage.py sync --workers` does; the command's own start is not in them, but that
    of those whom it calls is."""
    seen, seconds = 0, 0.0
    for stream in _STREAMS:
        ended = subprocess.run(  # noqa: S603 - our own program
            [sys.executable, "manage.py", "sync", "--full", "--json", f"--workers={workers}",
             f"--organization={organization.slug}", f"--stream={stream}"],
            cwd=settings.BASE_DIR, env={**os.environ, "DATABASE_URL": database_url()}, stdout=subprocess.PIPE,
            check=False,
        )  # fmt: skip
        if ended.returncode:
            raise BenchmarkFailed(f"the sync of {stream} by command ended with {ended.returncode}")
        for run in json.loads(ended.stdout)["runs"]:
            seen, seconds = seen + run["seen"], seconds + run["seconds"]
    return seen, seconds


def _change_one_in_a_hundred(organization: Organization, number: int) -> None:
    """Give every hundredth session and chat another name and a newer updatedAt, as Vapi does."""
    for kind, model in (("sessions", Session), ("chats", Chat)):
        ids = list(model.objects.order_by("created_at", "pk").values_list("pk", flat=True)[50::100])
        rows = [{"id": remote_id, "fields": {"name": f"changed {number}"}} for remote_id in ids]
        _control(organization, kind, {"rows": rows})


def _control(organization: Organization, topic: str, body: dict[str, Any]) -> None:
    requests.post(f"{organization.base_url}/_sandbox/{topic}", json=body, timeout=60).raise_for_status()
