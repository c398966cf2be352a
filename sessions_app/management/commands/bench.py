"""`manage.py bench`: how fast a sync and the pages are, on this machine and this database."""

from __future__ import annotations

import json
from collections.abc import Iterator
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
from sessions_app.management.webhook_benchmark import webhook_figures


class Command(BaseCommand):
    help = "Measure syncs and pages on a database made for it, against a simulated Vapi."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("part", nargs="?", choices=("webhooks",), help="this alone")
        parser.add_argument("--sessions", type=int, default=20_000)
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        figures: list[Figure] = []
        try:
            with scratch_database():
                for figure in _measure(options):
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


def _measure(options: dict[str, Any]) -> Iterator[Figure]:
    if options["part"] == "webhooks":
        yield from webhook_figures()
        return
    with sandbox(options["sessions"]) as organization:
        yield from sync_figures(organization)
        yield from page_figures()
