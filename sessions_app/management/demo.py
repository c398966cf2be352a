"""The demo's simulated Vapi: the same rows at every start, and what changed in earlier ones put back."""

from __future__ import annotations

import fcntl
import json
import socket
import sys
import tempfile
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

import requests
from django.conf import settings
from django.urls import reverse

from sessions_app.management.bootstrap import SANDBOX, SANDBOX_KEY
from sessions_app.management.processes import Child, wait_until
from sessions_app.models import Chat, Session, WebhookSecret
from sessions_app.models.webhooks import SecretKind

PORT = 8100
SESSIONS = 388
# Conversations of the first start, which messages tell of. One message in ten is lost on its way, as real ones may be.
FIRST_CONVERSATIONS = 12
WEBHOOK_FAULTS = "lost=0.1"
_ROWS_AT_ONCE = 200


class Demo:
    """Where the simulated Vapi listens and what it was first started with (kept in var/sandbox.json)."""

    def __init__(self, var: Path) -> None:
        # Kept as long as this lives: a second demo that starts meanwhile takes another port.
        self._claim = _claim_port()
        self.url = f"http://127.0.0.1:{_free_port((PORT, 0) if self._claim else (0,))}"
        self._state = var / "sandbox.json"
        self.first_started_at = _first_start(self._state)

    def child(self, log: Path, *, live: bool) -> Child:
        command: list[str | Path] = [
            sys.executable,
            "-m",
            "sessions_app.sandbox",
            f"--port={self.url.rpartition(':')[2]}",
        ]
        command += [f"--now={self.first_started_at.isoformat()}", f"--sessions={SESSIONS}"]
        command += [f"--key={SANDBOX_KEY}", *(["--live"] if live else [])]
        return Child("sandbox", command, settings.BASE_DIR, log, on_start=self._prepare)

    def _prepare(self, child: Child) -> None:
        wait_until(self._answers, child)
        # Its rows are spread up to its first start, which `--now` says; from here on it has our time.
        self._control("clock", {"now": datetime.now(UTC).isoformat()})
        self._put_back("sessions", Session)
        self._put_back("chats", Chat)
        # Last: what is put back is no news.
        self._send_messages()

    def _send_messages(self) -> None:
        """Let it tell of changes by webhook, as Vapi would."""
        secret = WebhookSecret.objects.filter(
            organization__slug=SANDBOX, kind=SecretKind.HMAC, retired_at=None
        )
        key = secret.order_by("pk").values_list("secret", flat=True).first()
        if key:
            address = f"http://127.0.0.1:{settings.PORT}{reverse('webhook', args=[SANDBOX])}"
            target = {"url": address, "auth": f"hmac:key={key}", "faults": WEBHOOK_FAULTS}
            self._control("webhooks", {"key": SANDBOX_KEY, **target})

    def begin(self) -> None:
        """At the first start, once messages can be taken, let a few conversations take place."""
        state = json.loads(self._state.read_text())
        if not state.get("has_begun"):
            self._control("conversations", {"key": SANDBOX_KEY, "count": FIRST_CONVERSATIONS})
            self._state.write_text(json.dumps(state | {"has_begun": True}))

    def _answers(self) -> bool:
        try:
            return requests.get(f"{self.url}/_sandbox/stats", timeout=5).ok
        except requests.RequestException:
            return False

    def _put_back(self, kind: str, model: type[Session | Chat]) -> None:
        """It keeps nothing itself: rows that changed since its first start are still in our mirror."""
        changed = model.objects.filter(
            organization__slug=SANDBOX, updated_at__gt=self.first_started_at, missing_since=None
        )
        ids = list(changed.order_by("created_at", "id").values_list("pk", flat=True))
        for start in range(0, len(ids), _ROWS_AT_ONCE):
            rows = _payloads(model, ids[start : start + _ROWS_AT_ONCE])
            self._control(kind, {"key": SANDBOX_KEY, "rows": rows})

    def _control(self, topic: str, body: object) -> None:
        requests.post(f"{self.url}/_sandbox/{topic}", json=body, timeout=30).raise_for_status()


def _payloads(model: type[Session | Chat], ids: Sequence[str]) -> list[dict[str, object]]:
    found = model.objects.filter(pk__in=ids).values_list("pk", "stored_payload__payload_json")
    return [{"id": pk, "fields": json.loads(text), "touch": False} for pk, text in found if text]


def _first_start(path: Path) -> datetime:
    """The moment of the first start, remembered: seeded rows hang on it and may not move."""
    if not path.is_file():
        path.write_text(json.dumps({"first_started_at": datetime.now(UTC).isoformat()}))
    return datetime.fromisoformat(json.loads(path.read_text())["first_started_at"])


def _claim_port() -> TextIO | None:
    """Claim 8100 among all demos of this machine; None where another one has it.

    Looking whether the port is free is not enough: the simulated Vapi listens there only seconds later.
    """
    try:
        claim = (Path(tempfile.gettempdir()) / f"vapiadmin-{PORT}.lock").open("a")
    except OSError:
        return None
    try:
        fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        claim.close()
        return None
    return claim


def _free_port(ports: Sequence[int]) -> int:
    """The first free one; 0 stands for any."""
    for port in ports:
        with closing(socket.socket()) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(listener.getsockname()[1])
    return PORT
