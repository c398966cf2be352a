"""Tells when another connection waits for what this one has locked. PostgreSQL only."""

from __future__ import annotations

import threading
import time

from django.db import connection


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
