"""Measures what the benchmark command prints. Works on a database of its own that it makes and drops."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.urls import reverse

from sessions_app.mirror.budget import Gate
from sessions_app.mirror.connection import open_client
from sessions_app.mirror.streams import STREAMS
from sessions_app.mirror.sync import sync_stream
from sessions_app.mirror.walk import Walk
from sessions_app.models import Organization, Session
from sessions_app.models.organizations import WriteMode
from sessions_app.models.requests import Purpose
from sessions_app.models.runs import RunState, Stream
from sessions_app.vapi.client import Listing
from sessions_app.vapi.reading import parse_results

ROUNDS = 5
_MOST_REMEMBERED = 60_000


class BenchmarkFailed(Exception):
    """What was to be measured did not work, so no figure would mean anything."""


@dataclass(frozen=True)
class Figure:
    """A measure; a ratio has no unit but a goal that it should reach."""

    name: str
    value: float
    unit: str
    goal: float | None = None


@contextmanager
def scratch_database() -> Iterator[None]:
    """A database of this server that is made for the benchmark and dropped after it."""
    previous = connection.settings_dict["NAME"]
    name = f"vapiadmin_bench_{os.getpid()}"
    # On SQLite a file, as in daily use: in memory everything is faster.
    is_file = connection.vendor == "sqlite"
    connection.settings_dict["TEST"]["NAME"] = str(settings.VAR_DIR / f"{name}.sqlite3") if is_file else name
    connection.creation.create_test_db(verbosity=0, autoclobber=True, serialize=False)
    try:
        yield
    finally:
        connection.creation.destroy_test_db(str(previous), verbosity=0)


@contextmanager
def simulated_vapi(sessions: int) -> Iterator[str]:
    """The address of a simulated Vapi that ends with the block. It has three chats for each session.

    Unless that takes more than some 200 MB, it remembers what it made: on one machine, its work would be measured
    with ours.
    """
    chats = 3 * sessions
    process = subprocess.Popen(  # noqa: S603 - our own program
        [
            sys.executable,
            "-m",
            "sessions_app.sandbox",
            "--port=0",
            f"--sessions={sessions}",
            "--chats=3",
            "--seed=bench",
            f"--remember={chats if chats <= _MOST_REMEMBERED else 0}",
        ],
        cwd=settings.BASE_DIR,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        first = process.stdout.readline() if process.stdout else ""
        url = first.removeprefix("Sandbox ready at ").strip()
        yield url
    finally:
        process.terminate()
        process.wait(10)


@contextmanager
def sandbox(sessions: int) -> Iterator[Organization]:
    """An organization of its own simulated Vapi."""
    with simulated_vapi(sessions) as url:
        yield Organization.objects.create(
            slug="bench",
            name="Benchmark",
            base_url=url,
            api_key="sandbox-key",
            is_sandbox=True,
            write_mode=WriteMode.ON,
            # The budget is lifted: it would be all that is measured.
            requests_per_second=1_000_000,
            concurrent_requests=1_000,
        )


def sync_figures(organization: Organization) -> Iterator[Figure]:
    """Yield sessions a second: reading alone, the first sync, and one that finds nothing changed."""
    seconds, seen = _timed(lambda: _download_and_parse(organization))
    yield Figure("download and parse", seen / seconds, "sessions/s")
    for name in ("first sync", "full sync again, nothing changed"):
        seconds, seen = _timed(lambda: _sync(organization, Stream.SESSIONS))
        yield Figure(name, seen / seconds, "sessions/s")
    seconds, seen = _timed(lambda: _sync(organization, Stream.CHATS))
    yield Figure("first sync of chats", seen / seconds, "chats/s")
    _sync(organization, Stream.NAMES)
    yield Figure("the request budget itself", _budget_microseconds(organization), "µs a request")


def page_figures(asked: Iterable[tuple[str, str]]) -> Iterator[Figure]:
    """Yield the median time of each page and list, given as (name, address), as a person or program asks for it."""
    person = User.objects.create_superuser("bench", password="bench")  # noqa: S106 - in a database that is dropped
    client = Client(HTTP_HOST="127.0.0.1")
    client.force_login(person, backend="django.contrib.auth.backends.ModelBackend")
    for name, address in asked:
        yield Figure(name, _median_milliseconds(partial(_get, client, address)), "ms")


def addresses() -> Iterator[tuple[str, str]]:
    """Yield what people and programs ask for most, by (name, address)."""
    session = Session.objects.exclude(customer_digits="").order_by("-message_count").first()
    if session is None:
        raise BenchmarkFailed("no session has a customer's number")
    sessions = reverse("admin:sessions_app_session_changelist")
    part = session.customer_digits[4:9]
    yield "session list", sessions
    yield "session list by cost", f"{sessions}?ordering=-cost_usd"
    yield "search: part of a number", f"{sessions}?search={part}"
    yield "search: words", f"{sessions}?search=booking+appointment"
    yield "longest session's page", reverse("admin:sessions_app_session_change", args=[session.pk])
    yield "cost page", reverse("admin:costs")
    yield "REST: 100 sessions", "/api/v1/sessions/"
    yield "REST: 1,000 sessions", "/api/v1/sessions/?limit=1000"
    yield "REST: costs by day", "/api/v1/costs/summary/?group_by=day"


def _budget_microseconds(organization: Organization, requests: int = 500) -> float:
    gate = Gate(organization, Purpose.BACKFILL)
    start = time.perf_counter()
    for _ in range(requests):
        gate.enter("GET")
        gate.leave(200, None)
    gate.close()
    return (time.perf_counter() - start) / requests * 1_000_000


def _download_and_parse(organization: Organization) -> int:
    spec, seen = STREAMS[Stream.SESSIONS], 0
    with open_client(organization, Purpose.BACKFILL) as client:
        walk = Walk(partial(client.list_stream, spec.path), Listing(), partial(client.get_stream, spec.path))
        for step in walk.steps():
            records, _ = parse_results(spec.path, step.results, step.text_replaced)
            seen += len(records)
    return seen


def _sync(organization: Organization, stream: Stream) -> int:
    run = sync_stream(organization, stream, full=True)
    if run.state != RunState.SUCCEEDED:
        raise BenchmarkFailed(f"the sync of {stream} ended {run.state}: {run.error}")
    return run.seen


def _get(client: Client, address: str) -> None:
    answer = client.get(address)
    if answer.status_code != 200:
        raise BenchmarkFailed(f"{address} answered {answer.status_code}")
    if not answer.streaming and not answer.content:
        raise BenchmarkFailed(f"{address} answered nothing")


def _timed(work: Callable[[], int]) -> tuple[float, int]:
    start = time.perf_counter()
    done = work()
    return time.perf_counter() - start, done


def _median_milliseconds(work: Callable[[], Any]) -> float:
    work()  # The first one compiles templates.
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        work()
        times.append((time.perf_counter() - start) * 1000)
    return statistics.median(times)
