"""`manage.py create_api_token NAME --scope ...`: makes a token and prints it, alone, once."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from sessions_app.management.exits import USAGE, demand_migrated
from sessions_app.models.access import Scope
from sessions_app.tokens import make_token


class Command(BaseCommand):
    help = "Make an API token and print it. It is stored hashed and can't be shown again."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="What the token is for.")
        parser.add_argument(
            "--scope",
            action="append",
            required=True,
            choices=Scope.values,
            dest="scopes",
            help="What it may do; give it once for each.",
        )
        parser.add_argument("--days", type=int, help="After how many days it expires; never if not given.")

    def handle(self, *args: Any, **options: Any) -> None:
        demand_migrated()
        name, days = options["name"].strip(), options["days"]
        if not name:
            raise CommandError("the name is empty.", returncode=USAGE)
        if days is not None and not 1 <= days <= 36_500:
            raise CommandError("--days must be between 1 and 36500.", returncode=USAGE)
        expires_at = timezone.now() + timedelta(days=days) if days else None
        _, text = make_token(name, sorted(set(options["scopes"])), expires_at=expires_at)
        self.stdout.write(text)
