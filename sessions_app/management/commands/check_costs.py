"""`manage.py check_costs`: hold the daily sums against the rows they stand for."""

from __future__ import annotations

import json as jsonlib
import sys
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from tqdm import tqdm

from sessions_app.costs.rebuild import Difference, check_rollup
from sessions_app.management.commands.rebuild_rollups import organizations_named
from sessions_app.management.exits import FAILED, demand_migrated

_SHOWN = 20


class Command(BaseCommand):
    help = "Compare the daily sums of costs with the cost lines. Exit 1 where they differ."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--organization", metavar="SLUG", help="only this one")
        parser.add_argument("--json", action="store_true", help="print one object: {checks: [...]}")

    def handle(self, *, organization: str | None, json: bool, **_: object) -> None:
        demand_migrated()
        chosen = organizations_named(organization)
        bar = tqdm(chosen, unit="organization", desc="Checking", disable=json or None, leave=False)
        checks = {each.slug: check_rollup(each) for each in bar}
        if json:
            self.stdout.write(jsonlib.dumps({"checks": [_as_json(*check) for check in checks.items()]}))
        else:
            for slug, differences in checks.items():
                self._say(slug, differences)
        if any(checks.values()):
            sys.exit(FAILED)

    def _say(self, slug: str, differences: list[Difference]) -> None:
        if not differences:
            self.stdout.write(f"{slug}: the daily sums equal their rows.")
            return
        self.stdout.write(f"{slug}: {len(differences):,} differences. `rebuild_rollups` makes the sums anew.")
        for each in differences[:_SHOWN]:
            where = ", ".join(f"{name} {value}" for name, value in each.where.items() if value)
            self.stdout.write(f"  {each.what}: {where}: stored {each.stored}, rows say {each.found}")
        if len(differences) > _SHOWN:
            self.stdout.write(f"  and {len(differences) - _SHOWN:,} more (--json has all)")


def _as_json(slug: str, differences: list[Difference]) -> dict[str, Any]:
    return {"organization": slug, "differences": [asdict(each) for each in differences]}
