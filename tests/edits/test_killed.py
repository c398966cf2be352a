"""Real workers killed -9 at each point of a push, and a real broker emptied: the next worker ends it, once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from redis import Redis

from sessions_app import tasks
from sessions_app.edits.push import push_due
from sessions_app.management.databases import database_url
from sessions_app.mirror import bucket
from sessions_app.mirror.refetch import refetch_session
from sessions_app.models import Edit, Organization, Session
from sessions_app.models.requests import Budget
from tests.edits.test_workers import ROOT
from tests.sandbox_process import SandboxProcess
from tests.worker_process import WorkerProcess, wait_until

pytestmark = pytest.mark.django_db(transaction=True)

Queue = Callable[..., Edit]
Do = Callable[[Edit], None]


@pytest.fixture
def sandbox(start_sandbox: Callable[..., SandboxProcess]) -> SandboxProcess:
    """One of its own: what a killed worker sent may be carried out after the test, and must not reach another."""
    return start_sandbox(sessions=5)


@pytest.fixture
def worker(organization: Organization) -> Iterator[Callable[[], subprocess.Popen[bytes]]]:
    """worker() pushes what is due in a process of its own."""
    started: list[subprocess.Popen[bytes]] = []

    def start() -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, "manage.py", "push_edits", "--json"],
            cwd=ROOT,
            env={**os.environ, "DATABASE_URL": database_url()},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            kill(process)


def kill(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGKILL)
    process.wait(10)


def hold_back_requests(organization: Organization, seconds: float = 14) -> None:
    """As after a 429: a worker that comes to its next request waits for so long."""
    bucket.look(organization.pk)
    bucket.cool_down(organization.pk, seconds)


def sent(sandbox: SandboxProcess) -> list[str]:
    return [entry["method"] for entry in sandbox.journal()]


@pytest.fixture
def taken_up(
    sandbox: SandboxProcess, session: Session, expire_claim: Do
) -> Callable[[Edit], list[dict[str, Any]]]:
    """taken_up(edit): the claim runs out and the next worker ends it. Returns what was sent of PATCHes in all."""

    def take_up(edit: Edit) -> list[dict[str, Any]]:
        assert Edit.objects.get(pk=edit.pk).state == "sending"
        sandbox.fault("")
        Budget.objects.update(cool_down_until=None)
        assert push_due() == 0, "it is the dead worker's yet"
        expire_claim(edit)
        assert push_due() == 1
        assert Edit.objects.get(pk=edit.pk).state == "applied"
        session.refresh_from_db()
        assert sandbox.truth_of(session.pk)["name"] == session.name == "After"
        return [entry["body"] for entry in sandbox.journal("PATCH")]

    return take_up


def test_killed_before_its_get(
    sandbox: SandboxProcess, organization: Organization, queue: Queue, worker: Any, taken_up: Any
) -> None:
    edit = queue(name="After")
    hold_back_requests(organization)
    process = worker()
    wait_until(lambda: Edit.objects.get(pk=edit.pk).state == "sending")
    kill(process)
    assert sent(sandbox) == []
    assert taken_up(edit) == [{"name": "After"}]


def test_killed_between_its_get_and_its_patch(
    sandbox: SandboxProcess, organization: Organization, queue: Queue, worker: Any, taken_up: Any
) -> None:
    """What changes at Vapi after the death is seen by the next worker, which looks again."""
    edit = queue(name="After")
    sandbox.fault("latency:method=GET,ms=1500")
    process = worker()
    wait_until(lambda: sent(sandbox) == ["GET"])
    hold_back_requests(organization)
    # It is noted ahead of the PATCH that one may leave; the PATCH itself waits.
    wait_until(lambda: Edit.objects.get(pk=edit.pk).sent_at is not None)
    kill(process)
    assert sent(sandbox) == ["GET"]
    sandbox.change("sessions", edit.session_id, {"status": "completed"})
    assert taken_up(edit) == [{"name": "After"}]
    assert sandbox.truth_of(edit.session_id)["status"] == "completed"


def test_killed_after_its_patch_before_mirroring(
    sandbox: SandboxProcess, session: Session, queue: Queue, worker: Any, taken_up: Any
) -> None:
    edit = queue(name="After")
    sandbox.fault("timeout:method=PATCH,count=1,seconds=15")
    process = worker()
    wait_until(lambda: sandbox.truth_of(session.pk)["name"] == "After")
    kill(process)
    session.refresh_from_db()
    assert session.name == "Before"
    assert taken_up(edit) == [{"name": "After"}]


def test_killed_after_its_patch_and_changed_back_by_others(
    sandbox: SandboxProcess, session: Session, queue: Queue, worker: Any, expire_claim: Do
) -> None:
    """What others made of our value since is theirs, and not overwritten."""
    edit = queue(name="After")
    sandbox.fault("timeout:method=PATCH,count=1,seconds=15")
    process = worker()
    wait_until(lambda: sandbox.truth_of(session.pk)["name"] == "After")
    kill(process)
    sandbox.fault("")
    sandbox.change("sessions", session.pk, {"name": "Theirs"})
    expire_claim(edit)
    push_due()
    assert Edit.objects.get(pk=edit.pk).state == "conflict"
    assert sandbox.truth_of(session.pk)["name"] == "Theirs"


def test_an_emptied_broker(
    sandbox: SandboxProcess,
    organization: Organization,
    queue: Queue,
    broker_url: str,
    start_worker: Callable[[], WorkerProcess],
    use_broker: Callable[[str], None],
) -> None:
    """FLUSHALL takes every message; beat's next sweep finds the rows."""
    use_broker(broker_url)
    edit = queue(name="After")
    tasks.enqueue(tasks.push_edit, edit.pk)
    broker = Redis(unix_socket_path=broker_url.removeprefix("redis+socket://"))
    assert broker.llen("celery") == 1
    broker.flushall()

    worker = start_worker()
    worker.send("sweep")

    wait_until(lambda: Edit.objects.get(pk=edit.pk).state == "applied")
    assert sent(sandbox) == ["GET", "PATCH"]
    assert refetch_session(organization, edit.session_id) is not None
