"""Full syncs walked by several: windows with leases of their own, cut where they are crowded, closed once."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from sessions_app import tasks
from sessions_app.management.commands import sync as command
from sessions_app.management.databases import database_url
from sessions_app.mirror import backfill
from sessions_app.mirror.backfill import help_backfill, helpers_wanted
from sessions_app.mirror.leases import LeaseLost
from sessions_app.mirror.sync import sync_stream
from sessions_app.mirror.windows import MOST_WINDOWS, HeldWindow, take_window
from sessions_app.mirror.writer import writers_at_once
from sessions_app.models import Lease, Organization, Session, SyncRun, SyncWindow, Watermark
from sessions_app.models.runs import RunKind, RunState, Stream
from tests.mirror.truth import assert_mirror_equals
from tests.sandbox_process import SandboxProcess
from tests.worker_process import wait_until

LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)
_ROOT = Path(__file__).parents[2]


@contextmanager
def held_window(organization: Organization, stream: Stream) -> Iterator[HeldWindow]:
    window = take_window(organization, stream)
    assert window is not None
    try:
        yield window
    finally:
        window.release()


@pytest.fixture(autouse=True)
def small_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sessions_app.mirror.windows.ROWS_PER_WINDOW", 6)


def _in_a_thread(work: Callable[[], object]) -> None:
    """Do it as another worker would: at the same time, on a connection of its own."""
    problems: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as problem:
            problems.append(problem)
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(60)
    assert not thread.is_alive()
    if problems:
        raise problems[0]


@pytest.mark.django_db(transaction=True)
def test_a_helper_walks_what_the_run_has_not_taken(
    sandbox: SandboxProcess, organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sessions_app.mirror.windows.ROWS_PER_WINDOW", 2)
    by_helper: list[int] = []

    def help_once(run: SyncRun) -> None:
        if not by_helper:
            before = run.seen
            by_helper.append(0)
            _in_a_thread(lambda: help_backfill(organization, Stream.SESSIONS))
            by_helper[0] = SyncRun.objects.get(pk=run.pk).seen - before

    run = sync_stream(organization, Stream.SESSIONS, progress=help_once)
    sync_stream(organization, Stream.CHATS)

    total = len(sandbox.truth("sessions"))
    assert (run.state, run.seen, run.created) == (RunState.SUCCEEDED, total, total)
    assert by_helper[0] > total / 2
    assert not SyncWindow.objects.filter(finished_at=None).exists()
    assert_mirror_equals(sandbox, organization)


@pytest.mark.django_db(transaction=True)
def test_the_run_waits_for_a_window_whose_helper_died(
    sandbox: SandboxProcess, organization: Organization
) -> None:
    def die(windows: int) -> None:
        newest = SyncWindow.objects.get(stream=Stream.SESSIONS, ends_at=None)
        soon = timezone.now() + timedelta(seconds=1.5)
        SyncWindow.objects.filter(pk=newest.pk).update(number=1, holder="gone", expires_at=soon)

    run = sync_stream(organization, Stream.SESSIONS, invite=die)
    sync_stream(organization, Stream.CHATS)

    assert run.state == RunState.SUCCEEDED
    assert SyncWindow.objects.get(stream=Stream.SESSIONS, ends_at=None).number == 2
    assert_mirror_equals(sandbox, organization)


@pytest.mark.django_db
def test_who_stood_still_past_a_windows_lease_writes_no_checkpoint(organization: Organization) -> None:
    SyncWindow.objects.create(organization=organization, stream=Stream.SESSIONS)
    with held_window(organization, Stream.SESSIONS) as frozen:
        SyncWindow.objects.update(expires_at=LONG_AGO)
        with held_window(organization, Stream.SESSIONS) as other:
            other.reach(LONG_AGO, 5)
            with pytest.raises(LeaseLost):
                frozen.reach(LONG_AGO + timedelta(days=9), 7)
            with pytest.raises(LeaseLost):
                frozen.finish()

    window = SyncWindow.objects.get()
    assert (window.reached_at, window.seen, window.finished_at) == (LONG_AGO, 5, None)


@pytest.mark.django_db
def test_a_crowded_window_is_cut_by_what_its_first_page_says(
    sandbox: SandboxProcess, organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sessions_app.mirror.walk.MAX_LIMIT", 5)
    noon = datetime(2026, 1, 20, 12, tzinfo=UTC)
    times = [noon + timedelta(minutes=9 * number) for number in range(80)]
    rows = [{"fields": {"createdAt": at.isoformat().replace("+00:00", "Z")}} for at in times]
    sandbox.change_many("sessions", rows)
    laid: list[int] = []

    def note(run: SyncRun) -> None:
        laid.append(SyncWindow.objects.count())

    run = sync_stream(organization, Stream.SESSIONS, progress=note)

    assert laid[-1] > laid[0]
    assert max(SyncWindow.objects.values_list("seen", flat=True)) <= 18 + 5
    assert run.seen >= len(sandbox.truth("sessions"))
    assert set(Session.objects.values_list("id", flat=True)) == {
        remote["id"] for remote in sandbox.truth("sessions")
    }


@pytest.mark.django_db
def test_rows_of_one_moment_are_not_cut_for_ever(
    sandbox: SandboxProcess, organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sessions_app.mirror.walk.MAX_LIMIT", 25)
    tied = [{"fields": {"createdAt": "2026-01-20T10:00:00.000Z"}} for _ in range(60)]
    sandbox.change_many("sessions", tied)

    run = sync_stream(organization, Stream.SESSIONS)

    assert run.state == RunState.SUCCEEDED
    assert Session.objects.count() == len(sandbox.truth("sessions"))
    inner = SyncWindow.objects.exclude(starts_at=None).exclude(ends_at=None)
    widths = [b - a for a, b in inner.values_list("starts_at", "ends_at") if a and b]
    assert min(widths) >= timedelta(minutes=1)


@pytest.mark.django_db
def test_a_count_that_is_wrong_lays_no_windows_without_end(
    sandbox: SandboxProcess, organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sessions_app.mirror.windows.MOST_WINDOWS", 12)
    sandbox.fault("miscount:by=1000000")

    run = sync_stream(organization, Stream.SESSIONS)

    assert run.state == RunState.SUCCEEDED
    assert SyncWindow.objects.count() <= 12 < MOST_WINDOWS
    assert Session.objects.count() == len(sandbox.truth("sessions"))


@pytest.mark.django_db
@pytest.mark.parametrize(("first", "days", "goes_on"), [(True, 3, True), (False, 3, False), (False, 0, True)])
def test_an_old_plan_is_gone_on_with_only_the_first_time(
    sandbox: SandboxProcess, organization: Organization, first: bool, days: int, goes_on: bool
) -> None:
    def stop(run: SyncRun) -> None:
        if run.seen > 15:
            raise KeyboardInterrupt

    if not first:
        sync_stream(organization, Stream.SESSIONS)
    with pytest.raises(KeyboardInterrupt):
        sync_stream(organization, Stream.SESSIONS, full=True, progress=stop)
    Watermark.objects.update(planned_at=timezone.now() - timedelta(days=days))

    run = sync_stream(organization, Stream.SESSIONS, full=True)

    assert (run.seen < len(sandbox.truth("sessions"))) == goes_on
    assert Watermark.objects.get(stream=Stream.SESSIONS).planned_at is None


@pytest.mark.django_db
def test_nobody_helps_where_nothing_is_under_way(sandbox: SandboxProcess, organization: Organization) -> None:
    SyncWindow.objects.create(organization=organization, stream=Stream.SESSIONS)
    assert help_backfill(organization, Stream.SESSIONS) is False
    assert sandbox.journal() == []


@pytest.mark.django_db
def test_a_helper_whose_key_is_refused_pauses_and_leaves_its_window(
    sandbox: SandboxProcess, organization: Organization
) -> None:
    _open_run(organization)
    sandbox.fault("401:path=/session")

    assert help_backfill(organization, Stream.SESSIONS) is False

    assert Organization.objects.get(pk=organization.pk).paused_at is not None
    assert SyncWindow.objects.get().expires_at is None


@pytest.mark.django_db
def test_a_helper_gives_its_place_back_after_its_time(
    sandbox: SandboxProcess, organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sessions_app.mirror.windows.ROWS_PER_WINDOW", 5000)
    monkeypatch.setattr("sessions_app.mirror.walk.MAX_LIMIT", 5)
    _open_run(organization)

    assert help_backfill(organization, Stream.SESSIONS, seconds=0) is True

    window = SyncWindow.objects.get()
    assert (window.seen, window.finished_at, window.expires_at) == (5, None, None)
    assert Session.objects.count() == SyncRun.objects.get().seen == 5


@pytest.mark.django_db(transaction=True)
def test_a_helper_for_a_while_asks_for_nothing_that_it_will_not_store(
    sandbox: SandboxProcess, organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sessions_app.mirror.windows.ROWS_PER_WINDOW", 5000)
    monkeypatch.setattr("sessions_app.mirror.walk.MAX_LIMIT", 5)
    _open_run(organization)

    assert help_backfill(organization, Stream.SESSIONS, seconds=0) is True

    assert len(sandbox.journal()) == 1
    assert Session.objects.count() == 5


@pytest.mark.django_db
def test_helpers_are_called_up_to_the_organizations_requests_at_once(
    organization: Organization,
    monkeypatch: pytest.MonkeyPatch,
    django_capture_on_commit_callbacks: Callable[..., Any],
) -> None:
    monkeypatch.setattr(backfill, "is_one_writer_enough", lambda: False)
    called: list[tuple[object, ...]] = []
    monkeypatch.setattr(tasks, "send_now", lambda task, *args: called.append((task.name, *args)))
    _open_run(organization, windows=9)
    organization.concurrent_requests = 4
    organization.save()
    assert helpers_wanted(organization, Stream.SESSIONS) == 3

    with held_window(organization, Stream.SESSIONS):
        assert helpers_wanted(organization, Stream.SESSIONS) == 2
        # Whoever holds the next one already is still one.
        with held_window(organization, Stream.SESSIONS):
            assert helpers_wanted(organization, Stream.SESSIONS) == 2
        with django_capture_on_commit_callbacks(execute=True):
            tasks.sweep()

    assert [entry[:3] for entry in called] == [
        ("sessions_app.tasks.help_backfill", organization.pk, "sessions")
    ] * 2


@pytest.mark.django_db
def test_a_helper_that_waited_for_its_place_leaves_it_to_others(
    sandbox: SandboxProcess, organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backfill, "is_one_writer_enough", lambda: False)
    monkeypatch.setattr(tasks, "send_now", lambda task, *args: None)
    _open_run(organization, windows=2)

    tasks.help_backfill(organization.pk, "sessions", time.time() - 5)
    assert sandbox.journal() == []

    tasks.help_backfill(organization.pk, "sessions", time.time())
    assert Session.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_the_next_pages_are_asked_for_while_one_is_written(
    sandbox: SandboxProcess, organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sessions_app.mirror.windows.ROWS_PER_WINDOW", 5000)
    monkeypatch.setattr("sessions_app.mirror.walk.MAX_LIMIT", 5)
    asked: list[int] = []
    # The count, this page, those that may be stored meanwhile, one to be parsed, and one that then waits.
    expected = 4 if writers_at_once() == 1 else 4 + writers_at_once()

    def wait_for_the_next_ones(run: SyncRun) -> None:
        if not asked:
            wait_until(lambda: len(sandbox.journal()) >= expected)
            time.sleep(0.2)
            asked.append(len(sandbox.journal()))

    run = sync_stream(organization, Stream.SESSIONS, progress=wait_for_the_next_ones)

    assert asked == [expected]
    assert run.state == RunState.SUCCEEDED


@pytest.mark.django_db(transaction=True)
def test_what_a_walk_raises_ends_the_run(
    sandbox: SandboxProcess, organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sessions_app.mirror.walk.MAX_LIMIT", 2)
    sandbox.fault("401:path=/session,skip=4")
    run = sync_stream(organization, Stream.SESSIONS)
    assert run.state == RunState.FAILED
    assert "refused the API key" in run.error
    assert run.seen > 0
    assert not [thread for thread in threading.enumerate() if "_get" in thread.name]


@pytest.mark.parametrize(
    ("full", "threads", "processors", "workers"),
    [(True, 1, 8, 4), (True, 1, 2, 2), (False, 1, 8, 1), (True, 2, 8, 1)],
    ids=["at most four", "one for each processor", "not full", "something else under way"],
)
def test_a_full_sync_by_command_takes_a_process_for_each_processor(
    monkeypatch: pytest.MonkeyPatch, full: bool, threads: int, processors: int, workers: int
) -> None:
    monkeypatch.setattr(command, "is_one_writer_enough", lambda: False)
    monkeypatch.setattr(threading, "active_count", lambda: threads)
    monkeypatch.setattr(command, "processors", lambda: processors)
    assert command.usual_workers({"full": full}) == workers


@pytest.mark.django_db(transaction=True)
def test_the_command_walks_in_several_processes(
    start_sandbox: Callable[..., SandboxProcess], organization: Organization
) -> None:
    sandbox = start_sandbox(sessions=12_000)
    Organization.objects.update(base_url=sandbox.url)
    command = [sys.executable, "manage.py", "sync", "--stream", "sessions", "--workers", "3", "--json"]
    ended = subprocess.run(
        command, check=False, cwd=_ROOT, env=_environment(), capture_output=True, text=True, timeout=120
    )
    if connection.vendor == "sqlite":
        assert ended.returncode == 2
        assert "needs PostgreSQL" in ended.stderr
        return
    assert ended.returncode == 0, ended.stderr
    run = SyncRun.objects.get()
    assert (run.state, run.created) == (RunState.SUCCEEDED, 12_000)
    assert Session.objects.count() == 12_000
    assert not SyncWindow.objects.filter(finished_at=None).exists()


@pytest.mark.django_db(transaction=True)
def test_helpers_killed_while_they_help_lose_nothing(
    start_sandbox: Callable[..., SandboxProcess], organization: Organization
) -> None:
    sandbox = start_sandbox(sessions=60)
    Organization.objects.update(base_url=sandbox.url)
    organization.refresh_from_db()
    _open_run(organization, windows=2)
    sandbox.fault("latency:ms=3000,path=/session")
    command = [sys.executable, "manage.py", "sync", "--join", "--stream", "sessions"]
    helpers = [subprocess.Popen(command, cwd=_ROOT, env=_environment()) for _ in range(2)]
    wait_until(lambda: SyncWindow.objects.exclude(holder="").count() == 2)

    for helper in helpers:
        helper.kill()
        helper.wait()

    sandbox.fault("")
    SyncWindow.objects.update(expires_at=LONG_AGO)
    Lease.objects.update(expires_at=LONG_AGO)
    sync_stream(organization, Stream.SESSIONS)
    sync_stream(organization, Stream.CHATS)
    assert_mirror_equals(sandbox, organization)


def _environment() -> dict[str, str]:
    return {**os.environ, "DATABASE_URL": database_url()}


def _open_run(organization: Organization, windows: int = 1) -> SyncRun:
    """A full sync that runs elsewhere."""
    Watermark.objects.create(
        organization=organization, stream=Stream.SESSIONS, updated_at=LONG_AGO, planned_at=timezone.now()
    )
    edges = [None, *(LONG_AGO + timedelta(days=number) for number in range(1, windows)), None]
    for start, end in pairwise(edges):
        SyncWindow.objects.create(
            organization=organization, stream=Stream.SESSIONS, starts_at=start, ends_at=end
        )
    of = {"organization": organization, "stream": Stream.SESSIONS, "kind": RunKind.BACKFILL}
    Lease.objects.create(**of, expires_at=timezone.now() + timedelta(minutes=1))
    return SyncRun.objects.create(**of, started_at=timezone.now())
