"""Measures edits as people make them: saved by form, pushed by a real worker at the default budget of requests.

Nothing but the edits, a broker and a worker of its own is at work, and for some figures a full sync beside them.
"""

from __future__ import annotations

import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from html import unescape
from pathlib import Path

import requests
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from sessions_app.edits import bulk as bulks
from sessions_app.management.benchmarks import BenchmarkFailed, Figure
from sessions_app.management.broker import broker
from sessions_app.management.databases import database_url
from sessions_app.mirror.connection import open_client
from sessions_app.mirror.refetch import mirror_answer
from sessions_app.models import BulkEdit, Edit, Organization, Session, SyncRun
from sessions_app.models.edits import OPEN_STATES, EditState
from sessions_app.models.requests import Purpose
from sessions_app.tasks import advance_bulk, enqueue, push_edit
from sessions_app.vapi import Listing

SAVES = 60
HANGING_SAVES = 30
UPSTREAM_MILLISECONDS = 50
# In a full sync as many saves are made as it lasts for, and no fewer.
FEWEST_SAVES = 10
# As every new organization has it.
BUDGET = (5.0, 4)
# As the simulated one has it: a bulk at five requests a second would take an hour and say nothing new.
BULK_BUDGET = (200.0, 16)
_LONGEST_WAIT_SECONDS = 120.0


@dataclass(frozen=True)
class _Save:
    """A form that was saved: when, by the wall clock, and how long the browser waited."""

    session_id: str
    at: float
    seconds: float


def edit_figures(organization: Organization, edits: int) -> Iterator[Figure]:
    """Yield times from save to applied, alone and in a first full sync; a bulk of `edits`; saves while Vapi hangs."""
    client, person = _browser()
    fresh = iter(_mirror_newest(organization, 2 * SAVES + HANGING_SAVES + 1))
    with _worker():
        _save(client, next(fresh))
        _await(_is_all_settled, "the worker did not start")
        _set_budget(organization, BUDGET)
        _fault(organization, f"latency:ms={UPSTREAM_MILLISECONDS}")
        yield from _times_to_applied("alone", client, fresh)
        with _full_sync(organization) as goes_on:
            yield from _times_to_applied("in a full sync", client, fresh, goes_on)
        yield from _bulk_figures(organization, person, edits)
        _fault(organization, "timeout:seconds=600")
        saves = [_save(client, next(fresh)) for _ in range(HANGING_SAVES)]
        yield from _spread("save while Vapi hangs", [save.seconds for save in saves])
        _fault(organization, "")


def _mirror_newest(organization: Organization, count: int) -> list[Session]:
    with open_client(organization, Purpose.BACKFILL) as client:
        newest = client.list_sessions(Listing(limit=count, sort_order="DESC"))
    found = [
        mirror_answer(organization, row, text_replaced=False, asked_at=newest.asked_at)
        for row in newest.results
    ]
    if len(found) < count:
        raise BenchmarkFailed("there are too few sessions: --sessions")
    return [session for session in found if session is not None]


def _times_to_applied(
    name: str, client: Client, fresh: Iterator[Session], goes_on: Callable[[], bool] = lambda: True
) -> Iterator[Figure]:
    """One save a second, whatever became of those before."""
    saves, start = list[_Save](), time.monotonic()
    while len(saves) < SAVES and goes_on():
        saves.append(_save(client, next(fresh)))
        time.sleep(max(0.0, start + len(saves) - time.monotonic()))
    if len(saves) < FEWEST_SAVES:
        raise BenchmarkFailed("the full sync ended too early: --sessions")
    made = Edit.objects.filter(session_id__in=[save.session_id for save in saves])
    _await(_is_all_settled, "an edit was not applied")
    ended = dict(made.filter(state=EditState.APPLIED).values_list("session_id", "settled_at"))
    if len(ended) < len(saves):
        raise BenchmarkFailed("an edit was not applied")
    times = [at.timestamp() - save.at for save in saves if (at := ended[save.session_id]) is not None]
    yield from _spread(f"save to applied, {name}", times)
    yield from _spread(f"save, {name}", [save.seconds for save in saves])


def _spread(name: str, seconds: Sequence[float]) -> Iterator[Figure]:
    yield Figure(name, statistics.median(seconds) * 1000, "ms")
    yield Figure(f"{name}, p99", sorted(seconds)[int(len(seconds) * 0.99)] * 1000, "ms")


