"""Real web and worker processes, killed in the middle: what was answered 200 is there and processed once."""

from __future__ import annotations

import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import pytest

from sessions_app.management.databases import database_url
from sessions_app.mirror.sync import sync_organization
from sessions_app.models import Organization, Session, WebhookEvent, WebhookSecret
from tests.mirror.truth import assert_mirror_equals
from tests.sandbox_process import SandboxProcess
from tests.webhooks.conftest import ADDRESS, BEARER
from tests.worker_process import WorkerProcess, wait_until

pytestmark = pytest.mark.django_db(transaction=True)

ROOT = Path(__file__).parents[2]
LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)
HMAC = "hmac:key=key-of-the-tests,algorithm=sha512,encoding=base64,prefix=v1="


class WebProcess:
    """gunicorn as in production: a master and two workers, whose pids are found by their parent."""

    def __init__(self, broker_url: str) -> None:
        with closing(socket.socket()) as found:
            found.bind(("127.0.0.1", 0))
            self.port = found.getsockname()[1]
        self._process = subprocess.Popen(
            [
                sys.executable, "-m", "gunicorn", "--config", "python:vapiadmin.web",
                "--bind", f"127.0.0.1:{self.port}", "vapiadmin.wsgi:application",
            ],
            cwd=ROOT,
            env={**os.environ, "DATABASE_URL": database_url(), "CELERY_BROKER_URL": broker_url},
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        wait_until(self._listens)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/webhooks/vapi/sandbox/"

    def kill_a_worker(self) -> None:
        task = f"/proc/{self._process.pid}/task/{self._process.pid}/children"
        children = Path(task).read_text().split()
        if children:
            os.kill(int(children[0]), signal.SIGKILL)

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(20)

    def _listens(self) -> bool:
        with closing(socket.socket()) as tried:
            return tried.connect_ex(("127.0.0.1", self.port)) == 0


@pytest.fixture
def web(broker_url: str) -> Iterator[WebProcess]:
    process = WebProcess(broker_url)
    yield process
    process.stop()


@pytest.fixture
def hmac_secret(organization: Organization) -> WebhookSecret:
    return WebhookSecret.objects.create(
        organization=organization,
        kind="hmac",
        secret="key-of-the-tests",
        options={"algorithm": "sha512", "encoding": "base64", "prefix": "v1="},
    )


@contextmanager
def killing(web: WebProcess) -> Iterator[None]:
    """Kill a web process every few seconds; it takes as long to start another."""
    ended = threading.Event()

    def run() -> None:
        ended.wait(0.3)
        while not ended.is_set():
            web.kill_a_worker()
            ended.wait(4)

    killer = threading.Thread(target=run)
    killer.start()
    try:
        yield
    finally:
        ended.set()
        killer.join()


def nothing_waits() -> bool:
    return WebhookEvent.objects.exists() and not WebhookEvent.objects.filter(state="received").exists()


def test_a_session_is_here_soon_after_its_message(
    sandbox: SandboxProcess, web: WebProcess, hmac_secret: WebhookSecret,
    start_worker: Callable[[], WorkerProcess],
) -> None:  # fmt: skip
    start_worker()
    sandbox.send_webhooks(web.url, auth=HMAC)

    created = sandbox.change("sessions", fields={"name": "At once"})

    wait_until(lambda: Session.objects.filter(pk=created["id"], name="At once").exists(), 30)
    assert [message["status"] for message in sandbox.webhooks_sent()] == [200]


def test_web_processes_killed_while_messages_come(
    sandbox: SandboxProcess, organization: Organization, web: WebProcess, hmac_secret: WebhookSecret,
    start_worker: Callable[[], WorkerProcess],
) -> None:  # fmt: skip
    """Lost, doubled, disordered, and taken by processes that die: in the end the mirror is Vapi's."""
    start_worker()
    sandbox.send_webhooks(web.url, auth=HMAC, faults="lost=0.1,twice=0.2,shuffle=1")
    with killing(web):
        ids = [sandbox.change("sessions", fields={"name": "new"})["id"] for _ in range(60)]
        for number, session_id in enumerate(ids):
            sandbox.change("sessions", session_id, {"name": f"changed {number}"}, touch=number % 3 > 0)
        for session_id in ids[::5]:
            sandbox.change("sessions", session_id, delete=True)
        sent = sandbox.webhooks_sent()

    taken = {(message["type"], message["id"]) for message in sent if message["status"] == 200}
    assert taken
    assert taken <= set(WebhookEvent.objects.values_list("kind", "remote_id"))
    wait_until(nothing_waits, 60)
    assert not WebhookEvent.objects.filter(state="failed").exists()
    deleted_and_told = {id_ for kind, id_ in taken if kind == "session.deleted"}
    marked = set(Session.objects.filter(missing_reason="deleted").values_list("pk", flat=True))
    mirrored = set(Session.objects.values_list("pk", flat=True))
    assert marked == deleted_and_told & mirrored
    # Polling brings what was lost on the way.
    sandbox.send_webhooks("")
    sync_organization(organization)
    gone = Session.objects.filter(missing_since=None, pk__in=ids[::5])
    gone.update(missing_since=LONG_AGO)  # Whose deletion was never told: reconcile's part.
    assert_mirror_equals(sandbox, organization)


def test_what_was_answered_before_a_kill_is_kept(
    organization: Organization, web: WebProcess, token: WebhookSecret
) -> None:
    """Many messages at once, so that each kill meets some of them half-way."""
    taken: list[str] = []
    broken: list[str] = []
    ended = threading.Event()

    def post_until_ended(sender: int) -> None:
        for number in itertools.count():
            if ended.is_set():
                return
            name = f"s{sender}-{number}"
            (taken if post(web.port, name) else broken).append(name)

    senders = [threading.Thread(target=post_until_ended, args=(number,)) for number in range(6)]
    with killing(web):
        for sender in senders:
            sender.start()
        wait_until(lambda: len(broken) >= 3 and len(taken) >= 100, 60)
        ended.set()
        for sender in senders:
            sender.join()

    stored = set(WebhookEvent.objects.values_list("remote_id", flat=True))
    assert set(taken) <= stored


def post(port: int, name: str) -> bool:
    body = json.dumps({"message": {"type": "session.updated", "session": {"id": name}}})
    connection = HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request("POST", ADDRESS, body, {"Content-Type": "application/json", **BEARER})
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def test_a_worker_killed_while_it_asks(
    sandbox: SandboxProcess, organization: Organization, start_worker: Callable[[], WorkerProcess]
) -> None:
    row = sandbox.truth()[0]
    event = WebhookEvent.objects.create(
        organization=organization, digest="d", kind="session.updated", remote_id=row["id"],
        received_at=LONG_AGO, next_attempt_at=LONG_AGO,
    )  # fmt: skip
    sandbox.fault("latency:method=GET,ms=3000")
    worker = start_worker()
    worker.send("process_events")
    wait_until(lambda: any(entry["method"] == "GET" for entry in sandbox.journal()), 30)

    worker.kill()

    event.refresh_from_db()
    assert (event.state, event.attempts) == ("received", 1)
    sandbox.fault("")
    # The time that a claim lasts goes by.
    WebhookEvent.objects.update(next_attempt_at=LONG_AGO)
    start_worker().send("sweep")
    wait_until(nothing_waits, 30)
    event.refresh_from_db()
    assert (event.state, event.attempts) == ("processed", 2)
    assert Session.objects.get().id == row["id"]
