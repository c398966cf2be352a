"""`manage.py bench`: how fast a sync and the pages are, on this machine and this database."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection

from sessions_app.management.benchmarks import (
    BenchmarkFailed,
    Figure,
    page_figures,
    sandbox,
    scratch_database,
    sync_figures,
)


class Command(BaseCommand):
    help = "Measure syncs and pages on a database made for it, against a simulated Vapi."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--sessions", type=int, default=20_000)
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        figures: list[Figure] = []
        try:
            with scratch_database(), sandbox(options["sessions"]) as organization:
                for group in (sync_figures(organization), page_figures()):
                    for figure in group:
                        figures.append(figure)
                        if not options["json"]:
                            self._print(figure)
        except BenchmarkFailed as problem:
            raise CommandError(str(problem)) from None
        if options["json"]:
            self.stdout.write(
                json.dumps(
                    {
                        "database": connection.vendor,
                        "sessions": options["sessions"],
                        "figures": [vars(figure) for figure in figures],
                    }
                )
            )

    def _print(self, figure: Figure) -> None:
        self.stdout.write(f"{connection.vendor:11} {figure.name:34} {figure.value:10,.1f} {figure.unit}")
