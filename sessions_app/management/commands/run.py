"""`manage.py run`: everything on one machine: broker, web, worker and beat; the demo's Vapi where there is no key."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import requests
from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError, OperationalError, connections

from sessions_app.logs import describe_error
from sessions_app.management.bootstrap import (
    Login,
    bootstrap_default,
    bootstrap_demo_people,
    bootstrap_first_admin,
    bootstrap_sandbox,
)
from sessions_app.management.broker import broker
from sessions_app.management.demo import Demo
from sessions_app.management.exits import FAILED, demand_migrated
from sessions_app.management.preflight import check_folder, check_port, check_vapi, take_lock
from sessions_app.management.processes import Child, DidNotStart, Supervisor, wait_until
from sessions_app.tasks import enqueue, sync_all, sync_names

_PYTHON = (sys.executable, "-m")
_CELERY = (*_PYTHON, "celery", "--quiet", "--app", "vapiadmin")
_WORKER = ("worker", "--pool", "threads", "--concurrency", "4", "--without-gossip", "--without-mingle")
_WEB = ("gunicorn", "--config", "python:vapiadmin.web", "vapiadmin.wsgi:application")


class Command(BaseCommand):
    help = "Run everything on this machine until Ctrl-C. Without VAPI_API_KEY: a demo with a simulated Vapi."
    requires_migrations_checks = False
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--live", action="store_true", help="let conversations go on in the demo's simulated Vapi"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            # Named, or it would be collected and the lock with it.
            lock = self._check()
            self._run(live=options["live"])
            lock.close()
        except DidNotStart as problem:
            raise CommandError(str(problem), returncode=FAILED) from None

    def _check(self) -> Any:
        var: Path = settings.VAR_DIR
        check_folder(var)
        lock = take_lock(var, settings.PUBLIC_URL)
        check_port(settings.PORT)
        if settings.VAPI_API_KEY:
            check_vapi(settings.VAPI_BASE_URL, settings.VAPI_API_KEY)
        return lock

    def _run(self, *, live: bool) -> None:
        supervisor = Supervisor(self._say)
        try:
            logins = self._prepare_database()
            self._start(supervisor, live=live)
            if not supervisor.stopping:
                self._greet(logins)
                supervisor.watch()
            self._say("Stopping.")
        finally:
            supervisor.end()

    def _prepare_database(self) -> list[Login]:
        try:
            call_command("migrate", verbosity=0, interactive=False)
            demand_migrated()
            if not settings.DEVELOPMENT:
                call_command("collectstatic", verbosity=0, interactive=False)
            settings.STATIC_ROOT.mkdir(parents=True, exist_ok=True)
            if settings.DEMO:
                return bootstrap_demo_people()
            if settings.VAPI_API_KEY:
                bootstrap_default()
            first = bootstrap_first_admin()
            return [first] if first else []
        except ValidationError as error:
            # Demo and real rows never meet in a database.
            raise DidNotStart(" ".join(error.messages)) from None
        except OperationalError as error:
            # No row was touched yet: what the server says names its address, a file or a user only.
            raise DidNotStart(f"the database cannot be used: {str(error).splitlines()[0]}") from None
        except DatabaseError as error:
            raise DidNotStart(f"the database cannot be used ({describe_error(error)}).") from None

    def _start(self, supervisor: Supervisor, *, live: bool) -> None:
        """Broker and sandbox first; the page is up before the first sync is done."""
        if settings.EMBEDDED_BROKER:
            supervisor.add(broker(settings.CELERY_BROKER_URL, settings.VAR_DIR, _log("broker")))
        demo = None
        if settings.DEMO:
            demo = Demo(settings.VAR_DIR)
            bootstrap_sandbox(demo.url)
            supervisor.add(demo.child(_log("sandbox"), live=live))
        worker = [*_CELERY, *_WORKER, "--loglevel", settings.LOG_LEVEL]
        supervisor.add(_child("worker", worker, patience_seconds=8))
        beat = [*_CELERY, "beat", "--pidfile=", "--loglevel", settings.LOG_LEVEL]
        supervisor.add(_child("beat", beat))
        enqueue(sync_names)
        enqueue(sync_all)
        # Each process has connections of its own.
        connections.close_all()
        web = _child("web", [*_PYTHON, *_WEB])
        web.on_start = lambda child: wait_until(_web_answers, child, seconds=60)
        supervisor.add(web)
        if demo and not supervisor.stopping:
            demo.begin()

    def _greet(self, logins: list[Login]) -> None:
        self._say(f"\nvapiadmin is ready at {settings.PUBLIC_URL}")
        for login in logins:
            self._say(f"  sign in as {login.username:8} {login.password:16} {login.about}")
        if settings.DEMO:
            self._say("  A demo with invented conversations. Set VAPI_API_KEY to mirror your own.")
        self._say(f"Logs are in {settings.VAR_DIR / 'log'}. Ctrl-C stops everything.\n")

    def _say(self, words: str) -> None:
        self.stdout.write(words)
        self.stdout.flush()


def _child(name: str, command: list[str], *, patience_seconds: float = 6) -> Child:
    return Child(name, command, settings.BASE_DIR, _log(name), patience_seconds)


def _log(name: str) -> Path:
    path: Path = settings.VAR_DIR / "log" / f"{name}.log"
    return path


def _web_answers() -> bool:
    try:
        requests.get(f"http://127.0.0.1:{settings.PORT}/healthz", timeout=5)
    except requests.RequestException:
        return False
    return True
