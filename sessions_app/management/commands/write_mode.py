"""`manage.py write_mode on|off|paused`: turn whether edits are sent to Vapi."""

from __future__ import annotations

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from sessions_app.edits.write_mode import change_write_mode
from sessions_app.models import Organization
from sessions_app.models.organizations import WriteMode

USAGE_ERROR = 2


class Command(BaseCommand):
    help = (
        "Turn sending edits to Vapi on, off or paused. Without --organization off turns all organizations, paused "
        "those that are on; on asks for one where there are several."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("mode", choices=WriteMode.values)
        parser.add_argument("--organization", metavar="SLUG")
        parser.add_argument("--reason", required=True, metavar="TEXT", help="kept with the change")

    def handle(self, *, mode: str, organization: str | None, reason: str, **_: object) -> None:
        for chosen in _chosen(mode, organization):
            try:
                turned = change_write_mode(chosen, mode, reason)
            except ValidationError as error:
                raise CommandError(" ".join(error.messages), returncode=USAGE_ERROR) from None
            was = "" if turned else "already "
            self.stdout.write(f"{chosen.slug}: write mode is {was}{mode}.")


def _chosen(mode: str, slug: str | None) -> list[Organization]:
    every = Organization.objects.order_by("slug")
    if slug is not None:
        found = list(every.filter(slug=slug))
        if not found:
            raise CommandError(f"There is no organization {slug}.", returncode=USAGE_ERROR)
        return found
    found = list(every)
    if not found:
        raise CommandError("There is no organization yet.", returncode=USAGE_ERROR)
    if mode == WriteMode.PAUSED and len(found) > 1:
        # What is off stays off: pausing it would be one step towards sending its drafts.
        return [one for one in found if one.write_mode != WriteMode.OFF]
    if mode == WriteMode.ON and len(found) > 1:
        raise CommandError("Say which organization: --organization SLUG.", returncode=USAGE_ERROR)
    return found
