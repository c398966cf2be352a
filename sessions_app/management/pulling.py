"""What `sync` and `reconcile` have in common: which organizations and streams, one run after another, what is said."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any, ClassVar

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from sessions_app.management.bootstrap import DEFAULT, bootstrap_default
from sessions_app.management.exits import FAILED, LEASE_TAKEN, USAGE, demand_migrated
from sessions_app.management.progress import Bars
from sessions_app.mirror.leases import LeaseTaken
from sessions_app.models import Organization, SyncRun
from sessions_app.models.runs import RunState, Stream


class PullingCommand(BaseCommand):
    """Makes a run of each stream of each organization and tells what became of it."""

    streams: ClassVar[Sequence[Stream]]
    # What a run does to a stream: pulled, proven.
    done: ClassVar[str]

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        epilog = (
            f"Exit: 0 all {self.done}, 1 failed or partial, 2 usage or configuration, "
            "75 another run holds the lease."
        )
        return super().create_parser(prog_name, subcommand, epilog=epilog, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--organization", metavar="SLUG", help="this one alone (default: all active)")
        parser.add_argument("--stream", choices=self.streams, help="this one alone (default: all)")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def run_stream(
        self, organization: Organization, stream: Stream, options: dict[str, Any], bar: Bars
    ) -> SyncRun:
        """Make one run. May raise LeaseTaken."""
        raise NotImplementedError

    def describe(self, run: SyncRun) -> str:
        """Return what the run did, in words."""
        raise NotImplementedError

    def handle(self, *args: Any, **options: Any) -> None:
        demand_migrated()
        runs, taken = self._run(*chosen(self.streams, options), options)
        if options["json"]:
            self.stdout.write(json.dumps({"runs": [describe_run(run) for run in runs]}))
        if any(run.state != RunState.SUCCEEDED for run in runs):
            raise CommandError(f"not everything was {self.done}.", returncode=FAILED)
        if taken:
            raise CommandError("another run holds the lease.", returncode=LEASE_TAKEN)

    def _run(
        self, organizations: Sequence[Organization], streams: Sequence[Stream], options: dict[str, Any]
    ) -> tuple[list[SyncRun], bool]:
        """Take stream by stream; one that fails or is taken keeps none of the others from its turn."""
        runs: list[SyncRun] = []
        taken = False
        for organization in organizations:
            for stream in streams:
                try:
                    with Bars(f"{organization.slug} {stream}", sys.stderr) as bar:
                        run = self.run_stream(organization, stream, options, bar)
                except LeaseTaken as holder:
                    taken = True
                    self.stderr.write(f"{organization.slug} {holder}")
                    continue
                runs.append(run)
                self._say(run, quiet=options["json"])
        return runs, taken

    def _say(self, run: SyncRun, *, quiet: bool) -> None:
        name = f"{run.organization.slug} {run.stream}"
        if not quiet:
            self.stdout.write(f"{name}: {run.state}, {self.describe(run)}, {seconds_of(run):.1f} s")
        if run.error:
            self.stderr.write(f"{name}: {run.error}")


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


def chosen(streams: Sequence[Stream], options: dict[str, Any]) -> tuple[list[Organization], Sequence[Stream]]:
    """Return the organizations and streams that the options name."""
    named = options["stream"]
    return organizations_to_pull(options["organization"]), (Stream(named),) if named else streams


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
