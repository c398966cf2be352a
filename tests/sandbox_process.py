"""The simulated Vapi as tests use it: one process a test worker, put back to its seed before each test.

PYTEST_DONT_REWRITE: conftest.py imports this module before pytest registers it as a plugin.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import pytest

NOW = "2026-01-31T12:00:00.000Z"
_ROOT = Path(__file__).parent.parent

# Answers of the control plane are JSON whose shape the test knows.
Json = Any


class SandboxProcess:
    """A sandbox at a free port, in a process of its own. `key` is organization one's, `keys` are all."""

    def __init__(
        self, *, sessions: int = 40, seed: str = "tests", now: str = NOW, faults: str = "",
        keys: Sequence[str] = ("sandbox-key", "sandbox-key-2"), conversations: Path | None = None,
        live: bool = False, port: int = 0, days: int = 30,
    ) -> None:  # fmt: skip
        self.keys = tuple(keys)
        self.key = self.keys[0]
        arguments = [f"--port={port}", f"--sessions={sessions}", f"--seed={seed}"]
        arguments += [f"--days={days}", *([f"--now={now}"] if now else [])]
        arguments += [f"--faults={faults}"] if faults else []
        arguments += [f"--key={key}" for key in keys]
        arguments += [f"--conversations={conversations}"] if conversations else []
        self._process = subprocess.Popen(
            [sys.executable, "-m", "sessions_app.sandbox", *arguments, *(["--live"] if live else [])],
            cwd=_ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self._process.stdout is not None
        first = self._process.stdout.readline()
        if not first.startswith("Sandbox ready at "):
            raise RuntimeError(f"sandbox did not start: {first}{self._process.communicate()[1]}")
        self.url = first.removeprefix("Sandbox ready at ").strip()

    @property
    def pid(self) -> int:
        return self._process.pid

    def control(self, method: str, path: str, body: object = None, /, **query: object) -> Json:
        """A request to the control plane, e.g. control("POST", "clock", {"ahead_seconds": 600})."""
        url = f"{self.url}/_sandbox/{path}" + (f"?{urlencode(query)}" if query else "")
        return self._ask(method, url, {}, body)

    def ask(self, path: str, key: str = "", method: str = "GET", body: object = None) -> Json:
        """A request as a client of Vapi makes it (it stands in the journal)."""
        headers = {"Authorization": f"Bearer {key or self.key}", "Content-Type": "application/json"}
        return self._ask(method, self.url + path, headers, body)

    @staticmethod
    def _ask(method: str, url: str, headers: Mapping[str, str], body: object) -> Json:
        data = None if body is None else json.dumps(body).encode()
        request = Request(url, data, dict(headers), method=method)  # noqa: S310 - our own loopback address
        try:
            with urlopen(request, timeout=60) as answer:  # noqa: S310 - our own loopback address
                return json.load(answer)
        except HTTPError as error:
            with error:
                raise AssertionError(f"sandbox: {error.code} {error.read().decode()}") from None

    def journal(self, method: str = "", after: int = 0) -> list[Json]:
        """Requests so far: number, at, method, path, query, body, key, organization, status, fault, bytes."""
        entries: list[Json] = self.control("GET", "journal", method=method, after=after)
        return entries

    def reset(self) -> None:
        """Rows, faults, clock and journal as at the start."""
        self.control("POST", "reset")

    def fault(self, spec: str, *, add: bool = False) -> None:
        """Faults from now on, as `manage.py sandbox --help` describes them; "" ends them."""
        self.control("POST", "faults", {"spec": spec, "add": add})

    def change(
        self, kind: str = "sessions", id_: str = "", fields: Mapping[str, object] | None = None, *,
        unset: Sequence[str] = (), delete: bool = False, touch: bool = True, key: str = "",
    ) -> Json:  # fmt: skip
        """Create (no or a new id), change or delete a row at Vapi; `touch=False` leaves updatedAt alone."""
        change = {"id": id_, "fields": fields or {}, "unset": list(unset), "delete": delete, "touch": touch}
        return self.control("POST", kind, {"key": key or self.key, **change})

    def change_many(self, kind: str, rows: Sequence[Mapping[str, object]], key: str = "") -> list[Json]:
        """The same for many rows at once: each {"id", "fields", "unset", "delete", "touch"}."""
        changed: list[Json] = self.control("POST", kind, {"key": key or self.key, "rows": list(rows)})
        return changed

    def send_webhooks(self, url: str, **options: object) -> None:
        """Server messages from now on: auth="bearer:token=T", faults="lost=0.1", assistants=[...]; "" ends them."""
        self.control("POST", "webhooks", {"key": self.key, "url": url, **options})

    def webhooks_sent(self) -> list[Json]:
        """Messages so far, once none waits: type, id, status (0: no answer; None: lost on purpose)."""
        deadline = time.monotonic() + 30
        while (report := self.control("GET", "webhooks"))["waiting"]:
            assert time.monotonic() < deadline, "messages still wait"
            time.sleep(0.02)
        sent: list[Json] = report["sent"]
        return sent

    def truth_of(self, id_: str, kind: str = "sessions", key: str = "") -> Json:
        """One session or chat as Vapi has it now, None where it has none."""
        found = self.control("GET", "truth", kind=kind, id=id_, key=key or self.key)["results"]
        return found[0] if found else None

    def truth(self, kind: str = "sessions", key: str = "") -> list[Json]:
        """Every session or chat that Vapi has now, by createdAt; not in the journal, not hit by faults."""
        rows: list[Json] = []
        page = 1
        while page:
            found = self.control("GET", "truth", kind=kind, page=page, limit=1000, key=key or self.key)
            rows += found["results"]
            page = page + 1 if found["metadata"]["hasNextPage"] else 0
        return rows

    def stop(self) -> int:
        """Ends the process; its exit code."""
        self._process.terminate()
        self._process.communicate(timeout=10)
        return self._process.returncode


@pytest.fixture(scope="session")
def sandbox_process() -> Iterator[SandboxProcess]:
    """The worker's own sandbox: 40 sessions and 80 chats in each of two organizations."""
    process = SandboxProcess()
    yield process
    process.stop()


@pytest.fixture
def sandbox(sandbox_process: SandboxProcess) -> SandboxProcess:
    """The same, with everything that earlier tests did undone."""
    sandbox_process.reset()
    return sandbox_process


@pytest.fixture
def start_sandbox() -> Iterator[Callable[..., SandboxProcess]]:
    """Starts sandboxes with options of the test's own; they end with it."""
    started: list[SandboxProcess] = []

    def start(**options: Json) -> SandboxProcess:
        started.append(SandboxProcess(**options))
        return started[-1]

    yield start
    for process in started:
        process.stop()
