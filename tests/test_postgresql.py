"""The suite's own PostgreSQL, whether this run uses it or not."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import psycopg

from tests import postgresql


def test_starts_answers_and_leaves_nothing() -> None:
    server = postgresql.start()
    try:
        with psycopg.connect(host=str(server.folder), user="postgres", dbname="postgres") as connection:
            row = connection.execute(
                "SELECT datcollate, current_setting('server_encoding') FROM pg_database"
            ).fetchone()
        assert row == ("C.UTF-8", "UTF8")
    finally:
        server.stop()
    assert server.process.returncode == 0
    assert not server.folder.exists()


def test_ends_with_whoever_started_it() -> None:
    program = (
        "import os, signal; from tests import postgresql; server = postgresql.start()\n"
        "print(server.process.pid, server.folder, flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    pid, folder = done.stdout.split()
    deadline = time.monotonic() + 20
    while Path(f"/proc/{pid}").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not Path(f"/proc/{pid}").exists()
    subprocess.run(["rm", "-r", folder], check=True)


def test_programs_are_found_in_the_wheel_or_the_system() -> None:
    assert os.access(postgresql.find_programs() / "initdb", os.X_OK)
