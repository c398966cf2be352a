"""`manage.py erase_customer --number`: erase one customer. The value comes by standard input, never as an argument."""

from __future__ import annotations

import getpass
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from sessions_app.management.exits import FAILED, USAGE, demand_migrated
from sessions_app.mirror.customers import EMAIL, EXTERNAL_ID, NUMBER, WAYS
from sessions_app.mirror.erasing import request_erasure, run_erasure
from sessions_app.models import Organization
from sessions_app.models.forgetting import ErasureState


class Command(BaseCommand):
    help = (
        "Erase a customer here and, with --at-vapi and write mode on, at Vapi. The number, address or id is read "
        "from standard input, so that it stands in no list of processes. Exit: 0 erased, 1 in part or waiting for "
        "Vapi, 2 usage."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        way = parser.add_mutually_exclusive_group(required=True)
        for by in (NUMBER, EMAIL, EXTERNAL_ID):
            option = f"--{by.replace('_', '-')}"
            way.add_argument(
                option, dest="by", action="store_const", const=by, help=f"by {WAYS[by]}, from standard input"
            )
        parser.add_argument("--organization", required=True, metavar="SLUG")
        parser.add_argument("--reason", required=True, metavar="TEXT", help="kept with the erasure")
        parser.add_argument("--at-vapi", action="store_true", help="delete the sessions at Vapi too")

    def handle(self, *args: Any, **options: Any) -> None:
        demand_migrated()
        organization = Organization.objects.filter(slug=options["organization"]).first()
        if organization is None:
            raise CommandError(f"There is no organization {options['organization']}.", returncode=USAGE)
        value = _read_value(options["by"])
        if not value:
            raise CommandError("Nothing came by standard input.", returncode=USAGE)
        erasure = request_erasure(
            organization, options["by"], value, options["reason"], at_vapi=options["at_vapi"]
        )
        ended = run_erasure(erasure.pk) or erasure
        self.stdout.write(
            f"Erasure {ended.pk}: {ended.found} sessions found, {ended.erased_here} erased here, "
            f"{ended.erased_at_vapi} at Vapi."
        )
        if ended.state != ErasureState.DONE:
            raise CommandError(ended.note, returncode=FAILED)


def _read_value(by: str) -> str:
    if sys.stdin.isatty():
        return getpass.getpass(f"{WAYS[by].capitalize()} (not shown): ").strip()
    return sys.stdin.readline().strip()
