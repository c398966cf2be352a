"""A pull at work: read ahead, stored side by side, and nothing of it is felt where something is killed or fails."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from sessions_app.mirror.commits import unhurried
from sessions_app.mirror.sync import sync_organization, sync_stream
from sessions_app.models import Organization, SyncRun, SyncWindow
from sessions_app.models.runs import RunState, Stream
from sessions_app.vapi.reader import processors
from tests.mirror.truth import assert_mirror_equals
from tests.sandbox_process import SandboxProcess
from tests.worker_process import wait_until

on_postgresql = pytest.mark.skipif(
    connection.vendor != "postgresql", reason="SQLite cannot be asked for that"
)


@pytest.fixture(scope="module")
def roomy_process() -> Iterator[SandboxProcess]:
    process = SandboxProcess(sessions=600, seed="roomy")
    yield process
    process.stop()


@pytest.fixture
def roomy(roomy_process: SandboxProcess, ask_freely: Callable[[SandboxProcess], None]) -> SandboxProcess:
    """So many sessions that another process reads them."""
    ask_freely(roomy_process)
    return roomy_process


apart = pytest.mark.skipif(processors() < 2, reason="needs two processors: on one, a worker reads for itself")


def readers() -> list[int]:
    """The processes of ours that read."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rsplit(")", 1)[1].split()[1])
            if parent == os.getpid() and b"sessions_app.vapi.reader" in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
        except (OSError, IndexError):
            continue
    return found


@apart
@pytest.mark.django_db(transaction=True)
def test_what_another_process_reads_is_the_truth(roomy: SandboxProcess, organization: Organization) -> None:
    seen: list[int] = []
    before = threading.active_count()

    first = sync_stream(organization, Stream.SESSIONS, progress=lambda run: seen.extend(readers()))
    again = sync_stream(organization, Stream.SESSIONS, full=True)
    sync_stream(organization, Stream.CHATS)

    assert seen
    assert (first.state, first.created) == (RunState.SUCCEEDED, 600)
    assert (again.state, again.created, again.updated, again.unchanged) == (RunState.SUCCEEDED, 0, 0, 600)
    assert_mirror_equals(roomy, organization)
    assert (readers(), threading.active_count()) == ([], before)


@pytest.mark.django_db(transaction=True)
def test_where_each_processor_has_a_worker_no_other_process_reads(
    roomy: SandboxProcess, organization: Organization
) -> None:
    seen: list[int] = []

    run = sync_stream(
        organization,
        Stream.SESSIONS,
        workers=processors(),
        progress=lambda run: seen.extend(readers()),
    )

    sync_stream(organization, Stream.CHATS)

    assert (run.state, run.created, seen) == (RunState.SUCCEEDED, 600, [])
    assert_mirror_equals(roomy, organization)


@apart
@pytest.mark.django_db(transaction=True)
def test_a_reader_that_is_killed_costs_nothing(
    roomy: SandboxProcess, organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sessions_app.mirror.walk.MAX_LIMIT", 100)
    monkeypatch.setattr("sessions_app.vapi.reader.MANY", 100)
    killed: list[int] = []

    def kill(run: SyncRun) -> None:
        for pid in readers():
            os.kill(pid, signal.SIGKILL)
            killed.append(pid)

    runs = sync_organization(organization, progress=kill)

    assert len(killed) > 1
    assert {run.state for run in runs} == {RunState.SUCCEEDED}
    assert_mirror_equals(roomy, organization)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("after", [1, 4])
def test_a_run_that_fails_holds_no_window_and_the_next_goes_on(
    sandbox: SandboxProcess, organization: Organization, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    monkeypatch.setattr("sessions_app.mirror.windows.ROWS_PER_WINDOW", 6)
    calls: list[SyncRun] = []

    def fail(run: SyncRun) -> None:
        calls.append(run)
        if len(calls) == after:
            raise LookupError

    with pytest.raises(LookupError):
        sync_stream(organization, Stream.SESSIONS, progress=fail)

    assert SyncWindow.objects.filter(finished_at=None).exists()
    assert not SyncWindow.objects.exclude(expires_at=None).exists()
    assert SyncRun.objects.get().state == RunState.FAILED
    run = sync_stream(organization, Stream.SESSIONS)
    sync_stream(organization, Stream.CHATS)
    assert run.state == RunState.SUCCEEDED
    assert_mirror_equals(sandbox, organization)


@pytest.mark.django_db(transaction=True)
def test_the_next_window_is_read_while_the_last_one_is_stored(
    sandbox: SandboxProcess, organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sessions_app.mirror.windows.ROWS_PER_WINDOW", 6)
    begun: list[SyncRun] = []

    def look(run: SyncRun) -> None:
        if not begun:
            begun.append(run)
            wait_until(lambda: SyncWindow.objects.exclude(expires_at=None).count() >= 2)

    sync_stream(organization, Stream.SESSIONS, progress=look)

    assert begun
    assert set(SyncWindow.objects.values_list("number", flat=True)) == {1}


@on_postgresql
@pytest.mark.django_db(transaction=True)
def test_an_unhurried_commit_is_so_for_one_transaction() -> None:
    def waits() -> str:
        with connection.cursor() as cursor:
            cursor.execute("SHOW synchronous_commit")
            return str(cursor.fetchone()[0])

    with connection.cursor() as cursor:
        cursor.execute("SET synchronous_commit TO on")
    with unhurried():
        assert waits() == "off"
    assert waits() == "on"
    with pytest.raises(LookupError), unhurried():
        Organization.objects.create(slug="gone", name="Gone", base_url="http://127.0.0.1:9")
        raise LookupError
    assert not Organization.objects.exists()
    with transaction.atomic():
        assert waits() == "on"


@on_postgresql
@pytest.mark.django_db
def test_only_what_a_full_sync_stores_does_not_wait_for_the_disk(
    sandbox: SandboxProcess, organization: Organization
) -> None:
    """It is read again where it is lost. What came otherwise, Vapi may have let go of by then."""

    def stored_without_waiting(full: bool) -> bool:
        with CaptureQueriesContext(
            connection,
        ) as asked:
            run = sync_stream(organization, Stream.SESSIONS, full=full)
        assert run.created + run.updated > 0
        statements = [entry["sql"] for entry in asked]
        # The statement before that which every transaction of the writer begins with.
        begins = [at for at, sql in enumerate(statements) if "report_time_zone" in sql and "FOR SHARE" in sql]
        return all("synchronous_commit" in statements[at - 1] for at in begins)

    assert stored_without_waiting(full=True)
    sandbox.change("sessions", "", {"name": "new"})
    assert not stored_without_waiting(full=False)
