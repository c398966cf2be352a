"""The process that reads: what it makes of records is what would have been made here, and it outlives nobody."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from sessions_app.vapi.heads import Head, read_head
from sessions_app.vapi.payloads import Record, prepared_values
from sessions_app.vapi.reader import FEW, MANY, Reader, _encode, processors
from sessions_app.vapi.reading import parse_results
from tests.vapi.test_payloads import FULL

_ROOT = Path(__file__).parents[2]
_MANY = FEW + 10


@pytest.fixture
def reader() -> Iterator[Reader]:
    """One that works: few are read by it as well."""
    with Reader(workers=0) as reader:
        reader.start()
        yield reader


def heads(count: int = _MANY, path: str = "session", **changes: Any) -> list[Head]:
    """Heads of such records: r0000, r0001 ..."""
    found = []
    for number in range(count):
        payload = {**FULL, "input": "A table?", "sessionId": "s1", **changes, "id": f"r{number:04}"}
        head = read_head(path, json.dumps(payload, default=float).encode())
        assert head is not None
        found.append(head)
    return found


def told(record: Record) -> list[Any]:
    return [getattr(record, name) for name in prepared_values(type(record))]


def test_where_each_processor_has_a_worker_they_read_for_themselves() -> None:
    with Reader(workers=processors()) as reader:
        reader.start()
        records, bad = reader.parse("session", heads(MANY), [False] * MANY)
        assert reader.pid is None
    assert (len(records), bad) == (MANY, [])


@pytest.mark.parametrize("path", ["session", "chat"])
def test_records_are_the_same_as_if_read_here(reader: Reader, path: str) -> None:
    rows = heads(path=path, newField={"a": [1, "x"]}, token="s3cr3t")

    records, bad = reader.parse(path, rows, [False] * _MANY)
    here, _ = parse_results(path, rows, [False] * _MANY)

    assert reader.pid is not None
    assert (bad, [told(record) for record in records]) == ([], [told(record) for record in here])
    assert [record.payload for record in records] == [record.payload for record in here]
    assert records[0].cost_usd == Decimal("0.0123")
    assert records[0].costs[0].cost_usd == Decimal("1e-07")
    assert (records[0].words, records[0].labels) == (here[0].words, here[0].labels)
    assert "s3cr3t" not in records[0].payload_json


def test_what_has_no_head_comes_along(reader: Reader) -> None:
    rows = [*heads(), {**FULL, "id": "whole"}, {"id": "none"}]

    records, bad = reader.parse("session", rows, [False] * len(rows))

    assert {record.id for record in records} == {*(row["id"] for row in heads()), "whole"}
    assert [(row.remote_id, row.reason) for row in bad] == [("none", "createdAt: not a time but null")]


def test_a_process_is_started_for_many() -> None:
    with Reader(workers=0) as reader:
        records, _ = reader.parse("session", heads(MANY - 1), [False] * (MANY - 1))
        assert (len(records), reader.pid) == (MANY - 1, None)

        records, _ = reader.parse("session", heads(MANY), [False] * MANY)
        assert (len(records), reader.pid is None) == (MANY, False)


def test_one_that_cannot_be_read_is_told_apart(reader: Reader) -> None:
    deep = '{"a":' * 450 + '"s3cr3t"' + "}" * 450
    odd = read_head(
        "session",
        json.dumps({**FULL, "id": "deep"}, default=float)[:-1].encode() + b', "x": %s}' % deep.encode(),
    )
    assert odd is not None

    records, bad = reader.parse("session", [*heads(), odd], [False] * (_MANY + 1))

    assert (len(records), [row.remote_id for row in bad]) == (_MANY, ["deep"])
    assert "s3cr3t" not in f"{bad}"


def test_a_process_that_was_ended_is_done_without_and_started_again(reader: Reader) -> None:
    reader.parse("session", heads(), [False] * _MANY)
    first = reader.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)

    again, bad = reader.parse("session", heads(), [False] * _MANY)
    assert (len(again), bad, reader.pid) == (_MANY, [], None)

    reader.start()
    again, _ = reader.parse("session", heads(), [False] * _MANY)
    assert (len(again), reader.pid in (None, first)) == (_MANY, False)


def test_what_it_cannot_do_is_told_without_a_word_of_it() -> None:
    asked = _encode(("nothing", [b'{"id": "s3cr3t"}']))
    done = subprocess.run(
        [sys.executable, "-m", "sessions_app.vapi.reader"],
        cwd=_ROOT, input=len(asked).to_bytes(8) + asked, capture_output=True, check=False,
    )  # fmt: skip

    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr.startswith(b"reader: KeyError at ")
    assert b"s3cr3t" not in done.stderr


def test_it_ends_with_the_block() -> None:
    with Reader(workers=0) as reader:
        reader.start()
        pid = reader.pid
    assert pid is not None
    assert not _is_alive(pid)


def test_it_ends_with_a_process_that_is_killed() -> None:
    script = (
        "import time; from sessions_app.vapi.reader import Reader; reader = Reader(workers=0); reader.start();"
        "print(reader.pid, flush=True); time.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", script], cwd=_ROOT, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    assert _is_alive(pid)

    parent.kill()
    parent.communicate()

    deadline = time.monotonic() + 20
    while _is_alive(pid):
        assert time.monotonic() < deadline, "it outlived the one who started it"
        time.sleep(0.05)


def test_it_is_told_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAPI_API_KEY", "s3cr3t")
    with Reader(workers=0) as reader:
        reader.start()
        # By the time that it has answered it is surely another program than ours.
        reader.parse("session", heads(), [False] * _MANY)
        environment = Path(f"/proc/{reader.pid}/environ").read_bytes()

    assert b"PYTHONPATH" in environment
    assert b"s3cr3t" not in environment


def _is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False
