"""`manage.py run` as a test starts it: a process in a folder and on a port of its own."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
import requests
from django.conf import settings

ROOT = Path(settings.BASE_DIR)
UP_SECONDS = 60.0


class Running:
    """`told()` is what it printed; `children()` are all processes that it started, and theirs."""

    def __init__(self, var: Path, **environment: str) -> None:
        self.var, self.port, self.environment = var, free_port(), environment
        self.url = f"http://127.0.0.1:{self.port}"
        # As databases write it.
        self.started_at = f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S}"
        self.output = var.parent / f"{var.name}-{time.monotonic_ns()}.out"
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "manage.py", "run"],
                cwd=ROOT, env=plain_environment(var, self.port) | environment, stdin=subprocess.DEVNULL,
                stdout=output, stderr=subprocess.STDOUT,
            )  # fmt: skip

    def told(self) -> str:
        return self.output.read_text()

    def wait_ready(self) -> None:
        wait_for(lambda: "is ready at" in self.told() or self.process.poll() is not None, UP_SECONDS)
        assert self.process.poll() is None, self.told()

    def children(self) -> dict[int, str]:
        """Pid and command line of every process of this folder but the supervisor; no zombies."""
        found = {}
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if int(folder.name) != self.process.pid and self._is_ours(folder):
                    found[int(folder.name)] = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
        return {pid: command for pid, command in found.items() if command}

    def _is_ours(self, process: Path) -> bool:
        """By environment; Redis writes its title over that, but works in a folder of ours."""
        marked = f"VAR_DIR={self.var}".encode() in (process / "environ").read_bytes().split(b"\0")
        return marked or (process / "cwd").readlink().is_relative_to(self.var)

    def child(self, words: str) -> int:
        """The pid of the one child whose command has these words; 0 for none."""
        return next((pid for pid, command in self.children().items() if words in command), 0)

    def ready(self) -> bool:
        return requests.get(f"{self.url}/readyz", timeout=5).status_code == 200

    def manage(self, *arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT, env=plain_environment(self.var, self.port), capture_output=True, text=True, check=True,
            timeout=120,
        )  # fmt: skip
        return done.stdout

    def sandbox_url(self) -> str:
        # A child that was just forked still has its parent's command.
        wait_for(lambda: self.child("sessions_app.sandbox"))
        found = re.search(r"--port=(\d+)", self.children()[self.child("sessions_app.sandbox")])
        assert found
        return f"http://127.0.0.1:{found[1]}"

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(30)


def plain_environment(var: Path, port: int) -> dict[str, str]:
    """What a person's shell has who set nothing but where to write and listen; no `.env` of theirs either."""
    quiet = {
        "VAPI_API_KEY": "",
        "DATABASE_URL": "",
        "CELERY_BROKER_URL": "",
        "SECRET_KEY": "",
        "FIELD_ENCRYPTION_KEYS": "",
    }
    address = f"http://127.0.0.1:{port}"
    own = {
        "VAR_DIR": str(var),
        "PORT": str(port),
        "PUBLIC_URL": address,
        "DEBUG": "on",
        "VAPI_BASE_URL": "http://127.0.0.1:9",
    }
    return {"PATH": os.environ["PATH"], "HOME": str(var.parent)} | quiet | own


def wait_for(true: Callable[[], object], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.1)


def free_port() -> int:
    with closing(socket.socket()) as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.fixture
def start_run(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    """start_run(VAPI_API_KEY="...") begins `manage.py run` in the test's own folder and waits until it is up."""
    started: list[Running] = []

    def start(**environment: str) -> Running:
        running = Running(tmp_path / "var", **environment)
        started.append(running)
        running.wait_ready()
        return running

    yield start
    for running in started:
        running.stop(signal.SIGKILL)
