"""`manage.py legal_hold set|release|list`. A customer's number, address or id comes by standard input."""

from __future__ import annotations

import getpass
import json
import sys
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db.models import Count

from sessions_app.management.exits import USAGE, demand_migrated
from sessions_app.mirror.holds import release_hold, set_hold
from sessions_app.models import LegalHold, Organization
from sessions_app.models.forgetting import HoldBy
from sessions_app.vapi.times import format_time

_WHO = "command line"


class Command(BaseCommand):
    help = (
        "Keep a session, or all of a customer's, from being pruned and erased, until it is released. What it is found "
        "by is read from standard input, so that it stands in no list of processes."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        setting = actions.add_parser("set", help="set a hold and print its number")
        way = setting.add_mutually_exclusive_group(required=True)
        for by, words in HoldBy.choices:
            option = f"--{by.replace('_', '-')}"
            way.add_argument(option, dest="by", action="store_const", const=by, help=f"by {words}")
        setting.add_argument("--organization", required=True, metavar="SLUG")
        setting.add_argument("--reason", required=True, metavar="TEXT", help="kept with the hold")
        releasing = actions.add_parser("release", help="end a hold; what it says stays")
        releasing.add_argument("hold", type=int, metavar="NUMBER")
        releasing.add_argument("--reason", required=True, metavar="TEXT", help="kept with the hold")
        listing = actions.add_parser("list", help="name the holds in force, without what they are found by")
        listing.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        demand_migrated()
        try:
            {"set": self._set, "release": self._release, "list": self._list}[options["action"]](options)
        except ValidationError as error:
            raise CommandError(" ".join(error.messages), returncode=USAGE) from None

    def _set(self, options: dict[str, Any]) -> None:
        organization = Organization.objects.filter(slug=options["organization"]).first()
        if organization is None:
            raise CommandError(f"There is no organization {options['organization']}.", returncode=USAGE)
        hold = set_hold(organization, options["by"], _read_value(options["by"]), options["reason"], _WHO)
        count = hold.held.count()
        self.stdout.write(f"Legal hold {hold.pk}: {count} session{'' if count == 1 else 's'} held.")

    def _release(self, options: dict[str, Any]) -> None:
        hold = LegalHold.objects.filter(pk=options["hold"]).first()
        if hold is None:
            raise CommandError(f"There is no legal hold {options['hold']}.", returncode=USAGE)
        released = release_hold(hold, options["reason"], _WHO)
        self.stdout.write(f"Legal hold {hold.pk} {'is' if released else 'was already'} released.")

    def _list(self, options: dict[str, Any]) -> None:
        holds = LegalHold.objects.filter(released_at=None).select_related("organization").order_by("pk")
        found = [_describe(hold) for hold in holds.annotate(sessions=Count("held"))]
        if options["json"]:
            self.stdout.write(json.dumps({"legal_holds": found}))
            return
        for one in found:
            self.stdout.write(
                f"{one['id']}: {one['sessions']} sessions of {one['organization']}, by {one['by']}, set by "
                f"{one['set_by']} {one['created_at']}: {one['reason']}"
            )
        if not found:
            self.stdout.write("Nothing is held.")


def _describe(hold: Any) -> dict[str, Any]:
    return {
        "id": hold.pk,
        "organization": hold.organization.slug,
        "by": hold.by,
        "sessions": hold.sessions,
        "reason": hold.reason,
        "set_by": hold.set_by,
        "created_at": format_time(hold.created_at),
    }


def _read_value(by: str) -> str:
    if sys.stdin.isatty():
        return getpass.getpass(f"{HoldBy(by).label.capitalize()} (not shown): ")
    return sys.stdin.readline()