def _bulk_figures(organization: Organization, person: User, edits: int) -> Iterator[Figure]:
    _fault(organization, f"latency:ms={UPSTREAM_MILLISECONDS}")
    asked = _requests(organization)
    ids = list(Session.objects.order_by("-pk").values_list("pk", flat=True)[:edits])
    bulk = bulks.preview(organization, ids, {"name": "Bulk"}, person)
    bulks.confirm(bulk, person, "benchmark")
    start = time.monotonic()
    enqueue(advance_bulk, bulk.pk)
    _await(lambda: _is_finished(bulk), "the bulk did not end", seconds=60 + edits)
    seconds, sent = time.monotonic() - start, _requests(organization) - asked
    if bulks.count_states(bulk).get(EditState.APPLIED) != edits:
        raise BenchmarkFailed("an edit of the bulk was not applied")
    yield Figure(f"bulk of {edits:,}", edits / seconds, "edits/s")
    yield Figure("its share of the budget", sent / seconds / BULK_BUDGET[0] * 100, "%")
    yield Figure("its requests", sent / edits, "an edit")


def _is_finished(bulk: BulkEdit) -> bool:
    bulk.refresh_from_db()
    return bulk.finished_at is not None


def _browser() -> tuple[Client, User]:
    person = User.objects.create_superuser("bench", password="bench")  # noqa: S106 - in a database that is dropped
    client = Client(HTTP_HOST="127.0.0.1")
    client.force_login(person, backend="django.contrib.auth.backends.ModelBackend")
    return client, person


def _save(client: Client, session: Session) -> _Save:
    """Load the form, which is not timed, and save it."""
    address = reverse("admin:sessions_app_session_edit", args=[session.pk])
    page = client.get(address).text
    carried = {name: _value(page, name) for name in ("base", "submission_key")}
    at, start = time.time(), time.perf_counter()
    kept = {"status": session.status, "expiration_seconds": session.expiration_seconds or ""}
    answer = client.post(address, {**carried, **kept, "name": f"Saved {at:.3f}", "extend": "", "reason": ""})
    seconds = time.perf_counter() - start
    if answer.status_code != 302:
        raise BenchmarkFailed(f"a save was answered with {answer.status_code}")
    return _Save(session.pk, at, seconds)


def _value(page: str, name: str) -> str:
    found = re.search(f'name="{name}" value="([^"]*)"', page)
    if found is None:
        raise BenchmarkFailed(f"the form carries no {name}")
    return unescape(found[1])


def _is_all_settled() -> bool:
    return not Edit.objects.filter(state__in=OPEN_STATES).exists()


def _await(condition: Callable[[], bool], problem: str, seconds: float = _LONGEST_WAIT_SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise BenchmarkFailed(problem)
        time.sleep(0.1)


def _set_budget(organization: Organization, budget: tuple[float, int]) -> None:
    rate, at_once = budget
    rows = Organization.objects.filter(pk=organization.pk)
    rows.update(requests_per_second=rate, concurrent_requests=at_once)


def _fault(organization: Organization, spec: str) -> None:
    requests.post(
        f"{organization.base_url}/_sandbox/faults", json={"spec": spec}, timeout=10
    ).raise_for_status()


def _requests(organization: Organization) -> int:
    """How many requests have reached the simulated Vapi."""
    stats = requests.get(f"{organization.base_url}/_sandbox/stats", timeout=10).json()
    return int(stats["requests"])


@contextmanager
def _worker() -> Iterator[None]:
    """A broker and a worker like those of `manage.py run`, and nobody else at either."""
    app, before = push_edit.app, push_edit.app.conf.broker_url
    with tempfile.TemporaryDirectory(prefix="vapiadmin-") as folder:
        url = f"redis+socket://{folder}/redis.sock"
        child = broker(url, Path(folder), Path(folder, "broker.log"))
        child.start()
        app.conf.update(broker_url=url)
        command = [
            "celery",
            "--quiet",
            "--app",
            "vapiadmin",
            "worker",
            "--pool",
            "threads",
            "--concurrency",
            "4",
        ]
        process = _start("-m", *command, CELERY_BROKER_URL=url)
        try:
            yield
        finally:
            app.conf.update(broker_url=before)
            # What hangs at Vapi is not waited for.
            process.kill()
            process.wait(20)
            child.end()


@contextmanager
def _full_sync(organization: Organization) -> Iterator[Callable[[], bool]]:
    """A first full sync beside it; what is left of it afterwards runs at full speed. Gives whether it goes on."""
    process = _start(
        "manage.py", "sync", "--full", "--organization", organization.slug, "--stream", "sessions"
    )
    try:
        _await(lambda: SyncRun.objects.filter(seen__gt=0).exists(), "the full sync did not begin")
        yield lambda: process.poll() is None
        _set_budget(organization, BULK_BUDGET)
        _fault(organization, "")
        process.wait(600)
    finally:
        process.kill()
        process.wait(20)


def _start(*command: str, **environment: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, *command],
        cwd=settings.BASE_DIR,
        env={**os.environ, "DATABASE_URL": database_url(), **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
