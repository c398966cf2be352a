"""`manage.py sync`: pulls now, in the foreground. The pull itself is mirror/sync.py."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from sessions_app.management.bootstrap import DEFAULT, bootstrap_default
from sessions_app.management.exits import FAILED, LEASE_TAKEN, USAGE, demand_migrated
from sessions_app.management.progress import Bars
from sessions_app.mirror.sync import LeaseTaken, sync_stream
from sessions_app.models import Organization, SyncRun
from sessions_app.models.runs import RunState, Stream

_IN_ORDER = (Stream.NAMES, Stream.SESSIONS, Stream.CHATS)


class Command(BaseCommand):
    help = "Pull sessions, chats and names from Vapi now."
    epilog = (
        "Exit: 0 all done, 1 failed or partial, 2 usage or configuration, 75 another run holds the lease."
    )

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        return super().create_parser(prog_name, subcommand, epilog=self.epilog, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--organization", metavar="SLUG", help="this one alone (default: all active)")
        parser.add_argument("--stream", choices=Stream.values, help="this one alone (default: all)")
        parser.add_argument("--full", action="store_true", help="walk everything, not only what was updated")
        parser.add_argument(
            "--since", type=_moment, metavar="WHEN", help="walk what was created from this ISO time on"
        )
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        demand_migrated()
        organizations = organizations_to_pull(options["organization"])
        streams = (Stream(options["stream"]),) if options["stream"] else _IN_ORDER
        runs, taken = self._pull(organizations, streams, options)
        if options["json"]:
            self.stdout.write(json.dumps({"runs": [describe_run(run) for run in runs]}))
        if any(run.state != RunState.SUCCEEDED for run in runs):
            raise CommandError("not everything was pulled.", returncode=FAILED)
        if taken:
            raise CommandError("another run holds the lease.", returncode=LEASE_TAKEN)

    def _pull(
        self, organizations: Sequence[Organization], streams: Sequence[Stream], options: dict[str, Any]
    ) -> tuple[list[SyncRun], bool]:
        """Pull stream by stream; one that fails or is taken keeps none of the others from being pulled."""
        runs: list[SyncRun] = []
        taken = False
        for organization in organizations:
            for stream in streams:
                try:
                    with Bars(f"{organization.slug} {stream}", sys.stderr) as bar:
                        run = sync_stream(
                            organization, stream, full=options["full"], since=options["since"], progress=bar
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
                f"{run.organization.slug} {run.stream}: {run.state}, {run.seen} seen, {run.created} created, "
                f"{run.updated} updated, {run.unchanged} unchanged, {run.quarantined} quarantined, "
                f"{seconds_of(run):.1f} s"
            )
        if run.error:
            self.stderr.write(f"{run.organization.slug} {run.stream}: {run.error}")


def describe_run(run: SyncRun) -> dict[str, object]:
    """The shape that other programs rely on."""
    return {
        "organization": run.organization.slug,
        "stream": run.stream,
        "kind": run.kind,
        "state": run.state,
        "seen": run.seen,
        "created": run.created,
        "updated": run.updated,
        "unchanged": run.unchanged,
        "quarantined": run.quarantined,
        "missing": run.missing,
        "seconds": round(seconds_of(run), 3),
        "error": run.error,
    }


def seconds_of(run: SyncRun) -> float:
    return (run.finished_at - run.started_at).total_seconds() if run.finished_at else 0.0


def organizations_to_pull(slug: str | None) -> list[Organization]:
    """Return the named one, or all active ones with a key. Raises CommandError where there is none."""
    if settings.VAPI_API_KEY and not Organization.objects.filter(is_sandbox=True).exists():
        bootstrap_default()
    if slug is None:
        return _with_keys(list(Organization.objects.active()))
    organization = Organization.objects.filter(slug=slug).first()
    if organization is None:
        raise CommandError(f"there is no organization {slug}.", returncode=USAGE)
    if not _key(organization):
        raise CommandError(f"{slug} has no API key.", returncode=USAGE)
    return [organization]


def _with_keys(organizations: list[Organization]) -> list[Organization]:
    found = [organization for organization in organizations if _key(organization)]
    if not found:
        raise CommandError(
            "there is nothing to pull from: set VAPI_API_KEY, or add an organization with "
            "`manage.py add_organization`, or try the demo with `make run`.",
            returncode=USAGE,
        )
    return found


def _key(organization: Organization) -> str:
    return settings.VAPI_API_KEY if organization.slug == DEFAULT else organization.api_key


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no ISO 8601 time, such as 2026-01-31") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
