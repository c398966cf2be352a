"""What happens to our own processes, database and broker: whatever it is, the next run ends with the truth."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.db import connection
from django_celery_beat.models import IntervalSchedule, PeriodicTask
from kombu import Connection

from sessions_app.heartbeats import claim_sending
from sessions_app.management.databases import database_url
from sessions_app.mirror.sync import sync_organization, sync_stream
from sessions_app.models import Heartbeat, Lease, Organization, SyncRun, SyncWindow, Watermark
from sessions_app.models.runs import RunKind, RunState, Stream
from tests.mirror.truth import assert_mirror_equals
from tests.sandbox_process import SandboxProcess
from tests.worker_process import WorkerProcess, wait_until
from vapiadmin import celery_app

pytestmark = pytest.mark.django_db(transaction=True)
ROOT = Path(__file__).parents[1]
LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)
PATIENCE = 120
Start = Callable[[], WorkerProcess]


@pytest.fixture
def vapi(start_sandbox: Callable[..., SandboxProcess], organization: Organization) -> SandboxProcess:
    """A Vapi of their own: what a killed process asked may be answered after the test."""
    sandbox = start_sandbox(sessions=1200)
    Organization.objects.update(base_url=sandbox.url)
    organization.refresh_from_db()
    return sandbox


@contextmanager
def sync_process(*arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """`manage.py sync` in a process of its own, on the test's database."""
    process = subprocess.Popen(
        [sys.executable, "manage.py", "sync", *arguments],
        cwd=ROOT,
        env={**os.environ, "DATABASE_URL": database_url()},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait(10)


def asked(vapi: SandboxProcess) -> int:
    return int(vapi.control("GET", "stats")["requests"])


def assert_next_run_ends_with_the_truth(vapi: SandboxProcess, organization: Organization) -> None:
    organization.refresh_from_db()
    runs = sync_organization(organization)
    assert {run.state for run in runs} == {RunState.SUCCEEDED}
    assert not SyncRun.objects.filter(state=RunState.RUNNING).exists()
    assert_mirror_equals(vapi, organization)


def test_one_frozen_past_its_lease_and_woken(vapi: SandboxProcess, organization: Organization) -> None:
    vapi.fault("latency:ms=3000")
    with sync_process("--stream", "sessions") as frozen:
        wait_until(lambda: SyncRun.objects.filter(seen__gt=0).exists(), PATIENCE)
        # While it waits for its next answer, not in the middle of a write: SQLite's one lock would freeze with it.
        time.sleep(1)
        frozen.send_signal(signal.SIGSTOP)
        vapi.fault("")
        free_every_lease()

        run = sync_stream(organization, Stream.SESSIONS)

        assert run.state == RunState.SUCCEEDED
        after = list(Watermark.objects.order_by("pk").values())
        frozen.send_signal(signal.SIGCONT)
        assert frozen.wait(PATIENCE) == 1
    assert list(Watermark.objects.order_by("pk").values()) == after
    first = SyncRun.objects.exclude(pk=run.pk).get()
    assert (first.state, first.finished_at is not None) == (RunState.FAILED, True)
    sync_stream(organization, Stream.CHATS)
    assert_mirror_equals(vapi, organization)


def free_every_lease() -> None:
    """The minute that a lease lasts goes by."""
    Lease.objects.update(expires_at=LONG_AGO)
    SyncWindow.objects.update(expires_at=LONG_AGO)


def test_killed_again_and_again(vapi: SandboxProcess, organization: Organization) -> None:
    vapi.fault("latency:ms=150")
    for more in (1, 3, 4):
        before = asked(vapi)
        with sync_process() as process:
            wait_until(lambda before=before, more=more: asked(vapi) >= before + more, PATIENCE)  # type: ignore[misc]  # bound now
            process.kill()
        free_every_lease()
    vapi.fault("")

    assert_next_run_ends_with_the_truth(vapi, organization)


def test_the_database_gone_for_a_while(vapi: SandboxProcess, organization: Organization) -> None:
    vapi.fault("latency:ms=300")
    with sync_process() as process:
        before = asked(vapi)
        wait_until(lambda: asked(vapi) >= before + 3, PATIENCE)
        with database_gone():
            vapi.fault("")
            assert process.wait(PATIENCE) in {0, 1} if connection.vendor == "postgresql" else True
            time.sleep(1)
        process.wait(PATIENCE)
    free_every_lease()

    assert_next_run_ends_with_the_truth(vapi, organization)


@contextmanager
def database_gone() -> Iterator[None]:
    """PostgreSQL cuts everybody off and lets nobody in; SQLite's file is locked by somebody else."""
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("BEGIN IMMEDIATE")
            yield
            cursor.execute("ROLLBACK")
        return
    name = connection.settings_dict["NAME"]
    own = {**connection.get_connection_params(), "dbname": "postgres"}
    who = {part: own[part] for part in ("dbname", "user", "password", "host", "port") if own.get(part)}
    connection.close()
    with psycopg.connect(**who, autocommit=True) as server:
        server.execute(f'ALTER DATABASE "{name}" WITH ALLOW_CONNECTIONS false')
        server.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
        try:
            yield
        finally:
            server.execute(f'ALTER DATABASE "{name}" WITH ALLOW_CONNECTIONS true')


def test_the_broker_emptied(
    vapi: SandboxProcess, organization: Organization, start_worker: Start, broker_url: str
) -> None:
    with Connection(broker_url) as broker:
        celery_app.send_task("sessions_app.tasks.sync_all", connection=broker)
        channel: Any = broker.default_channel
        assert channel.client.llen("celery") == 1
        channel.client.flushall()
    worker = start_worker()
    # What beat says a minute later.
    worker.send("sync_all")

    wait_until(_both_succeeded, PATIENCE)

    assert_mirror_equals(vapi, organization)


def _both_succeeded() -> bool:
    """A full sync of each; an incremental one beside it proves nothing."""
    full = SyncRun.objects.filter(kind=RunKind.BACKFILL, state=RunState.SUCCEEDED)
    return {"sessions", "chats"} <= set(full.values_list("stream", flat=True))


@pytest.fixture
def rabbitmq_url() -> Iterator[str]:
    url = os.environ.get("TEST_RABBITMQ_URL")
    if not url:
        pytest.skip("needs rabbitmq: set TEST_RABBITMQ_URL")
    _purge(url)
    yield url
    _purge(url)


def _purge(url: str) -> None:
    with Connection(url) as broker:
        celery_app.amqp.queues["celery"](broker.default_channel).declare()
        celery_app.control.purge(connection=broker)


def test_rabbitmq_in_place_of_redis(
    vapi: SandboxProcess, organization: Organization, rabbitmq_url: str
) -> None:
    """A worker on RabbitMQ pulls; one that is killed loses nothing: its task comes back to the next."""
    vapi.fault("latency:ms=200")
    first = WorkerProcess(rabbitmq_url)
    first.send("sync_all")
    wait_until(lambda: SyncRun.objects.filter(seen__gt=0).exists(), PATIENCE)
    first.kill()
    first.stop()
    vapi.fault("")
    free_every_lease()

    second = WorkerProcess(rabbitmq_url)
    second.send("sync_all")

    try:
        wait_until(_both_succeeded, PATIENCE)
    finally:
        second.stop()
    assert_mirror_equals(vapi, organization)


def test_of_two_beats_one_sends(broker_url: str) -> None:
    """Two real beats and a task of every second: no second brings two."""
    second, _ = IntervalSchedule.objects.get_or_create(every=1, period=IntervalSchedule.SECONDS)
    PeriodicTask.objects.create(name="each second", task="sessions_app.tasks.sweep", interval=second)
    beats = [start_beat(broker_url) for _ in range(2)]
    try:
        wait_until(lambda: Heartbeat.objects.filter(kind="sent:each second").exists(), PATIENCE)
        began = time.monotonic()
        before = messages(broker_url)["sessions_app.tasks.sweep"]
        wait_until(lambda: time.monotonic() - began > 6)
        sent = messages(broker_url)["sessions_app.tasks.sweep"] - before
        seconds = time.monotonic() - began
    finally:
        for beat in beats:
            beat.kill()
            beat.wait(10)
    # One of our own sweeps may fall into it.
    assert 3 <= sent <= seconds / 0.75 + 2


def start_beat(broker_url: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "celery", "-A", "vapiadmin", "beat", "--pidfile="],
        cwd=ROOT,
        env={**os.environ, "DATABASE_URL": database_url(), "CELERY_BROKER_URL": broker_url},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def messages(broker_url: str) -> Counter[str]:
    """What waits in the queue, by task."""
    with Connection(broker_url) as broker:
        channel: Any = broker.default_channel
        waiting = channel.client.lrange("celery", 0, -1)
    names = (text.split(b'"task": "')[1].split(b'"')[0].decode() for text in waiting)
    return Counter(names)


def test_a_turn_is_claimed_once_and_a_little_early_counts(db: None) -> None:
    minute = timedelta(minutes=1)
    assert claim_sending("sync", minute)
    assert not claim_sending("sync", minute)
    Heartbeat.objects.filter(kind="sent:sync").update(seen_at=datetime.now(UTC) - timedelta(seconds=50))
    assert claim_sending("sync", minute)
    assert not claim_sending("sync", minute)
    assert claim_sending("names", minute)
