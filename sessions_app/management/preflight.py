"""What must be so before anything is started; each failure is one clear line."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import socket
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import IO

from sessions_app.management.processes import DidNotStart
from sessions_app.vapi.client import Listing, VapiClient
from sessions_app.vapi.errors import Refused, Unavailable, VapiError

# Processes of a supervisor that was killed may hold the port a moment longer.
_PORT_SECONDS = 5.0


def take_lock(var: Path, url: str) -> IO[str]:
    """Return the lock that shows that one supervisor runs here; it goes with the process. Raises DidNotStart."""
    lock = (var / "run.lock").open("a+")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise DidNotStart(f"this vapiadmin already runs{_holder(lock)}.") from None
    lock.truncate(0)
    lock.write(json.dumps({"pid": os.getpid(), "url": url}))
    lock.flush()
    return lock


def _holder(lock: IO[str]) -> str:
    lock.seek(0)
    try:
        told = json.loads(lock.read())
    except ValueError:
        return ""
    return f" (process {told['pid']}) at {told['url']}"


def check_folder(var: Path) -> None:
    """Raise DidNotStart unless files can be written below `var`."""
    try:
        (var / "log").mkdir(parents=True, exist_ok=True)
        for folder in (var, var / "log"):
            with tempfile.TemporaryFile(dir=folder):
                pass
    except OSError as error:
        raise DidNotStart(
            f"cannot write to {var}: {error.strerror}. Make the folder writable or set VAR_DIR to one that is."
        ) from None


def check_port(port: int) -> None:
    """Raise DidNotStart when somebody else listens on the port."""
    deadline = time.monotonic() + _PORT_SECONDS
    while True:
        with closing(socket.socket()) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind(("127.0.0.1", port))
                return
            except OSError as error:
                reason = error
        if reason.errno != errno.EADDRINUSE or time.monotonic() > deadline:
            words = "is taken" if reason.errno == errno.EADDRINUSE else f"cannot be used ({reason.strerror})"
            raise DidNotStart(f"port {port} {words}: set PORT to another one, as in `PORT=8001 make run`.")
        time.sleep(0.25)


def check_vapi(base_url: str, key: str) -> None:
    """Raise DidNotStart unless Vapi takes the key. Asks for one session."""
    try:
        with VapiClient(base_url, key) as client:
            client.list_sessions(Listing(limit=1))
    except Refused as refused:
        # A refusal without words is some proxy's page.
        if refused.status == 404 or not refused.words:
            raise _not_vapi(base_url, str(refused.status)) from None
        raise DidNotStart(
            f"Vapi at {base_url} refused VAPI_API_KEY ({refused.status}): use the organization's private key."
        ) from None
    except Unavailable as unavailable:
        if unavailable.kind == "bad_body" or 300 <= (unavailable.status or 0) < 400:
            raise _not_vapi(base_url, str(unavailable.status or "something unreadable")) from None
        if unavailable.kind != "rate_limited":
            raise DidNotStart(
                f"Vapi at {base_url} cannot be reached ({unavailable.kind}): check the network and VAPI_BASE_URL."
            ) from None
    except VapiError as error:
        raise DidNotStart(f"Vapi at {base_url}: {error}.") from None


def _not_vapi(base_url: str, answer: str) -> DidNotStart:
    return DidNotStart(
        f"VAPI_BASE_URL does not look like Vapi: {base_url} answered, but not as Vapi does ({answer})."
        " Vapi's address is https://api.vapi.ai, in Europe https://api.eu.vapi.ai."
    )
