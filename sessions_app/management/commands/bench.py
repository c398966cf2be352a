"""`manage.py bench`: how fast a sync and the pages are, on this machine and this database."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection

from sessions_app.management.benchmarks import (
    BenchmarkFailed,
    Figure,
    addresses,
    page_figures,
    sandbox,
    scratch_database,
    sync_figures,
)
from sessions_app.management.edit_benchmark import edit_figures
from sessions_app.management.filling import fill
from sessions_app.management.fresh_benchmark import fresh_figures
from sessions_app.management.kill_benchmark import kill_figures
from sessions_app.management.list_benchmark import list_addresses
from sessions_app.management.machine import machine
from sessions_app.management.sync_benchmark import ROUNDS, growth_figures, sync_comparison
from sessions_app.management.webhook_benchmark import webhook_figures
from sessions_app.mirror.writer import is_one_writer_enough
from sessions_app.models import Organization

_PARTS = ("sync", "pages", "webhooks", "edits", "kills", "fresh")
# Sessions that are present when growth is first looked at.
_FEW = 10_000


class Command(BaseCommand):
    help = "Measure syncs and pages on a database made for it, against a simulated Vapi."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("part", nargs="?", choices=_PARTS, help="this alone")
        parser.add_argument("--sessions", type=int, default=20_000)
        parser.add_argument("--edits", type=int, default=5_000, help="of the bulk (edits)")
        parser.add_argument(
            "--workers",
            type=int,
            default=4,
            help="of the full sync that is killed (kills), or that share one; 1: not measured (sync; PostgreSQL)",
        )
        parser.add_argument("--times", type=int, default=3, help="how often it is killed (kills)")
        group = parser.add_argument_group(
            "sync",
            "Compares (a) download and parse, (b) bare COPY or executemany of the rows that a sync stores, by as "
            "many in a transaction, (c) a full sync, (d) a full sync again with nothing and with 1 %% changed.",
        )
        group.add_argument("--rounds", type=int, default=ROUNDS, help="of which medians are taken (3)")
        group.add_argument(
            "--latency", type=int, default=50, metavar="MS", help="of each request; 0: none (50)"
        )
        group.add_argument(
            "--growth",
            action="store_true",
            help="instead: one sync of all --sessions (1000000, say), its rate with 10,000 and with all of them "
            "present, and its memory",
        )
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        figures: list[Figure] = []
        try:
            with scratch_database():
                on = machine()
                if not options["json"]:
                    self.stdout.write(on)
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
                        "machine": on,
                        "sessions": options["sessions"],
                        "figures": [vars(figure) for figure in figures],
                    }
                )
            )

    def _print(self, figure: Figure) -> None:
        amount = f"{figure.value:10,.1f} {figure.unit}"
        if figure.goal is not None:
            verdict = "" if figure.value >= figure.goal else ", missed"
            amount = f"{figure.value:10.2f} (goal {figure.goal:.2f}{verdict})"
        self.stdout.write(f"{connection.vendor:11} {figure.name:44} {amount}")


def _measure(options: dict[str, Any]) -> Iterator[Figure]:
    if options["part"] == "webhooks":
        yield from webhook_figures()
        return
    if options["part"] == "fresh":
        yield from fresh_figures(options["sessions"])
        return
    if options["part"] == "pages":
        fill(options["sessions"])
        yield from page_figures(list_addresses())
        return
    with sandbox(options["sessions"]) as organization:
        if options["part"] == "edits":
            yield from edit_figures(organization, options["edits"])
            return
        if options["part"] == "kills":
            yield from kill_figures(
                organization, workers=options["workers"], kills=options["times"], log=_say
            )
            return
        if options["part"] == "sync":
            yield from _measure_syncs(organization, options)
            return
        yield from sync_figures(organization)
        yield from page_figures(addresses())


def _measure_syncs(organization: Organization, options: dict[str, Any]) -> Iterator[Figure]:
    if options["growth"]:
        yield from growth_figures(organization, first=min(_FEW, options["sessions"] // 10))
        return
    yield from sync_comparison(
        organization,
        rounds=options["rounds"],
        workers=1 if is_one_writer_enough() else options["workers"],
        latency_ms=options["latency"],
    )


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
