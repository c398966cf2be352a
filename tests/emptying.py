"""Empties the database after a test that committed: what Django's flush does, for the few tables that have rows.

Django truncates all of them, which takes PostgreSQL half a second, and makes every permission anew.
"""

from __future__ import annotations

from collections.abc import Sequence

from django.core.management import call_command
from django.db import connection, transaction

from sessions_app.models import BulkTransition, EditTransition

# What migrations made of the code itself; no test changes it.
_KEPT = frozenset({"django_content_type", "auth_permission"})
# Nobody may delete from them, as the database itself sees to.
_AUDITS = frozenset({EditTransition._meta.db_table, BulkTransition._meta.db_table})
# Of more than this it is quicker to let go of the files.
MUCH_BYTES = 8_000_000


def empty_database() -> None:
    """Delete every row of a model that a test can have made. Words without a row to find are found by nobody."""
    filled = filled_tables()
    if connection.vendor == "postgresql" and _has_much(filled):
        call_command("flush", verbosity=0, interactive=False)
        return
    with transaction.atomic(), connection.cursor() as cursor:
        # References are looked at when it ends, so the order is free; but what was deleted from is not truncated.
        for table in sorted(filled, key=lambda table: table not in _AUDITS):
            cursor.execute(_emptying(table))


def filled_tables() -> list[str]:
    """Return the tables that have rows, but for those that migrations filled."""
    tables = sorted(set(connection.introspection.django_table_names(only_existing=True)) - _KEPT)
    looks = [f"SELECT '{table}' WHERE EXISTS (SELECT 1 FROM \"{table}\")" for table in tables]  # noqa: S608 - our own tables
    with connection.cursor() as cursor:
        cursor.execute(" UNION ALL ".join(looks))
        return [row[0] for row in cursor.fetchall()]


def _has_much(tables: Sequence[str]) -> bool:
    sizes = "SELECT coalesce(sum(pg_total_relation_size(name::regclass)), 0) FROM unnest(%s::text[]) AS name"
    with connection.cursor() as cursor:
        cursor.execute(sizes, [list(tables)])
        row = cursor.fetchone()
    assert row
    return bool(row[0] > MUCH_BYTES)


def _emptying(table: str) -> str:
    if table in _AUDITS and connection.vendor == "postgresql":
        return f'TRUNCATE "{table}"'
    return f'DELETE FROM "{table}"'  # noqa: S608 - our own table
