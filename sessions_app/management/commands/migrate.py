"""Django's migrate, but for a database that only an earlier version can bring further."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError
from django.core.management.commands import migrate

from sessions_app.management.exits import USAGE
from sessions_app.models.schema import TOO_OLD, how_to_migrate, pending_migrations


class Command(migrate.Command):
    def handle(self, *args: Any, **options: Any) -> None:
        # Django itself would speak of conflicting migrations.
        if how_to_migrate(pending_migrations()) == TOO_OLD:
            raise CommandError(f"the database is half-way: {TOO_OLD}.", returncode=USAGE)
        super().handle(*args, **options)
