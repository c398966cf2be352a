"""Server messages of the simulated Vapi: one for each change of a row, signed as asked for, and delivered as badly.

As at Vapi there is no chat.updated, a new chat's message comes before its output and cost, and what is not taken at
the first try is not sent again. Knows no rows.
"""

import base64
import hmac
import json
import queue
import random
import threading
import time
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from urllib.parse import urlsplit
from uuid import uuid4

from sessions_app.sandbox.clock import Clock
from sessions_app.sandbox.conversations import dump
from sessions_app.sandbox.options import BadOption
from sessions_app.sandbox.sessions import SIGNED_ANEW
from sessions_app.sandbox.store import Payload

_TIMEOUT_SECONDS = 20
# With `shuffle`, messages that come within this time of each other are sent in any order.
_GATHER_SECONDS = 0.1
_NOT_THERE_YET = ("output", "cost", "costs")

HELP = """
server messages (--webhook URL, of the first key's organization):
  --webhook-auth  bearer:token=T,header=Authorization,prefix=Bearer   secret:token=T (X-Vapi-Secret)
                  hmac:key=K,algorithm=sha256,encoding=hex,prefix=,signature_header=x-signature,
                  timestamp_header=x-timestamp,payload_format={timestamp}.{body},id_header=
  --webhook-faults lost=0.1,twice=0.1,shuffle=1   shares of messages never sent, sent twice; shuffle: disorder
"""


def _settings(text: str) -> dict[str, str]:
    pairs = [part.partition("=") for part in text.split(",") if part.strip()]
    if not all(equals for _, equals, _ in pairs):
        raise BadOption(f"{text!r} is not name=value,...")
    return {name.strip(): value for name, _, value in pairs}


@dataclass(frozen=True)
class Target:
    """Where an organization's messages go and how they prove who sends them."""

    url: str
    auth: str = ""
    faults: str = ""
    # Only these assistants opted in; without any, all.
    assistants: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if urlsplit(self.url).scheme not in ("http", "https") or not urlsplit(self.url).hostname:
            raise BadOption(f"--webhook {self.url!r} is no address")
        try:
            _ = self.shares, self.headers(b"")
        except (KeyError, ValueError) as error:
            raise BadOption(f"--webhook-auth or --webhook-faults: {error}") from None

    @property
    def shares(self) -> dict[str, float]:
        shares = {name: float(value) for name, value in _settings(self.faults).items()}
        if not set(shares) <= {"lost", "twice", "shuffle"}:
            raise BadOption("--webhook-faults takes lost, twice and shuffle")
        return shares

    def headers(self, body: bytes) -> dict[str, str]:
        kind, _, rest = self.auth.partition(":")
        given = _settings(rest)
        match kind:
            case "":
                return {}
            case "bearer":
                words = (given.get("prefix", "Bearer"), given["token"])
                return {given.get("header", "Authorization"): " ".join(filter(None, words))}
            case "secret":
                return {"X-Vapi-Secret": given["token"]}
            case "hmac":
                return self._signed(body, given)
        raise BadOption("--webhook-auth begins with bearer:, secret: or hmac:")

    def _signed(self, body: bytes, given: dict[str, str]) -> dict[str, str]:
        # The machine's time, whatever the sandbox's clock says: a signature is judged by it.
        timestamp, message_id = str(int(time.time())), f"msg_{uuid4().hex}"
        form = given.get("payload_format", "{timestamp}.{body}")
        form = form.replace("{timestamp}", timestamp).replace("{svix-id}", message_id)
        before, found, after = form.replace("{method}", "POST").replace("{url}", self.url).partition("{body}")
        text = before.encode() + (body if found else b"") + after.encode()
        digest = hmac.digest(given["key"].encode(), text, given.get("algorithm", "sha256"))
        encoded = base64.b64encode(digest).decode() if given.get("encoding") == "base64" else digest.hex()
        headers = {
            given.get("signature_header", "x-signature"): given.get("prefix", "") + encoded,
            given.get("timestamp_header", "x-timestamp"): timestamp,
        }
        return headers | ({given["id_header"]: message_id} if given.get("id_header") else {})


@dataclass(frozen=True, slots=True)
class Message:
    target: Target
    kind: str
    id_: str
    body: bytes


@dataclass(slots=True)
class Webhooks:
    """Sends from a thread of its own what organizations tell it. `seed` decides which messages meet a fault."""

    clock: Clock
    seed: str
    targets: dict[str, Target] = field(default_factory=dict)
    sent: list[Payload] = field(default_factory=list)
    _queue: queue.SimpleQueue[Message] = field(default_factory=queue.SimpleQueue)
    _waiting: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _chance: random.Random = field(default_factory=random.Random)

    def start(self) -> None:
        self._chance.seed(self.seed)
        threading.Thread(target=self._run, name="sandbox-webhooks", daemon=True).start()

    def reset(self) -> None:
        with self._lock:
            self.targets.clear()
            self.sent.clear()
        self._chance.seed(self.seed)

    def report(self) -> Payload:
        with self._lock:
            return {"waiting": self._waiting, "sent": list(self.sent)}

    def tell(self, key: str, stream: str, what: str, payload: Payload) -> None:
        """A row was created, updated or deleted."""
        target = self.targets.get(key)
        opted_in = target is not None and (
            not target.assistants or payload.get("assistantId") in target.assistants
        )
        if target is None or not opted_in or (stream == "chat" and what == "updated"):
            return
        kind = f"{stream}.{what}"
        if kind == "chat.created":
            payload = {name: value for name, value in payload.items() if name not in _NOT_THERE_YET}
        self._put(Message(target, kind, str(payload.get("id")), self._body(kind, stream, payload)))

    def _body(self, kind: str, stream: str, payload: Payload) -> bytes:
        start = json.dumps({"type": kind, "timestamp": self.clock.now_us() // 1000})[:-1]
        row = dump(payload).replace(SIGNED_ANEW, uuid4().hex.encode())
        return f'{{"message": {start}, "{stream}": '.encode() + row + b"}}"

    def _put(self, message: Message) -> None:
        with self._lock:
            self._waiting += 1
        self._queue.put(message)

    def _run(self) -> None:
        while True:
            for message in self._gathered():
                self._deliver(message)
                with self._lock:
                    self._waiting -= 1

    def _gathered(self) -> list[Message]:
        messages = [self._queue.get()]
        if messages[0].target.shares.get("shuffle"):
            time.sleep(_GATHER_SECONDS)
            while not self._queue.empty():
                messages.append(self._queue.get())
            self._chance.shuffle(messages)
        return messages

    def _deliver(self, message: Message) -> None:
        shares = message.target.shares
        if self._chance.random() < shares.get("lost", 0):
            self._note(message, None)
            return
        for _ in range(2 if self._chance.random() < shares.get("twice", 0) else 1):
            self._note(message, _post(message))

    def _note(self, message: Message, status: int | None) -> None:
        """Status 0: nobody answered; None: lost on purpose."""
        with self._lock:
            self.sent.append({"type": message.kind, "id": message.id_, "status": status})


def _post(message: Message) -> int:
    target = message.target
    parts = urlsplit(target.url)
    kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=_TIMEOUT_SECONDS)
    path = parts.path + (f"?{parts.query}" if parts.query else "")
    headers = {"Content-Type": "application/json", **target.headers(message.body)}
    try:
        connection.request("POST", path or "/", message.body, headers)
        return connection.getresponse().status
    except (OSError, HTTPException):
        return 0
    finally:
        connection.close()
