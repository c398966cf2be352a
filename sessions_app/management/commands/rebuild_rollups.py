"""`manage.py rebuild_rollups`: make the daily sums of costs anew from the cost lines."""

from __future__ import annotations

import json as jsonlib

from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from sessions_app.costs.rebuild import rebuild_rollup
from sessions_app.management.exits import USAGE, demand_migrated
from sessions_app.models import Organization


class Command(BaseCommand):
    help = "Make the daily sums of costs anew from the cost lines, in each organization's report time zone."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--organization", metavar="SLUG", help="only this one")
        parser.add_argument("--json", action="store_true", help="print one object: {rollups: [...]}")

    def handle(self, *, organization: str | None, json: bool, **_: object) -> None:
        demand_migrated()
        chosen = organizations_named(organization)
        bar = tqdm(chosen, unit="organization", desc="Rebuilding", disable=json or None, leave=False)
        rebuilt = [{"organization": each.slug, "rows": rebuild_rollup(each)} for each in bar]
        if json:
            self.stdout.write(jsonlib.dumps({"rollups": rebuilt}))
            return
        for each in rebuilt:
            self.stdout.write(f"{each['organization']}: {each['rows']:,} daily sums")


def organizations_named(slug: str | None) -> list[Organization]:
    """Return the organization of that slug, or all of them; a usage error where there is none."""
    found = list(Organization.objects.filter(slug=slug) if slug else Organization.objects.all())
    if slug and not found:
        raise CommandError(f"there is no organization {slug!r}.", returncode=USAGE)
    return found
