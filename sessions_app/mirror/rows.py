"""Bulk statements in each database's own fastest form: COPY on PostgreSQL, executemany on SQLite."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from django.db import connection
from django.db.backends.utils import CursorWrapper

Row = Sequence[object]
_VARIABLES = 900
# Few rows go as text: asking for the types of a binary COPY would take longer. What a binary COPY refuses, the
# writer halves until it is fewer, so that it is text that has the last word.
_MANY = 100
# PostgreSQL's own numbers of bool, int8, int4, text and timestamptz: psycopg and the server have least to do with
# their binary form. Not jsonb: psycopg would make JSON of our JSON.
_INT4 = 23
_SENT_BINARY = frozenset({16, 20, _INT4, 25, 1184})
_TYPES: dict[tuple[str, str, str], list[int]] = {}
_FOUR_BYTES = range(-(2**31), 2**31)


def insert_rows(cursor: CursorWrapper, table: str, columns: Sequence[str], rows: Sequence[Row]) -> None:
    """Insert rows that are known to be new."""
    if not rows:
        return
    names = ", ".join(f'"{name}"' for name in columns)
    if connection.vendor == "postgresql":
        _copy(cursor, table, names, rows)
    else:
        marks = ", ".join(["%s"] * len(columns))
        cursor.executemany(f'INSERT INTO "{table}" ({names}) VALUES ({marks})', adapted(rows))


def delete_rows(cursor: CursorWrapper, table: str, key: str, ids: Sequence[str], extra: str = "") -> None:
    """Delete the rows whose `key` is one of `ids`; `extra` is a further condition of our own."""
    for condition, values in _any_of(key, ids):
        cursor.execute(f'DELETE FROM "{table}" WHERE {condition}{extra}', values)


def take_rows(cursor: CursorWrapper, table: str, key: str, column: str, ids: Sequence[str]) -> dict[str, Any]:
    """Delete the rows whose `key` is one of `ids`. Returns {key: column} of those that were there."""
    taken: dict[str, Any] = {}
    for condition, values in _any_of(key, ids):
        cursor.execute(f'DELETE FROM "{table}" WHERE {condition} RETURNING "{key}", "{column}"', values)
        taken.update(cursor.fetchall())
    return taken


def select_rows(
    cursor: CursorWrapper, table: str, columns: Sequence[str], key: str, ids: Sequence[str], extra: str = ""
) -> list[tuple[Any, ...]]:
    """Return `columns` of the rows whose `key` is one of `ids`, as the database's plain values."""
    found: list[tuple[Any, ...]] = []
    names = ", ".join(f'"{name}"' for name in columns)
    for condition, values in _any_of(key, ids):
        cursor.execute(f'SELECT {names} FROM "{table}" WHERE {condition}{extra}', values)
        found.extend(cursor.fetchall())
    return found


def upsert_parents(
    cursor: CursorWrapper, table: str, columns: Sequence[str], rows: Sequence[Row], condition: str
) -> set[str]:
    """Upsert rows by `id` where `condition` (on `t` as stored and `excluded` as offered) allows it.

    Rows must be sorted by id, so that concurrent writers lock in one order. Returns the ids really written.
    On SQLite the caller holds the only write lock and offers what it already knows to be writable.
    """
    names = ", ".join(f'"{name}"' for name in columns)
    changes = ", ".join(f'"{name}" = excluded."{name}"' for name in columns if name != "id")
    conflict = f"ON CONFLICT (id) DO UPDATE SET {changes} WHERE {condition}"
    if connection.vendor == "postgresql":
        cursor.execute(
            f'CREATE TEMP TABLE "offered" ON COMMIT DROP AS SELECT {names} FROM "{table}" WHERE false'
        )
        _copy(cursor, "offered", names, rows)
        cursor.execute(
            f'INSERT INTO "{table}" AS t ({names}) SELECT {names} FROM "offered" ORDER BY id {conflict} RETURNING id'
        )
        written = {row[0] for row in cursor.fetchall()}
        cursor.execute('DROP TABLE "offered"')
        return written
    marks = ", ".join(["%s"] * len(columns))
    cursor.executemany(f'INSERT INTO "{table}" AS t ({names}) VALUES ({marks}) {conflict}', adapted(rows))
    return {str(row[0]) for row in rows}


def adapted(rows: Iterable[Row]) -> list[list[Any]]:
    """Return rows with times as SQLite stores them: UTC without a zone. A column has times in each row or in none."""
    changed: list[list[Any]] = [list(row) for row in rows]
    times = (
        [place for place, value in enumerate(changed[0]) if isinstance(value, datetime)] if changed else []
    )
    # Lines have their record's time, and all rows of a portion those of its request and its writing.
    plain: dict[datetime, str] = {}
    for row in changed:
        for place in times:
            moment = row[place]
            row[place] = plain.get(moment) or plain.setdefault(moment, _plain(moment))
    return changed


def stored_time(value: Any) -> datetime:
    """Return a time read by a plain statement as an aware one: SQLite gives text."""
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _plain(value: Any) -> str:
    text: str = (value if value.tzinfo is UTC else value.astimezone(UTC)).isoformat(" ")
    return text.removesuffix("+00:00")


def _copy(cursor: CursorWrapper, table: str, names: str, rows: Sequence[Row]) -> None:
    types = _binary_types(cursor, table, names, rows) if len(rows) >= _MANY else None
    statement = f'COPY "{table}" ({names}) FROM STDIN'
    # Django's cursor hands `copy` on as it is: its errors would be none of Django's.
    with (
        connection.wrap_database_errors,
        cursor.copy(f"{statement} (FORMAT BINARY)" if types else statement) as copy,
    ):
        if types:
            copy.set_types(types)
        for row in rows:
            copy.write_row(row)


def _binary_types(cursor: CursorWrapper, table: str, names: str, rows: Sequence[Row]) -> list[int] | None:
    """Return the columns' types as the database has them, or None where these rows are better sent as text."""
    types = _types(cursor, str(connection.settings_dict["NAME"]), table, names)
    narrow = [place for place, kind in enumerate(types) if kind == _INT4]
    is_fit = _SENT_BINARY.issuperset(types) and all(_fits(rows, place) for place in narrow)
    return types if is_fit else None


def _types(cursor: CursorWrapper, database: str, table: str, names: str) -> list[int]:
    """Return the columns' types as the database has them. Asked once: where a column has another type by now, the
    binary COPY is refused, and the rows are sent as text."""
    known = _TYPES.get((database, table, names))
    if known is None:
        cursor.execute(f'SELECT {names} FROM "{table}" LIMIT 0')
        known = _TYPES[database, table, names] = [column.type_code for column in cursor.description]
    return known


def _fits(rows: Sequence[Row], place: int) -> bool:
    """Whether a column of four bytes has room: psycopg would cut a larger number without a word."""
    values = [row[place] for row in rows]
    return all(value is None or (type(value) is int and value in _FOUR_BYTES) for value in values)


def _any_of(key: str, ids: Sequence[str]) -> Iterable[tuple[str, list[Any]]]:
    if connection.vendor == "postgresql":
        yield f'"{key}" = ANY(%s)', [list(ids)]
        return
    for start in range(0, len(ids), _VARIABLES):
        part = list(ids[start : start + _VARIABLES])
        yield f'"{key}" IN ({", ".join(["%s"] * len(part))})', part
