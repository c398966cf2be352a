"""`manage.py sync`: pulls now, in the foreground. The pull itself is mirror/sync.py."""

from __future__ import annotations

import argparse
import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db import connection

from sessions_app.management.exits import USAGE, demand_migrated
from sessions_app.management.joiners import Joiners, joiners
from sessions_app.management.progress import Bars
from sessions_app.management.pulling import PullingCommand, chosen
from sessions_app.mirror.backfill import help_backfill
from sessions_app.mirror.sync import sync_stream
from sessions_app.mirror.writer import is_one_writer_enough
from sessions_app.models import Organization, SyncRun
from sessions_app.models.runs import Stream
from sessions_app.vapi.reader import processors

_MOST_WORKERS = 4


class Command(PullingCommand):
    help = "Pull sessions, chats and names from Vapi now."
    streams = (Stream.NAMES, Stream.SESSIONS, Stream.CHATS)
    done = "pulled"
    _joiners: Joiners
    _workers: int

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--full", action="store_true", help="walk everything, not only what was updated")
        parser.add_argument(
            "--since", type=_moment, metavar="WHEN", help="walk what was created from this ISO time on"
        )
        parser.add_argument(
            "--workers",
            type=_positive,
            metavar="N",
            help=f"walk a full sync's windows in N processes side by side (PostgreSQL; default: one for each"
            f" processor, at most {_MOST_WORKERS}, with --full, else 1)",
        )
        parser.add_argument(
            "--join",
            action="store_true",
            help="help full syncs that run elsewhere, on this machine or another, until none of their windows is free",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        workers = options["workers"] or usual_workers(options)
        if workers > 1 and is_one_writer_enough():
            raise CommandError(
                "--workers needs PostgreSQL: SQLite has one writer at a time.", returncode=USAGE
            )
        if options["join"]:
            demand_migrated()
            _join(*chosen(self.streams, options))
            return
        self._workers = workers
        with joiners(workers - 1) as self._joiners:
            super().handle(*args, **options)

    def run_stream(
        self, organization: Organization, stream: Stream, options: dict[str, Any], bar: Bars
    ) -> SyncRun:
        return sync_stream(
            organization,
            stream,
            full=options["full"],
            since=options["since"],
            progress=bar,
            invite=self._joiners.invite(organization, stream),
            workers=self._workers,
        )

    def describe(self, run: SyncRun) -> str:
        return (
            f"{run.seen} seen, {run.created} created, {run.updated} updated, {run.unchanged} unchanged, "
            f"{run.quarantined} quarantined"
        )


def _join(organizations: Sequence[Organization], streams: Sequence[Stream]) -> None:
    for organization in organizations:
        for stream in streams:
            help_backfill(organization, stream)


def usual_workers(options: dict[str, Any]) -> int:
    """More than one only where a full sync was asked for and this process has nothing else under way."""
    is_alone = threading.active_count() == 1 and not connection.in_atomic_block
    if not options["full"] or is_one_writer_enough() or not is_alone:
        return 1
    return min(_MOST_WORKERS, processors())


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 on")
    return int(text)


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no ISO 8601 time, such as 2026-01-31") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
