"""Processes that are kept running."""

from __future__ import annotations

import os
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from sessions_app.management import processes
from sessions_app.management.broker import OLDEST, find_redis_server
from sessions_app.management.processes import Child, DidNotStart, rotate, wait_until
from tests.management.running import wait_for


def _python(program: str, folder: Path, patience_seconds: float = 5) -> Child:
    return Child("child", [sys.executable, "-c", program], folder, folder / "child.log", patience_seconds)


def test_child_writes_its_log_and_ends_when_asked(tmp_path: Path) -> None:
    child = _python("import time; print('here', flush=True); time.sleep(60)", tmp_path)
    child.start()
    wait_for(lambda: "here" in child.log.read_text())
    assert child.exit_code() is None
    child.end()
    assert child.exit_code() == -15


def test_child_that_does_not_listen_is_killed_with_its_own_children(tmp_path: Path) -> None:
    program = (
        "import os, signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "print(os.fork() or os.getpid(), flush=True); time.sleep(60)"
    )
    child = _python(program, tmp_path, patience_seconds=0.2)
    child.start()
    wait_for(lambda: len(child.log.read_text().split()) == 2)
    child.end()
    assert child.exit_code() == -9
    for pid in map(int, child.log.read_text().split()):
        wait_for(partial(_is_gone, pid), 5)


def _is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_pauses_between_restarts_grow_to_half_a_minute(tmp_path: Path) -> None:
    child = _python("", tmp_path)
    child.start()
    child.end()
    assert [child.plan_restart() for _ in range(7)] == [1, 2, 4, 8, 16, 30, 30]


def test_pause_is_short_again_after_a_good_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    child = _python("", tmp_path)
    child.start()
    child.end()
    assert [child.plan_restart(), child.plan_restart()] == [1, 2]
    later = time.monotonic() + processes.WELL_AFTER_SECONDS + 1
    monkeypatch.setattr(time, "monotonic", lambda: later)
    assert child.plan_restart() == 1


def test_child_that_ends_at_once_did_not_start(tmp_path: Path) -> None:
    child = _python("raise SystemExit(3)", tmp_path)
    child.start()
    with pytest.raises(DidNotStart, match=r"child did not start\. See .*child\.log"):
        wait_until(lambda: False, child, seconds=20)
    assert child.exit_code() == 3


def test_long_log_moves_aside_under_its_writer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "MOST_LOG_BYTES", 10)
    log = tmp_path / "some.log"
    with log.open("ab", buffering=0) as writer:
        writer.write(b"a long line\n")
        rotate(log)
        writer.write(b"next\n")
        rotate(log)
    assert log.read_text() == "next\n"
    assert (tmp_path / "some.log.1").read_text() == "a long line\n"


def test_old_redis_on_the_path_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = tmp_path / "redis-server"
    old.write_text("#!/bin/sh\necho 'Redis server v=6.0.16 sha=00000000:0'\n")
    old.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert OLDEST == (6, 2)
    assert find_redis_server() != str(old)
    old.write_text("#!/bin/sh\necho 'Redis server v=7.0.15 sha=00000000:0'\n")
    assert find_redis_server() == str(old)
