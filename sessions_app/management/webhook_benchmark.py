"""Measures how many server messages a second a web server takes, beside a view that does nothing but insert a row."""

from __future__ import annotations

import json
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from itertools import count
from pathlib import Path

from django.conf import settings
from django.urls import reverse

from sessions_app.management.benchmarks import BenchmarkFailed, Figure
from sessions_app.management.databases import database_url
from sessions_app.models import Organization, WebhookSecret

MESSAGES = 3_000
ROUNDS = 3
_SENDERS = 8
_TOKEN = "token-of-the-benchmark"  # noqa: S105 - of a database that is dropped
_SERVER = ("--worker-class", "gthread", "--workers", "2", "--threads", "4", "--log-level", "critical")
# The server's own configuration: in a file, as an address of a database may hold a password.
_CONFIGURATION = """
raw_env = [{environment}]
def post_fork(server, worker):
    from django.conf import settings
    settings.ROOT_URLCONF = "sessions_app.management.bench_urls"
"""


@dataclass(frozen=True)
class _Round:
    a_second: float
    p99_ms: float


def webhook_figures() -> Iterator[Figure]:
    """Yield medians of three rounds, taken in turns so that both see the same machine."""
    organization = Organization.objects.create(slug="bench", name="Benchmark", is_sandbox=True)
    WebhookSecret.objects.create(organization=organization, kind="bearer", secret=_TOKEN)
    paths = {"minimal view": "/minimal/", "webhook": reverse("webhook", args=[organization.slug])}
    rounds: dict[str, list[_Round]] = {name: [] for name in paths}
    with _web_server() as port:
        for path in paths.values():
            _send(port, path, MESSAGES // 10)
        for _ in range(ROUNDS):
            for name, path in paths.items():
                rounds[name].append(_send(port, path, MESSAGES))
    for name in paths:
        yield Figure(f"{name}", statistics.median(one.a_second for one in rounds[name]), "messages/s")
        yield Figure(f"{name}, p99", statistics.median(one.p99_ms for one in rounds[name]), "ms")
    pairs = zip(rounds["webhook"], rounds["minimal view"], strict=True)
    ratio = statistics.median(ours.a_second / least.a_second for ours, least in pairs)
    yield Figure("webhook to minimal view", ratio * 100, "%")


@contextmanager
def _web_server() -> Iterator[int]:
    with closing(socket.socket()) as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
    environment = [f"DATABASE_URL={database_url()}", "DJANGO_SETTINGS_MODULE=vapiadmin.settings"]
    with tempfile.TemporaryDirectory() as folder:
        configuration = Path(folder, "gunicorn.conf.py")
        configuration.write_text(_CONFIGURATION.format(environment=", ".join(map(repr, environment))))
        process = subprocess.Popen(  # noqa: S603 - our own program
            [
                sys.executable, "-m", "gunicorn", "--config", str(configuration), *_SERVER,
                "--bind", f"127.0.0.1:{port}", "vapiadmin.wsgi:application",
            ],
            cwd=settings.BASE_DIR,
        )  # fmt: skip
        try:
            _await(port)
            yield port
        finally:
            process.terminate()
            process.wait(20)


def _await(port: int) -> None:
    for _ in range(100):
        with closing(socket.socket()) as tried:
            if tried.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise BenchmarkFailed("the web server did not start")


def _send(port: int, path: str, messages: int) -> _Round:
    numbers, times, failures = count(), list[float](), list[str]()

    def run() -> None:
        client = HTTPConnection("127.0.0.1", port, timeout=30)
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {_TOKEN}"}
        while next(numbers) < messages and not failures:
            body = _message()
            start = time.perf_counter()
            client.request("POST", path, body, headers)
            answer = client.getresponse()
            answer.read()
            times.append(time.perf_counter() - start)
            if answer.status != 200:
                failures.append(f"{path} answered {answer.status}")
        client.close()

    senders = [threading.Thread(target=run) for _ in range(_SENDERS)]
    start = time.perf_counter()
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    seconds = time.perf_counter() - start
    if failures or len(times) < messages:
        raise BenchmarkFailed(failures[0] if failures else f"{path} did not answer")
    return _Round(messages / seconds, sorted(times)[int(len(times) * 0.99)] * 1000)


_serial = count()
_TURN = "I would like to move my appointment on Thursday to the week after, if that is possible at all. " * 3


def _message() -> bytes:
    """A session of about 7 KB, with an address in it, so that secrets are looked for."""
    session = {
        "id": f"bench-{next(_serial)}",
        "orgId": "bench",
        "assistantId": "bench",
        "createdAt": "2026-01-01T00:00:00.000Z",
        "updatedAt": "2026-01-01T00:00:01.000Z",
        "cost": 0.0123,
        "messages": [{"role": "user", "content": _TURN} for _ in range(22)],
        "artifact": {"recordingUrl": "https://storage.example.com/one?signature=abc"},
    }
    return json.dumps({"message": {"type": "session.updated", "session": session}}).encode()
