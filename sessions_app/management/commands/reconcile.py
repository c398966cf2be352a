"""`manage.py reconcile`: proves now, in the foreground. The proof itself is mirror/reconcile.py."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from sessions_app.management.progress import Bars
from sessions_app.management.pulling import PullingCommand
from sessions_app.mirror.reconcile import reconcile_stream
from sessions_app.models import Organization, SyncRun
from sessions_app.models.runs import Stream


class Command(PullingCommand):
    help = "Prove that every session and chat of Vapi is here, repair what differs, mark what Vapi lost."
    streams = (Stream.SESSIONS, Stream.CHATS)
    done = "proven"

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--full", action="store_true", help="read every day whole, whatever its count")
        parser.add_argument(
            "--stamp-anyway",
            action="store_true",
            help="mark as missing whatever Vapi answers 404 for, however much it is",
        )

    def run_stream(
        self, organization: Organization, stream: Stream, options: dict[str, Any], bar: Bars
    ) -> SyncRun:
        return reconcile_stream(
            organization, stream, whole=options["full"], stamp_anyway=options["stamp_anyway"], progress=bar
        )

    def describe(self, run: SyncRun) -> str:
        return (
            f"{run.seen} read, {run.created} created, {run.updated} updated, {run.missing} marked as missing"
        )
