"""Starts, watches and ends the processes of one machine. Knows nothing of what they do."""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

LONGEST_PAUSE_SECONDS = 30.0
# Whoever ran this long was well: the next pause is short again.
WELL_AFTER_SECONDS = 60.0
MOST_LOG_BYTES = 10_000_000
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


class DidNotStart(Exception):
    """str() is one line for the person at the terminal."""


@dataclass
class Child:
    """A process that shall run. `on_start` waits until it is ready, at every start; it may raise DidNotStart."""

    name: str
    command: Sequence[str | Path]
    folder: Path
    log: Path
    patience_seconds: float = 5.0
    on_start: Callable[[Child], None] | None = None
    _process: subprocess.Popen[bytes] | None = None
    _started_at: float = 0.0
    _failures: int = 0
    due_at: float = field(default=0.0)

    def start(self) -> None:
        rotate(self.log)
        with self.log.open("ab") as log:
            # A group of its own: Ctrl-C reaches the supervisor alone, which ends the others in order.
            self._process = subprocess.Popen(  # noqa: S603 - commands are our own
                [str(part) for part in self.command],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                process_group=0,
                preexec_fn=die_with(os.getpid()),  # noqa: PLW1509 - the supervisor has one thread
            )
        self._started_at = time.monotonic()
        if self.on_start:
            self.on_start(self)

    @property
    def pid(self) -> int:
        return self._process.pid if self._process else 0

    def exit_code(self) -> int | None:
        """None while it runs."""
        return self._process.poll() if self._process else 0

    def plan_restart(self) -> float:
        """Set the time of the next start and return the pause in seconds: 1, 2, 4 ... 30."""
        was_well = time.monotonic() - self._started_at > WELL_AFTER_SECONDS
        self._failures = 1 if was_well else self._failures + 1
        pause = min(2.0 ** (self._failures - 1), LONGEST_PAUSE_SECONDS)
        self.due_at = time.monotonic() + pause
        return pause

    def end(self) -> None:
        """Ask it to end, insist after `patience_seconds`, and leave nothing of its group."""
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(self.patience_seconds)
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


class Supervisor:
    """Keeps children running until it is told to stop; ends them last started first."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self.children: list[Child] = []
        self._say = say
        self._stopping = False
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._stop)

    def _stop(self, number: int, frame: object) -> None:
        if self._stopping:
            # Asked twice: at once.
            for child in self.children:
                child.patience_seconds = 0
        self._stopping = True

    @property
    def stopping(self) -> bool:
        return self._stopping

    def add(self, child: Child) -> None:
        """Start a child now, unless told to stop. Raises DidNotStart."""
        if self._stopping:
            return
        self.children.append(child)
        child.start()

    def watch(self) -> None:
        """Return when told to stop."""
        rotated_at = time.monotonic()
        while not self._stopping:
            time.sleep(0.2)
            for child in self.children:
                self._look_after(child)
            if time.monotonic() - rotated_at > WELL_AFTER_SECONDS:
                rotated_at = time.monotonic()
                for child in self.children:
                    rotate(child.log)

    def _look_after(self, child: Child) -> None:
        code = child.exit_code()
        if code is None or self._stopping:
            return
        if child.due_at == 0:
            pause = child.plan_restart()
            self._say(f"{child.name} {_ending(code)}; starting it again in {pause:.0f} s. See {child.log}")
        elif time.monotonic() >= child.due_at:
            child.due_at = 0
            try:
                child.start()
            except DidNotStart as problem:
                self._say(str(problem))

    def end(self) -> None:
        for child in reversed(self.children):
            child.end()


def wait_until(ready: Callable[[], bool], child: Child, *, seconds: float = 30.0) -> None:
    """Wait until `ready()`. Raises DidNotStart when the child ends or the time is over."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and child.exit_code() is None:
        if ready():
            return
        time.sleep(0.05)
    raise DidNotStart(f"{child.name} did not start. See {child.log}")


def rotate(log: Path) -> None:
    """Move a long log's content to NAME.log.1. Whoever has it open (for appending) goes on at its start."""
    if log.is_file() and log.stat().st_size > MOST_LOG_BYTES:
        shutil.copyfile(log, log.with_name(f"{log.name}.1"))
        os.truncate(log, 0)


def _ending(code: int) -> str:
    return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"


def die_with(parent: int) -> Callable[[], None]:
    """Run in the child before its program: Linux ends it when the supervisor dies, whatever it dies of."""

    def leash() -> None:
        if _libc is not None:
            _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != parent:
                os._exit(1)

    return leash
