"""Whether the database stands as the code expects it."""

from __future__ import annotations

from django.db import connection
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.loader import MigrationLoader

# Some of the steps that two migrations replace were taken, but not all.
TOO_OLD = "bring it to sessions_app 0023 first, with the version of vapiadmin that had this migration"


def pending_migrations() -> list[str]:
    """Return the names of migrations that are not applied. Raises DatabaseError when the database is away."""
    loader = MigrationLoader(connection)
    applied = set(loader.applied_migrations or ())
    missing = set(loader.graph.nodes) - applied
    for migration in loader.replacements.values():
        # Begun by the steps that it replaces, and not ended: Django leaves it out without a word.
        if not applied.isdisjoint(migration.replaces):
            missing |= set(migration.replaces) - applied
    return sorted(f"{app}.{name}" for app, name in missing)


def how_to_migrate(pending: list[str]) -> str:
    """Say in a few words what brings a database up to date that lacks these migrations."""
    replaced = {
        f"{app}.{name}" for step in MigrationLoader(None).replacements.values() for app, name in step.replaces
    }
    if replaced.isdisjoint(pending):
        return "run `manage.py migrate`"
    return TOO_OLD


def collate_text(schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Give every text column of ours byte order, on PostgreSQL: a prefix is then a range of a plain index."""
    with schema_editor.connection.cursor() as cursor:
        cursor.execute(
            "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = current_schema()"
            " AND table_name LIKE 'sessions\\_app\\_%' AND data_type = 'text'"
            " AND collation_name IS DISTINCT FROM 'C' ORDER BY 1, 2"
        )
        columns = cursor.fetchall()
    quote = schema_editor.quote_name
    for table in sorted({table for table, _ in columns}):
        changes = ", ".join(
            f'ALTER COLUMN {quote(column)} TYPE text COLLATE "C"' for name, column in columns if name == table
        )
        schema_editor.execute(f"ALTER TABLE {quote(table)} {changes}")


def drop_pattern_indexes(schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Drop the second index that Django gives text keys for LIKE, on PostgreSQL: in byte order the first serves that
    too."""
    with schema_editor.connection.cursor() as cursor:
        cursor.execute(
            "SELECT indexname FROM pg_indexes WHERE schemaname = current_schema()"
            " AND tablename LIKE 'sessions\\_app\\_%' AND indexname LIKE '%\\_like'"
            " AND indexdef LIKE '%text_pattern_ops%' ORDER BY 1"
        )
        names = [row[0] for row in cursor.fetchall()]
    for name in names:
        schema_editor.execute(f"DROP INDEX {schema_editor.quote_name(name)}")
