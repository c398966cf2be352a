"""`manage.py reconcile`: proves now, in the foreground. The proof itself is mirror/reconcile.py."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from sessions_app.management.commands.sync import describe_run, organizations_to_pull, seconds_of
from sessions_app.management.exits import FAILED, LEASE_TAKEN, demand_migrated
from sessions_app.management.progress import Bars
from sessions_app.mirror.reconcile import LeaseTaken, reconcile_stream
from sessions_app.models import Organization, SyncRun
from sessions_app.models.runs import RunState, Stream

_STREAMS = (Stream.SESSIONS, Stream.CHATS)


class Command(BaseCommand):
    help = "Prove that every session and chat of Vapi is here, repair what differs, mark what Vapi lost."
    epilog = (
        "Exit: 0 all proven, 1 failed or partial, 2 usage or configuration, 75 another run holds the lease."
    )

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        return super().create_parser(prog_name, subcommand, epilog=self.epilog, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--organization", metavar="SLUG", help="this one alone (default: all active)")
        parser.add_argument("--stream", choices=_STREAMS, help="this one alone (default: both)")
        parser.add_argument("--full", action="store_true", help="read every day whole, whatever its count")
        parser.add_argument(
            "--stamp-anyway",
            action="store_true",
            help="mark as missing whatever Vapi answers 404 for, however much it is",
        )
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        demand_migrated()
        organizations = organizations_to_pull(options["organization"])
        streams = (Stream(options["stream"]),) if options["stream"] else _STREAMS
        runs, taken = self._prove(organizations, streams, options)
        if options["json"]:
            self.stdout.write(json.dumps({"runs": [describe_run(run) for run in runs]}))
        if any(run.state != RunState.SUCCEEDED for run in runs):
            raise CommandError("not everything was proven.", returncode=FAILED)
        if taken:
            raise CommandError("another run holds the lease.", returncode=LEASE_TAKEN)

    def _prove(
        self, organizations: Sequence[Organization], streams: Sequence[Stream], options: dict[str, Any]
    ) -> tuple[list[SyncRun], bool]:
        """Prove stream by stream; one that fails or is taken keeps none of the others from being proven."""
        runs: list[SyncRun] = []
        taken = False
        for organization in organizations:
            for stream in streams:
                try:
                    with Bars(f"{organization.slug} {stream}", sys.stderr) as bar:
                        run = reconcile_stream(
                            organization,
                            stream,
                            whole=options["full"],
                            stamp_anyway=options["stamp_anyway"],
                            progress=bar,
                        )
                except LeaseTaken as holder:
                    taken = True
                    self.stderr.write(f"{organization.slug} {holder}")
                    continue
                runs.append(run)
                self._say(run, quiet=options["json"])
        return runs, taken

    def _say(self, run: SyncRun, *, quiet: bool) -> None:
        if not quiet:
            self.stdout.write(
                f"{run.organization.slug} {run.stream}: {run.state}, {run.seen} read, {run.created} created, "
                f"{run.updated} updated, {run.missing} marked as missing, {seconds_of(run):.1f} s"
            )
        if run.error:
            self.stderr.write(f"{run.organization.slug} {run.stream}: {run.error}")
