"""Owns the mirror's stored rows as bare values: read, thrown away, and put back by nothing but the database's own
fastest statements. For the benchmark alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db import connection, transaction

from sessions_app.mirror.rows import insert_rows
from sessions_app.models import (
    Chat,
    ChatPayload,
    CostLine,
    CostRollup,
    FieldChange,
    NumberSuffix,
    ReportedCost,
    SearchText,
    Session,
    SessionPayload,
    SyncWindow,
    Watermark,
)

# What one transaction of the writer holds.
_ROWS_AT_ONCE = 1000
_MODELS = (
    Session, SessionPayload, Chat, ChatPayload, CostLine, ReportedCost, CostRollup, SearchText, NumberSuffix,
)  # fmt: skip
_KEYS = {model._meta.db_table: model._meta.pk.column for model in _MODELS}
_STORED = tuple(_KEYS)
_LEFT_BY_SYNCS = tuple(model._meta.db_table for model in (FieldChange, SyncWindow, Watermark))
# Made by migrations, beside the models: SQLite's index of words, PostgreSQL's column of them.
_FTS = "sessions_app_searchwords"
_WORDS = (SearchText._meta.db_table, "words")

_Rows = list[tuple[Any, ...]]


@dataclass(frozen=True)
class BareRows:
    """Every stored row of every mirrored table, by table and columns, as its driver takes it."""

    tables: list[tuple[str, tuple[str, ...], _Rows]]

    @classmethod
    def read(cls) -> BareRows:
        fts = [(_FTS, ("rowid", "labels", "said"))] if connection.vendor == "sqlite" else []
        named = [*((table, _columns(table)) for table in _STORED), *fts]
        return cls([(table, columns, _read(table, columns)) for table, columns in named])

    def write(self) -> int:
        """Put all of it back, as many rows in a transaction as the writer has. Returns how many records it was."""
        write = _copy if connection.vendor == "postgresql" else _execute_many
        for table, columns, rows in self.tables:
            for start in range(0, len(rows), _ROWS_AT_ONCE):
                with transaction.atomic():
                    write(table, columns, rows[start : start + _ROWS_AT_ONCE])
        parents = {Session._meta.db_table, Chat._meta.db_table}
        return sum(len(rows) for table, _, rows in self.tables if table in parents)


def empty_tables() -> None:
    """Leave no row that a sync made, and no memory of one that has been."""
    tables = (*_STORED, *_LEFT_BY_SYNCS)
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(f"TRUNCATE {', '.join(tables)} CASCADE")
            return
        for table in (*tables, _FTS):
            cursor.execute(f'DELETE FROM "{table}"')  # noqa: S608 - our own tables' names


def _columns(table: str) -> tuple[str, ...]:
    with connection.cursor() as cursor:
        description = connection.introspection.get_table_description(cursor, table)
    return tuple(column.name for column in description)


def _read(table: str, columns: tuple[str, ...]) -> _Rows:
    names = ", ".join(f'"{name}"::text' if (table, name) == _WORDS else f'"{name}"' for name in columns)
    with connection.cursor() as cursor:
        cursor.execute(f'SELECT {names} FROM "{table}" ORDER BY "{_KEYS.get(table, "rowid")}"')  # noqa: S608 - our own tables' names
        rows: _Rows = cursor.fetchall()
    return rows


def _copy(table: str, columns: tuple[str, ...], rows: _Rows) -> None:
    """As fast as we know how: in the writer's own form, binary where that can be."""
    with connection.cursor() as cursor:
        insert_rows(cursor, table, columns, rows)


def _execute_many(table: str, columns: tuple[str, ...], rows: _Rows) -> None:
    names = ", ".join(f'"{name}"' for name in columns)
    marks = ", ".join(["%s"] * len(columns))
    with connection.cursor() as cursor:
        cursor.executemany(f'INSERT INTO "{table}" ({names}) VALUES ({marks})', rows)  # noqa: S608 - our own names
