"""Whether the database stands as the code expects it."""

from __future__ import annotations

from django.db import connection
from django.db.migrations.loader import MigrationLoader


def pending_migrations() -> list[str]:
    """Return the names of migrations that are not applied. Raises DatabaseError when the database is away."""
    loader = MigrationLoader(connection)
    missing = set(loader.graph.nodes) - set(loader.applied_migrations or ())
    return sorted(f"{app}.{name}" for app, name in missing)
