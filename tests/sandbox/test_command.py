"""`manage.py sandbox` on the command line."""

import gzip
import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from sessions_app.sandbox.conversations import open_conversations
from sessions_app.sandbox.options import BadOption, parse_now
from tests.sandbox_process import SandboxProcess

Start = Callable[..., SandboxProcess]

LINES: list[dict[str, Any]] = [
    {
        "id": "a",
        "messages": [{"role": "user", "content": "Apfelkuchen?"}, {"role": "assistant", "content": None}],
    },
    {"id": "b", "messages": [{"role": "user", "content": "Zwei Stück, bitte 🚀"}]},
]


COMMANDS = {"with Django": ["manage.py", "sandbox"], "without": ["-m", "sessions_app.sandbox"]}


def run(
    *arguments: str, command: Sequence[str] = COMMANDS["with Django"]
) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, *command, "--port=0", *arguments]
    return subprocess.run(line, capture_output=True, text=True, timeout=60, check=False)


def test_sigterm_ends_it_cleanly(start_sandbox: Start) -> None:
    sandbox = start_sandbox()
    assert sandbox.ask("/session?limit=1")["metadata"]["totalItems"] == 40
    assert sandbox.stop() == 0


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_a_taken_port_is_one_clear_line(command: list[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ended = run(f"--port={taken.getsockname()[1]}", command=command)
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert len(ended.stderr.strip().splitlines()) == 1
    assert "Address already in use" in ended.stderr


@pytest.mark.parametrize("name", ["talks.jsonl", "talks.jsonl.gz"])
def test_conversations_come_from_a_file(tmp_path: Path, start_sandbox: Start, name: str) -> None:
    text = "\n".join(json.dumps(line) for line in LINES).encode()
    path = tmp_path / name
    path.write_bytes(gzip.compress(text) if name.endswith(".gz") else text)
    rows = start_sandbox(conversations=path, sessions=30).truth()
    assert [row["messages"] for row in rows] == [LINES[number % 2]["messages"] for number in range(30)]


@pytest.mark.parametrize(
    "text", ["", "no json", '{"messages": 1}', '{"messages": [{"content": "x"}]}', "[1]"]
)
def test_a_bad_file_of_conversations_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "talks.jsonl"
    path.write_text(text)
    with pytest.raises(BadOption, match=str(path)):
        open_conversations(path)


def test_bad_options_are_one_clear_line(tmp_path: Path) -> None:
    path = tmp_path / "talks.jsonl.gz"
    path.write_text("not gzip")
    for option in (f"--conversations={path}", "--faults=flood", "--sessions=-1"):
        ended = run(option)
        assert (ended.returncode, len(ended.stderr.strip().splitlines())) == (2, 1), ended.stderr
    with pytest.raises(BadOption):
        parse_now("soon")


def test_live_lets_sessions_and_turns_arrive(start_sandbox: Start) -> None:
    sandbox = start_sandbox(live=True, now="")
    began = time.monotonic()
    while not (changed := sandbox.control("GET", "stats")["organizations"]) or not any(
        o["changed"] for o in changed
    ):
        assert time.monotonic() - began < 15, "nothing arrived"
        time.sleep(0.2)
    key = next(o["key"] for o in changed if o["changed"])
    newest = sandbox.truth(key=key)[-1]
    assert (newest["status"], len(newest["messages"])) == ("active", 2)
