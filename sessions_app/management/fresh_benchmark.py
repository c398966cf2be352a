"""Measures how long a person waits for what is new, with all that `manage.py run` starts and a browser's requests.

From the moment an organization's key is saved to its first readable session, and from a search to a session that was
created ten seconds before it; without webhooks, and within the request budget that a new organization has.
"""

from __future__ import annotations

import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import requests
from django.conf import settings

from sessions_app.management.benchmarks import BenchmarkFailed, Figure, simulated_vapi
from sessions_app.management.databases import database_url
from sessions_app.models import Organization, Watermark
from sessions_app.models.runs import Stream

SEARCHES = 5
AGE_SECONDS = 10
_LONGEST_SECONDS = 600.0
_LIST = "/admin/sessions_app/session/"
_ADD = "/admin/sessions_app/organization/add/"


def fresh_figures(sessions: int) -> Iterator[Figure]:
    """Yield seconds: from a saved key to the first session, to all of them, and of searches for a new one."""
    with simulated_vapi(sessions) as vapi, _product() as browser:
        start = time.perf_counter()
        browser.save_organization(vapi)
        _await(browser.shows_a_session)
        yield Figure("first session readable after a key is saved", time.perf_counter() - start, "s")
        _await(_has_read_all, pause=0.5)
        yield Figure(f"all {sessions:,} sessions and their chats read", time.perf_counter() - start, "s")
        times = [_search_for_new(browser, vapi, number) for number in range(SEARCHES)]
        yield Figure(f"search for a session {AGE_SECONDS} s old, median", statistics.median(times), "s")
        yield Figure(f"search for a session {AGE_SECONDS} s old, slowest", max(times), "s")


def _search_for_new(browser: _Browser, vapi: str, number: int) -> float:
    name = f"Benchmark{number}"
    new = {"key": "sandbox-key", "fields": {"name": name, "customer": {"number": f"+4915155500{number:03}"}}}
    requests.post(f"{vapi}/_sandbox/sessions", json=new, timeout=30).raise_for_status()
    time.sleep(AGE_SECONDS)
    start = time.perf_counter()
    _await(lambda: name in browser.search(f"55500{number:03}"))
    return time.perf_counter() - start


def _has_read_all() -> bool:
    organization = Organization.objects.get()
    read = Watermark.objects.filter(organization=organization, backfilled_at__isnull=False)
    return read.filter(stream__in=(Stream.SESSIONS, Stream.CHATS)).count() == 2


class _Browser:
    """A person who signed in."""

    def __init__(self, url: str, password: str) -> None:
        self.url = url
        self._session = requests.Session()
        self._post("/admin/login/", {"username": "admin", "password": password})

    def save_organization(self, vapi: str) -> None:
        form = {
            "slug": "bench", "name": "Benchmark", "base_url": vapi, "api_key": "sandbox-key",
            "report_time_zone": "UTC", "freshness_goal_seconds": "300", "is_active": "on",
        }  # fmt: skip
        self._post(_ADD, form)
        if not Organization.objects.exists():
            raise BenchmarkFailed("the organization was not saved")

    def shows_a_session(self) -> bool:
        return "data-row-link" in self._get(_LIST)

    def search(self, text: str) -> str:
        """As the search box does it: a POST that leads to the list."""
        return self._post(f"{_LIST}search/", {"search": text}, seen_at=_LIST)

    def _get(self, path: str) -> str:
        answer = self._session.get(f"{self.url}{path}", timeout=60)
        answer.raise_for_status()
        return answer.text

    def _post(self, path: str, form: dict[str, str], seen_at: str = "") -> str:
        if "csrftoken" not in self._session.cookies:
            self._get(seen_at or path)
        token = self._session.cookies["csrftoken"]
        answer = self._session.post(
            f"{self.url}{path}",
            {**form, "csrfmiddlewaretoken": token},
            headers={"Referer": self.url},
            timeout=60,
        )
        answer.raise_for_status()
        return answer.text


@contextmanager
def _product() -> Iterator[_Browser]:
    """`manage.py run` on the benchmark's own database, without an organization yet."""
    with closing(socket.socket()) as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        told = Path(folder, "told")
        with told.open("w") as output:
            process = subprocess.Popen(
                [sys.executable, "manage.py", "run"],
                cwd=settings.BASE_DIR,
                env=_environment(folder, port),
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        try:
            _await(lambda: "is ready at" in told.read_text() or process.poll() is not None)
            password = re.search(r"sign in as admin\s+(\S+)", told.read_text())
            if password is None:
                raise BenchmarkFailed(f"the product did not start: {told.read_text()[-500:]}")
            yield _Browser(f"http://127.0.0.1:{port}", password[1])
        finally:
            process.terminate()
            process.wait(30)


def _environment(folder: str, port: int) -> dict[str, str]:
    ours = {
        "VAPI_API_KEY",
        "VAPI_API_KEY_FILE",
        "CELERY_BROKER_URL",
        "PUBLIC_URL",
        "ALLOWED_HOSTS",
        "CSRF_TRUSTED_ORIGINS",
    }
    kept = {name: value for name, value in os.environ.items() if name not in ours}
    own = {"VAR_DIR": folder, "PORT": str(port), "DATABASE_URL": database_url(), "LOG_LEVEL": "WARNING"}
    # The keys by which this process reads what the other one encrypts.
    secrets = {"SECRET_KEY": settings.SECRET_KEY, "FIELD_ENCRYPTION_KEYS": _encryption_keys()}
    return kept | own | secrets


def _encryption_keys() -> str:
    return ",".join(key if isinstance(key, str) else key.decode() for key in settings.FIELD_ENCRYPTION_KEYS)


def _await(true: Callable[[], object], pause: float = 0.1) -> None:
    deadline = time.monotonic() + _LONGEST_SECONDS
    while not true():
        if time.monotonic() > deadline:
            raise BenchmarkFailed(f"waited {_LONGEST_SECONDS:.0f} s in vain")
        time.sleep(pause)
