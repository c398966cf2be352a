"""`manage.py resume`: end the pause of organizations whose key Vapi had refused; with --list, see them."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from sessions_app.management.exits import FAILED, USAGE, demand_migrated
from sessions_app.mirror.connection import NoKey
from sessions_app.mirror.pauses import take_up_again
from sessions_app.models import Organization
from sessions_app.vapi.errors import VapiError
from sessions_app.vapi.times import format_time


class Command(BaseCommand):
    help = (
        "Test the keys of paused organizations, and let those go on that Vapi takes; the next sync reads on. "
        "Exit: 0 none is paused any more, 1 one stays paused, 2 usage."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--organization", metavar="SLUG", help="this one alone; else all that are paused")
        what = parser.add_mutually_exclusive_group(required=True)
        what.add_argument("--reason", metavar="TEXT", help="kept with the pause")
        what.add_argument(
            "--list", action="store_true", help="name those that are paused, and change nothing"
        )
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        demand_migrated()
        paused, reason = _paused(options["organization"]), (options["reason"] or "").strip()
        if options["list"]:
            self._print([_describe(one) for one in paused], as_json=options["json"])
            return
        if not reason:
            raise CommandError("Say why: --reason TEXT.", returncode=USAGE)
        tried = [_resume(one, reason) for one in paused]
        self._print(tried, as_json=options["json"])
        if any(one["paused_since"] for one in tried):
            raise CommandError("not every organization goes on.", returncode=FAILED)

    def _print(self, found: list[dict[str, str]], *, as_json: bool) -> None:
        if as_json:
            self.stdout.write(json.dumps({"organizations": found}))
            return
        for one in found:
            since = one["paused_since"]
            words = f"paused since {since}: {one['reason']}" if since else "goes on."
            self.stdout.write(f"{one['organization']}: {words}")
        if not found:
            self.stdout.write("No organization is paused.")


def _paused(slug: str | None) -> list[Organization]:
    every = Organization.objects.order_by("slug")
    if slug is not None and not every.filter(slug=slug).exists():
        raise CommandError(f"There is no organization {slug}.", returncode=USAGE)
    paused = every.exclude(paused_at=None)
    return list(paused.filter(slug=slug) if slug is not None else paused)


def _resume(organization: Organization, reason: str) -> dict[str, str]:
    problem = ""
    try:
        take_up_again(organization, "command line", reason)
    except (VapiError, NoKey) as refusal:
        problem = str(refusal)
    organization.refresh_from_db()
    return _describe(organization) | ({"reason": problem} if problem else {})


def _describe(organization: Organization) -> dict[str, str]:
    since = organization.paused_at
    return {
        "organization": organization.slug,
        "paused_since": format_time(since) if since else "",
        "reason": organization.paused_reason,
    }
