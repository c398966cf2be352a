"""The benchmark measures what it says: the same rows, and a table with goals."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.conf import settings
from django.db import connection, transaction

from sessions_app.management.bare_rows import BareRows, empty_tables
from sessions_app.mirror.sync import sync_stream
from sessions_app.models import CostLine, Organization, Session
from sessions_app.models.runs import Stream
from sessions_app.search.words import matching_session_ids
from tests.sandbox_process import SandboxProcess


@pytest.mark.django_db(transaction=True)
def test_bare_rows_are_the_rows_that_a_sync_stores(
    organization: Organization, sandbox: SandboxProcess
) -> None:
    for stream in (Stream.SESSIONS, Stream.CHATS):
        sync_stream(organization, stream, full=True)
    found = set(matching_session_ids("the", names_too=True))
    rows = BareRows.read()

    empty_tables()
    assert not Session.objects.exists()
    assert not matching_session_ids("the", names_too=True).exists()
    written = rows.write()

    assert written == 40 + 80
    assert Session.objects.count() == 40
    assert CostLine.objects.count() > 100
    assert set(matching_session_ids("the", names_too=True)) == found != set()
    assert BareRows.read() == rows
    # Whatever way the database takes to them, which is its own choice as rows become more.
    with _only_by_index():
        assert BareRows.read() == rows


@contextmanager
def _only_by_index() -> Iterator[None]:
    """Have PostgreSQL read tables in the order of an index wherever it can."""
    if connection.vendor != "postgresql":
        yield
        return
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan TO off; SET LOCAL enable_bitmapscan TO off")
        cursor.execute("SET LOCAL enable_sort TO off")
        yield


def bench(*arguments: str) -> dict[str, Any]:
    ended = subprocess.run(
        [sys.executable, "manage.py", "bench", "sync", "--json", *arguments],
        cwd=settings.BASE_DIR,
        env={**os.environ, "LOG_LEVEL": "ERROR"},
        capture_output=True,
        check=True,
        timeout=120,
    )
    told: dict[str, Any] = json.loads(ended.stdout)
    return told


def test_the_command_compares_a_sync_with_what_it_is_made_of() -> None:
    told = bench("--sessions=100", "--rounds=1", "--latency=1", "--workers=1")

    named = {figure["name"]: figure for figure in told["figures"]}
    assert [name[:3] for name, figure in named.items() if figure["unit"] == "records/s"] == [
        *("(a)", "(b)", "(c)", "(d)", "(d)", "(c)")
    ]
    assert all(figure["value"] > 0 for figure in named.values())
    goals = {name: figure["goal"] for name, figure in named.items() if figure["goal"]}
    assert goals["(c) full sync to (b)"] == 0.7
    assert goals["(d) again, nothing changed to (a)"] == 1.0
    assert "Python" in told["machine"]


def test_growth_tells_rate_and_memory_at_both_ends() -> None:
    told = bench("--sessions=2000", "--growth")

    units = [figure["unit"] for figure in told["figures"]]
    assert units == ["sessions/s", "sessions/s", "", "MB", "MB"]
    assert all(figure["value"] > 0 for figure in told["figures"])
