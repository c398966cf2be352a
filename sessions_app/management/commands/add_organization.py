"""`manage.py add_organization`: one more Vapi organization, its key read from a file, a pipe or the keyboard."""

from __future__ import annotations

import getpass
import sys
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from sessions_app.management.exits import USAGE, demand_migrated
from sessions_app.models import Organization

MOST_KEY_BYTES = 4096


class Command(BaseCommand):
    help = (
        "Add a Vapi organization. Its write mode is off: nothing is sent to Vapi until a person turns it on."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("slug", help="a short name of a-z, 0-9 and -")
        parser.add_argument("--name", default="", help="as people read it (default: the slug)")
        parser.add_argument("--base-url", default=settings.VAPI_BASE_URL, help="Vapi's address (%(default)s)")
        # Never an argument: others on this machine can read those, and shells remember them.
        parser.add_argument(
            "--key-file", type=Path, metavar="FILE", help="holds the API key (default: standard input)"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        demand_migrated()
        organization = Organization(
            slug=options["slug"],
            name=options["name"] or options["slug"],
            base_url=options["base_url"].rstrip("/"),
            api_key=_read_key(options["key_file"]),
            report_time_zone=settings.TIME_ZONE,
        )
        try:
            organization.full_clean()
            organization.save()
        except ValidationError as error:
            raise CommandError(" ".join(error.messages), returncode=USAGE) from None
        self.stdout.write(f"Added {organization.slug}. Its write mode is off. Next: manage.py sync")


def _read_key(path: Path | None) -> str:
    key = _read(path).strip()
    # A key becomes an HTTP header: whatever does not fit in one is no key.
    if not key or not key.isascii() or not key.isprintable() or " " in key:
        raise CommandError(
            "that is no API key: one line of visible characters is expected.", returncode=USAGE
        )
    return key


def _read(path: Path | None) -> str:
    try:
        if path is not None:
            return path.read_text()[:MOST_KEY_BYTES]
        return getpass.getpass("API key: ") if sys.stdin.isatty() else sys.stdin.read(MOST_KEY_BYTES)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise CommandError(f"the key cannot be read: {reason}.", returncode=USAGE) from None
