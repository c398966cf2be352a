"""Tells when another connection waits for what this one has locked. PostgreSQL only."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection

from sessions_app.costs.rollup import add_sums
from sessions_app.mirror import writer


def beside_the_next_write(monkeypatch: pytest.MonkeyPatch, work: Callable[[], object]) -> threading.Thread:
    """Let `work` begin, on a connection of its own, when the next write is about to commit, and wait for it."""

    def run() -> None:
        work()
        connection.close()

    thread = threading.Thread(target=run)

    def begin(*args: Any) -> None:
        monkeypatch.undo()
        thread.start()
        wait_until_it_waits(thread)
        add_sums(*args)

    monkeypatch.setattr(writer, "add_sums", begin)
    return thread


def wait_until_it_waits(thread: threading.Thread) -> None:
    """Return as soon as the thread's connection waits for this one, or the thread has ended."""
    while thread.is_alive() and not _somebody_waits_for_us():
        time.sleep(0.02)


def _somebody_waits_for_us() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY (pg_blocking_pids(pid))"
        )
        return bool(cursor.fetchone()[0])
