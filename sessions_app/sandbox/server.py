"""The socket side of the sandbox: reads requests, applies faults, sends answers; knows no rows."""

import json
import socket
import struct
import sys
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from sessions_app.sandbox.answers import Answer, emptied, error_answer, html_answer, miscounted
from sessions_app.sandbox.clock import Clock, write_us
from sessions_app.sandbox.control import PREFIX, Control
from sessions_app.sandbox.faults import SHAPING, Fault, Faults
from sessions_app.sandbox.journal import Entry, Journal
from sessions_app.sandbox.live import Live
from sessions_app.sandbox.options import BadOption, Options
from sessions_app.sandbox.organizations import make_organizations
from sessions_app.sandbox.routes import Request, answer
from sessions_app.sandbox.shaping import shape_of
from sessions_app.sandbox.webhooks import Target, Webhooks

_MOST_BODY = 64 * 1024 * 1024


class Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 1024

    def __init__(self, options: Options) -> None:
        self.clock = Clock(options.now)
        self.organizations = make_organizations(options, self.clock)
        self.faults = Faults(options.faults)
        self.journal = Journal()
        self.webhooks = Webhooks(self.clock, options.seed)
        if options.webhook:
            target = Target(options.webhook, options.webhook_auth, options.webhook_faults)
            self.webhooks.targets[options.keys[0]] = target
        for organization in self.organizations.values():
            organization.tell(self.webhooks.tell)
        self.control = Control(self.clock, self.organizations, self.faults, self.journal, self.webhooks)
        self.stopping = threading.Event()
        try:
            super().__init__((options.host, options.port), Handler)
        except OSError as error:
            raise BadOption(f"cannot listen on {options.host}:{options.port}: {error.strerror}") from None

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hung up is no news; anything else is a fault of the sandbox's own."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)


class Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def do_GET(self) -> None:
        self._serve()

    do_POST = do_PATCH = do_PUT = do_DELETE = do_HEAD = do_GET  # noqa: N815 - http.server calls them so

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        """The journal is the log."""

    def _serve(self) -> None:
        length = int(self.headers.get("content-length") or 0)
        if length > _MOST_BODY:
            self._send(error_answer(413, "request entity too large"))
            return
        path, _, query = self.path.partition("?")
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(self.command, path, query, headers, self.rfile.read(length))
        if path.startswith(PREFIX):
            self._send(self._controlled(request))
            return
        entry = self._write_down(request)
        self._finish(entry, *self._carried_out(request, entry))

    def _controlled(self, request: Request) -> Answer:
        if self.client_address[0] not in ("127.0.0.1", "::1", "::ffff:127.0.0.1"):
            return error_answer(403, "the control plane answers loopback only")
        return self.server.control.answer(request)

    def _write_down(self, request: Request) -> Entry:
        server, organization = self.server, self.server.organizations.get(request.key)
        at = write_us(server.clock.now_us())
        return server.journal.open(
            at, request.method, request.path, request.query, _journal_body(request.body), request.key,
            organization.org_id if organization else "",
        )  # fmt: skip

    def _carried_out(self, request: Request, entry: Entry) -> tuple[Answer, Fault | None]:
        faults = self.server.faults.hitting(request.method, request.path, request.key)
        entry.fault = ",".join(fault.kind for fault in faults)
        deciding = None
        for fault in faults:
            if fault.kind == "latency":
                time.sleep(fault.number("ms", 50) / 1000)
            elif fault.kind not in SHAPING:
                deciding = fault
        refused = None if deciding is None else self._refusal(deciding)
        shape = shape_of(faults)
        if deciding is not None and deciding.kind == "twice":
            answer(request, self.server.organizations, shape)
        return refused or answer(request, self.server.organizations, shape), deciding

    def _refusal(self, fault: Fault) -> Answer | None:
        """An answer in place of carrying the request out."""
        if fault.kind == "html200":
            return html_answer(200)
        if fault.kind == "html":
            return html_answer(int(fault.number("status", 502)))
        if not fault.kind.isdigit():
            return None
        refused = error_answer(int(fault.kind), fault.word("message", "The sandbox was told to refuse this"))
        if fault.kind == "429" or "retry_after" in fault.settings:
            refused.headers |= self._retry_after(fault)
        return refused

    def _retry_after(self, fault: Fault) -> dict[str, str]:
        seconds = fault.number("retry_after", 1)
        if fault.number("none", 0):
            return {}
        return {
            "Retry-After": self.server.clock.http_date(seconds) if fault.number("date", 0) else f"{seconds:g}"
        }

    def _finish(self, entry: Entry, found: Answer, fault: Fault | None) -> None:
        entry.bytes = len(found.body)
        kind = "" if fault is None else fault.kind
        if kind == "lost":
            return self._hang_up()
        entry.status = found.status
        if kind == "reset":
            self._send(found, body=found.body[: len(found.body) // 2])
            return self._reset()
        if kind == "truncated":
            found.body = found.body[: len(found.body) // 2]
        if kind == "empty":
            found.body = emptied(found.body)
        if kind == "miscount" and fault is not None:
            found.body = miscounted(found.body, int(fault.number("by", 1)))
        if kind == "timeout" and fault is not None:
            self.server.stopping.wait(fault.number("seconds", 60))
        return self._send(found)

    def _send(self, found: Answer, body: bytes | None = None) -> None:
        self.send_response_only(found.status)
        headers = {"Date": self.server.clock.http_date(), "Content-Type": found.content_type, **found.headers}
        headers["Content-Length"] = str(len(found.body))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(found.body if body is None else body)
        self.wfile.flush()

    def _hang_up(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def _reset(self) -> None:
        """Closing with a linger of zero sends RST instead of FIN."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()


def _journal_body(body: bytes) -> object:
    try:
        return json.loads(body) if body else None
    except ValueError:
        return body.decode("utf-8", "replace")


@dataclass(slots=True)
class RunningSandbox:
    """A sandbox that serves from its own thread until stop()."""

    url: str
    server: Server
    thread: threading.Thread

    def stop(self) -> None:
        self.server.stopping.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(5)


def start(options: Options) -> RunningSandbox:
    """Serve in the background; BadOption where an option or the port cannot be used."""
    server = Server(options)
    host, port = server.server_address[:2]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
    thread.start()
    server.webhooks.start()
    if options.live:
        Live(server.organizations, server.stopping, options.seed).start()
    shown = str(host) if ":" not in str(host) else f"[{host!s}]"
    return RunningSandbox(f"http://{shown}:{port}", server, thread)
