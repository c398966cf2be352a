"""`manage.py sync`: pulls now, in the foreground. The pull itself is mirror/sync.py."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import CommandError, CommandParser

from sessions_app.management.exits import USAGE, demand_migrated
from sessions_app.management.joiners import joiners
from sessions_app.management.progress import Bars
from sessions_app.management.pulling import PullingCommand, chosen
from sessions_app.mirror.backfill import help_backfill, is_one_writer_enough
from sessions_app.mirror.sync import sync_stream
from sessions_app.models import Organization, SyncRun
from sessions_app.models.runs import Stream


class Command(PullingCommand):
    help = "Pull sessions, chats and names from Vapi now."
    streams = (Stream.NAMES, Stream.SESSIONS, Stream.CHATS)
    done = "pulled"

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--full", action="store_true", help="walk everything, not only what was updated")
        parser.add_argument(
            "--since", type=_moment, metavar="WHEN", help="walk what was created from this ISO time on"
        )
        parser.add_argument(
            "--workers",
            type=_positive,
            default=1,
            metavar="N",
            help="walk a full sync's windows in N processes side by side (PostgreSQL)",
        )
        parser.add_argument(
            "--join",
            action="store_true",
            help="help full syncs that run elsewhere, on this machine or another, until none of their windows is free",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["workers"] > 1 and is_one_writer_enough():
            raise CommandError(
                "--workers needs PostgreSQL: SQLite has one writer at a time.", returncode=USAGE
            )
        if options["join"]:
            demand_migrated()
            _join(*chosen(self.streams, options))
            return
        super().handle(*args, **options)

    def run_stream(
        self, organization: Organization, stream: Stream, options: dict[str, Any], bar: Bars
    ) -> SyncRun:
        with joiners(options["workers"] - 1, organization, stream) as invite:
            return sync_stream(
                organization,
                stream,
                full=options["full"],
                since=options["since"],
                progress=bar,
                invite=invite,
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
