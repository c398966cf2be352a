"""`manage.py run`: all processes for real, and what happens when one of them is killed."""

from __future__ import annotations

import json
import os
import re
import secrets
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
import requests
from django.conf import settings
from psycopg import sql
from psycopg.rows import TupleRow

from tests.management.running import ROOT, Running, free_port, plain_environment, start_run, wait_for
from tests.sandbox_process import SandboxProcess

__all__ = ["start_run"]

PARTS = (
    "redis-server",
    "sessions_app.sandbox",
    "celery --quiet --app vapiadmin worker",
    " beat ",
    "gunicorn",
)


class Demo:
    """The demo in a folder of its own. Each test that asks for it finds it up, whatever the one before did to it."""

    def __init__(self, var: Path) -> None:
        self.var = var
        self._started: list[Running] = []

    def up(self) -> Running:
        if not self._started or self._started[-1].process.poll() is not None:
            self._started.append(Running(self.var))
            self._started[-1].wait_ready()
        return self._started[-1]

    def end(self) -> None:
        for running in self._started:
            running.stop(signal.SIGKILL)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    if os.environ.get("TEST_DATABASE") == "postgresql":
        pytest.skip("the demo has a SQLite database of its own; this ran in the suite's other half")
    demo = Demo(tmp_path_factory.mktemp("demo") / "var")
    yield demo
    demo.end()


@pytest.fixture
def running(demo: Demo) -> Running:
    """The demo, up."""
    return demo.up()


@pytest.fixture
def own_database() -> Iterator[dict[str, str]]:
    """DATABASE_URL of an empty database on the server that this half of the suite runs on; nothing for SQLite."""
    if os.environ.get("TEST_DATABASE") != "postgresql":
        yield {}
        return
    name = f"vapiadmin_run_{secrets.token_hex(6)}"
    with _server() as server:
        server.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    yield {"DATABASE_URL": f"{os.environ['DATABASE_URL'].rpartition('/')[0]}/{name}"}
    with _server() as server:
        server.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def _server(database: str = "postgres") -> psycopg.Connection[TupleRow]:
    told = settings.DATABASES["default"]
    return psycopg.connect(
        host=told["HOST"], port=told["PORT"] or None, user=told["USER"], password=told["PASSWORD"] or None,
        dbname=database, autocommit=True,
    )  # fmt: skip


def _rows(running: Running, question: str, database: str = "demo") -> list[tuple[object, ...]]:
    url = running.environment.get("DATABASE_URL", "")
    if url.startswith("postgres"):
        with _server(url.rpartition("/")[2]) as server:
            return server.execute(question.encode()).fetchall()
    with closing(sqlite3.connect(running.var / f"{database}.sqlite3")) as connection:
        return connection.execute(question).fetchall()


def _synced(running: Running, database: str = "demo") -> bool:
    """Whether it has pulled every stream since it was started, and pulls none now."""
    of_this_start = f"state IN ('running', 'succeeded') AND started_at > '{running.started_at}'"
    question = f"SELECT DISTINCT stream, state FROM sessions_app_syncrun WHERE {of_this_start}"  # noqa: S608 - words and a moment of our own
    states = _rows(running, question, database)
    return len(states) == 3 and {state for _, state in states} == {"succeeded"}


def test_demo_is_up_and_syncs(running: Running) -> None:
    # A child that was just forked still has its parent's command.
    wait_for(lambda: all(running.child(part) for part in PARTS))
    assert requests.get(f"{running.url}/healthz", timeout=5).text == "ok\n"
    wait_for(running.ready)
    wait_for(lambda: _synced(running))
    # Of those that began since, some are told by webhook; what is lost on its way is found by polling.
    running.manage("sync")
    assert _rows(running, "SELECT count(*) FROM sessions_app_session") == [(400,)]
    taken = _rows(running, "SELECT DISTINCT kind FROM sessions_app_webhookevent ORDER BY kind")
    assert taken == [("session.created",), ("session.updated",)]
    told = running.told()
    assert running.url in told
    for login in ("support  demo-support", "ops      demo-operations", "admin    demo-admin"):
        assert login in told
    assert "Traceback" not in told


def test_second_start_beside_a_running_one_is_one_line(running: Running, tmp_path: Path) -> None:
    assert _refusal(plain_environment(running.var, running.port)) == (
        f"this vapiadmin already runs (process {running.process.pid}) at {running.url}."
    )
    assert _refusal(plain_environment(tmp_path / "other", running.port)) == (
        f"port {running.port} is taken: set PORT to another one, as in `PORT=8001 make run`."
    )


def test_database_of_the_demo_takes_no_real_key(
    running: Running, sandbox: SandboxProcess, tmp_path: Path
) -> None:
    real = {"VAPI_API_KEY": sandbox.key, "VAPI_BASE_URL": sandbox.url}
    demo = {"DATABASE_URL": f"sqlite:///{running.var}/demo.sqlite3"}
    assert "holds demo data" in _refusal(plain_environment(tmp_path / "var", free_port()) | real | demo)


def test_second_start_keeps_what_people_and_the_sandbox_changed(demo: Demo, running: Running) -> None:
    wait_for(lambda: _synced(running), 90)
    key = {"Authorization": "Bearer sandbox-key"}
    listed = f"{running.sandbox_url()}/session?limit=1000"
    oldest = requests.get(f"{listed}&sortOrder=ASC", headers=key, timeout=5).json()["results"][0]["id"]
    changed = requests.patch(
        f"{running.sandbox_url()}/session/{oldest}", headers=key, json={"name": "Changed before"}, timeout=5
    )
    assert changed.ok
    running.manage("sync", "--stream", "sessions")
    before = requests.get(listed, headers=key, timeout=5).json()["results"]
    running.stop()

    again = demo.up()
    after = requests.get(f"{again.sandbox_url()}/session?limit=1000", headers=key, timeout=5).json()[
        "results"
    ]
    # Rows of one createdAt come in any order.
    assert {(row["id"], row.get("name"), row["createdAt"], row["updatedAt"]) for row in after} == {
        (row["id"], row.get("name"), row["createdAt"], row["updatedAt"]) for row in before
    }
    assert (oldest, "Changed before") in _rows(again, "SELECT id, name FROM sessions_app_session")
    assert (
        json.loads(again.manage("sync", "--stream", "sessions", "--full", "--json"))["runs"][0]["created"]
        == 0
    )


