"""The sandbox's command line, whoever calls it; knows nothing of Django."""

import argparse
import signal
import sys
import threading
from collections.abc import Mapping
from pathlib import Path

from sessions_app.sandbox.faults import HELP as FAULT_HELP
from sessions_app.sandbox.options import DEFAULT_KEYS, Options, parse_now
from sessions_app.sandbox.server import start
from sessions_app.sandbox.webhooks import HELP as WEBHOOK_HELP

ABOUT = "Serve a simulated Vapi on this machine: the same sessions, chats and costs for the same seed."
HELP = FAULT_HELP + WEBHOOK_HELP


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--port", type=int, default=8100, help="0 takes a free one (default 8100)")
    parser.add_argument("--host", default="127.0.0.1", help="default 127.0.0.1")
    parser.add_argument("--sessions", type=int, default=400, metavar="N", help="of each organization (400)")
    parser.add_argument(
        "--chats", type=int, default=2, metavar="N", help="for each session on average: 2 or 3 (2)"
    )
    parser.add_argument("--seed", default="vapiadmin", metavar="S", help="other seed, other rows")
    parser.add_argument(
        "--conversations", type=Path, metavar="FILE", help="JSON Lines of messages, plain or .gz"
    )
    parser.add_argument("--faults", default="", metavar="SPEC", help="see below")
    parser.add_argument("--live", action="store_true", help="let new sessions and turns arrive")
    parser.add_argument(
        "--key", action="append", metavar="KEY", help="one organization for each (two by default)"
    )
    parser.add_argument(
        "--now", default="", metavar="ISO", help="the sandbox's time at its start (default: now)"
    )
    parser.add_argument(
        "--webhook", default="", metavar="URL", help="where server messages are sent, see below"
    )
    parser.add_argument("--webhook-auth", default="", metavar="SPEC")
    parser.add_argument("--webhook-faults", default="", metavar="SPEC")
    parser.add_argument(
        "--days", type=int, default=30, metavar="N", help="over which sessions are spread (30)"
    )
    parser.add_argument(
        "--remember",
        type=int,
        default=0,
        metavar="N",
        help="keep the JSON of so many sessions and chats of each organization in memory, about 7 KB for a "
        "session, so that whoever is measured has the processor (0)",
    )


def serve(given: Mapping[str, object]) -> None:
    """Serve until SIGTERM or SIGINT, and say where. Raises BadOption."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    running = start(_options(given))
    lines = [f"Sandbox ready at {running.url}", *(f"Key: {key}" for key in running.server.organizations)]
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()
    stop.wait()
    running.stop()


def _options(given: Mapping[str, object]) -> Options:
    conversations, keys, now = given["conversations"], given["key"], str(given["now"])
    return Options(
        host=str(given["host"]),
        port=int(str(given["port"])),
        sessions=int(str(given["sessions"])),
        chats=int(str(given["chats"])),
        seed=str(given["seed"]),
        conversations=conversations if isinstance(conversations, Path) else None,
        faults=str(given["faults"]),
        live=bool(given["live"]),
        keys=tuple(str(key) for key in keys) if isinstance(keys, list) else DEFAULT_KEYS,
        now=parse_now(now) if now else None,
        days=int(str(given["days"])),
        remember=int(str(given["remember"])),
        webhook=str(given["webhook"]),
        webhook_auth=str(given["webhook_auth"]),
        webhook_faults=str(given["webhook_faults"]),
    )
