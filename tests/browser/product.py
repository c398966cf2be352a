"""The product as a person starts it: `manage.py run` without a key, on a port and in a folder of its own."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from tests.sandbox_process import SandboxProcess
from tests.worker_process import wait_until

_ROOT = Path(__file__).parent.parent.parent


class Product:
    """A running demo. `url` is its address; `vapi` asks the simulated Vapi that belongs to it."""

    def __init__(self, var: Path) -> None:
        self.var = var
        self.port = _free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._output = (var / "output.txt").open("w+")
        environment = {name: value for name, value in os.environ.items() if name not in _OWN}
        self._process = subprocess.Popen(
            [sys.executable, "manage.py", "run"],
            cwd=_ROOT,
            env={**environment, "VAR_DIR": str(var), "PORT": str(self.port)},
            stdout=self._output,
            stderr=subprocess.STDOUT,
        )
        wait_until(self.is_ready, 180)

    def is_ready(self) -> bool:
        assert self._process.poll() is None, self.output()
        try:
            with urlopen(f"{self.url}/readyz", timeout=5):  # noqa: S310 - an address on loopback
                return True
        except OSError:  # Not there yet, or too busy to answer in time.
            return False

    def is_filled(self) -> bool:
        """Whether the first sync has ended."""
        done = "SELECT count(DISTINCT stream) FROM sessions_app_syncrun WHERE state = 'succeeded'"
        return bool(self.rows(done)[0][0] == 3)

    def rows(self, statement: str) -> list[Any]:
        """What stands in the product's database."""
        with sqlite3.connect(self.var / "demo.sqlite3", timeout=30) as database:
            return database.execute(statement).fetchall()

    @property
    def vapi(self) -> SandboxProcess:
        vapi = SandboxProcess.__new__(SandboxProcess)
        vapi.keys, vapi.key = ("sandbox-key",), "sandbox-key"
        [(vapi.url,)] = self.rows("SELECT base_url FROM sessions_app_organization")
        return vapi

    def password(self, username: str) -> str:
        """As it was printed."""
        words = [line.split() for line in self.output().splitlines()]
        return next(line[4] for line in words if line[:4] == ["sign", "in", "as", username])

    def output(self) -> str:
        self._output.flush()
        return (self.var / "output.txt").read_text()

    def logs(self) -> str:
        return "\n".join(path.read_text() for path in (self.var / "log").iterdir())

    def stop(self) -> int:
        """Ctrl-C; its exit code."""
        self._process.send_signal(signal.SIGINT)
        code = self._process.wait(30)
        self._output.close()
        return code


_OWN = {"DATABASE_URL", "VAR_DIR", "PORT", "PUBLIC_URL", "CSRF_TRUSTED_ORIGINS", "ALLOWED_HOSTS"}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
