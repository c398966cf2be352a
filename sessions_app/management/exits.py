"""Exit codes of our commands, and the checks that end one with a single clear line."""

from __future__ import annotations

from django.core.management.base import CommandError
from django.db import DatabaseError

from sessions_app.logs import describe_error
from sessions_app.models.schema import how_to_migrate, pending_migrations

FAILED = 1
USAGE = 2
# EX_TEMPFAIL of sysexits.h: trying again later may help.
LEASE_TAKEN = 75


def demand_migrated() -> None:
    """Raise CommandError unless the database answers and is up to date."""
    try:
        pending = pending_migrations()
    except DatabaseError as error:
        raise CommandError(
            f"the database does not answer ({describe_error(error)}).", returncode=USAGE
        ) from None
    if pending:
        raise CommandError(
            f"the database is not up to date ({len(pending)} migrations): {how_to_migrate(pending)}.",
            returncode=USAGE,
        )