def test_logs_are_json_lines_without_secrets(demo: Demo, running: Running) -> None:
    wait_for(lambda: _synced(running), 90)
    running.stop()
    logs = demo.var / "log"
    for name in ("worker", "beat", "web"):
        lines = (logs / f"{name}.log").read_text().splitlines()
        # Celery says farewell in plain words, whatever its logger.
        parsed = [json.loads(line) for line in lines if line and not line.startswith("worker: ")]
        assert parsed, name
    written = "".join(path.read_text() for path in logs.iterdir())
    assert "sandbox-key" not in written.replace("Key: sandbox-key", "")
    assert (demo.var / "secret_key").read_text() not in written


def test_killed_worker_is_started_again_and_said(running: Running) -> None:
    first = running.child("vapiadmin worker")
    os.kill(first, signal.SIGKILL)
    wait_for(lambda: running.child("vapiadmin worker") not in {0, first})
    assert "worker was ended by SIGKILL; starting it again in 1 s." in running.told()
    wait_for(running.ready)


def test_killed_supervisor_leaves_nothing_behind_and_the_next_starts(demo: Demo, running: Running) -> None:
    running.stop(signal.SIGKILL)
    wait_for(lambda: running.children() == {}, 10)
    again = demo.up()
    wait_for(lambda: all(again.child(part) for part in PARTS))
    assert again.stop(signal.SIGINT) == 0
    assert again.children() == {}
    assert "Traceback" not in again.told()


def test_real_key_makes_one_admin_once_and_sends_nothing(
    start_run: Callable[..., Running], sandbox: SandboxProcess, own_database: dict[str, str]
) -> None:
    real = {"VAPI_API_KEY": sandbox.key, "VAPI_BASE_URL": sandbox.url} | own_database
    running = start_run(**real)
    shown = re.search(r"sign in as admin +(\S{20}) ", running.told())
    assert shown
    assert "demo" not in running.told()
    wait_for(lambda: _synced(running, "vapiadmin"))
    organizations = "SELECT slug, write_mode, is_sandbox, api_key FROM sessions_app_organization"
    assert _rows(running, organizations, "vapiadmin") == [("default", "off", False, "")]
    assert not (running.var / "demo.sqlite3").exists()
    assert {entry["method"] for entry in sandbox.journal()} == {"GET"}
    running.stop()
    again = start_run(**real)
    assert "sign in as" not in again.told()
    written = "".join(path.read_text() for path in (again.var / "log").iterdir())
    assert shown[1] not in written
    assert sandbox.key not in written


def test_wrong_key_and_unreachable_vapi_are_one_line(sandbox: SandboxProcess, tmp_path: Path) -> None:
    plain = plain_environment(tmp_path / "var", free_port()) | {"VAPI_API_KEY": "no-key-of-theirs"}
    assert "refused VAPI_API_KEY (401)" in _refusal(plain | {"VAPI_BASE_URL": sandbox.url})
    assert "cannot be reached (connection)" in _refusal(plain)


@pytest.mark.parametrize(
    ("part", "variable"), [("redis", "TEST_REDIS_URL"), ("rabbitmq", "TEST_RABBITMQ_URL")]
)
def test_broker_and_database_of_ones_own(
    start_run: Callable[..., Running],
    sandbox: SandboxProcess,
    own_database: dict[str, str],
    part: str,
    variable: str,
) -> None:
    if not os.environ.get(variable):
        pytest.skip(f"needs {part}: {variable} names none")
    real = {"VAPI_API_KEY": sandbox.key, "VAPI_BASE_URL": sandbox.url} | own_database
    running = start_run(CELERY_BROKER_URL=os.environ[variable], **real)
    assert not running.child("redis-server")
    wait_for(lambda: _synced(running, "vapiadmin"))
    assert _rows(running, "SELECT count(*) FROM sessions_app_session", "vapiadmin") == [(40,)]


def test_a_database_between_old_steps_is_not_built_upon(tmp_path: Path) -> None:
    plain = plain_environment(tmp_path / "var", free_port())
    (tmp_path / "var" / "static").mkdir(parents=True)
    subprocess.run(
        [sys.executable, "manage.py", "migrate", "--verbosity=0"], cwd=ROOT, env=plain, check=True, timeout=60
    )
    with closing(sqlite3.connect(tmp_path / "var" / "demo.sqlite3")) as connection:
        # As it is where the last of the steps that 0002_beyond_django replaces was never taken.
        steps = "app = 'sessions_app' AND (name LIKE '0002_beyond%' OR name LIKE '0003_find%' OR name LIKE '0023%')"
        assert connection.execute(f"DELETE FROM django_migrations WHERE {steps}").rowcount == 3  # noqa: S608 - words of our own
        connection.commit()

    assert "bring it to sessions_app 0023 first" in _refusal(plain, code=2)


def _refusal(environment: dict[str, str], code: int = 1) -> str:
    """What a start that must fail says: one line, without the command's own mark."""
    done = subprocess.run(
        [sys.executable, "manage.py", "run"],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == code, done.stdout
    assert done.stderr.count("\n") == 1
    return done.stderr.removeprefix("CommandError: ").strip()
