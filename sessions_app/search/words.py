"""Owns the index of words and of parts of phone numbers: what goes in, and how it is asked. Knows no sessions.

Both databases hold the same words, folded (vapi.words): on PostgreSQL as lexemes of a tsvector, on SQLite as tokens of
an FTS5 row.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from typing import Any, NamedTuple

from django.db import connection
from django.db.backends.utils import CursorWrapper
from django.db.models import BooleanField, F, Func, OuterRef, Q, QuerySet, Subquery
from django.db.models.lookups import IsNull

from sessions_app.models import Chat, NumberSuffix, SearchText
from sessions_app.vapi.words import Words, words_of

# Of a longer run of digits only the end is searched: it is no phone number.
NUMBER_LENGTH = 40
SHORTEST_PART = 3
_VARIABLES = 900
_TABLE = SearchText._meta.db_table
_ID = '."id"'
_SUFFIXES = NumberSuffix._meta.db_table


class WordsRow(NamedTuple):
    """What one session or chat is found by."""

    source: str
    parent_id: str
    # The session that is found by it; '' for a chat without one.
    session_id: str
    words: Words


def index_words(
    cursor: CursorWrapper, organization_id: int, rows: Sequence[WordsRow], *, are_new: bool = False
) -> None:
    """Replace what is found of these sessions and chats, inside the caller's transaction.

    Rows are taken in one order by every writer, so that concurrent ones wait and do not deadlock. With `are_new`
    none of them is found yet: an IntegrityError where one is.
    """
    if not rows:
        return
    ordered = sorted(rows, key=lambda row: (row.source, row.parent_id))
    if connection.vendor == "postgresql":
        (_insert_in_postgres if are_new else _index_in_postgres)(cursor, organization_id, ordered)
    else:
        (_insert_in_sqlite if are_new else _index_in_sqlite)(cursor, organization_id, ordered)


def _insert_in_postgres(cursor: CursorWrapper, organization_id: int, rows: Sequence[WordsRow]) -> None:
    statement = f"COPY {_TABLE} (organization_id, source, parent_id, session_id, is_cut, words) FROM STDIN"
    with connection.wrap_database_errors, cursor.copy(statement) as copy:
        for row in rows:
            copy.write_row((organization_id, *_place(row), _vector(row)))


def _index_in_postgres(cursor: CursorWrapper, organization_id: int, rows: Sequence[WordsRow]) -> None:
    cursor.execute(
        f"INSERT INTO {_TABLE} (organization_id, source, parent_id, session_id, is_cut, words)"  # noqa: S608 - our own table's name
        " SELECT %s, source, parent_id, session_id, is_cut, words::tsvector"
        " FROM unnest(%s::text[], %s::text[], %s::text[], %s::boolean[], %s::text[])"
        " AS offered (source, parent_id, session_id, is_cut, words)"
        " ON CONFLICT (source, parent_id) DO UPDATE SET organization_id = excluded.organization_id,"
        " session_id = excluded.session_id, is_cut = excluded.is_cut, words = excluded.words",
        [organization_id, *map(list, zip(*map(_place, rows), strict=True)), list(map(_vector, rows))],
    )


def _vector(row: WordsRow) -> str:
    """A tsvector's text. One position a word suffices: words are AND-ed, never phrases. Weight A tells names."""
    return f"{_placed(row.words.labels, ':1A')} {_placed(row.words.said, ':2')}"


def _placed(words: str, place: str) -> str:
    return f"{words.replace(' ', f'{place} ')}{place}" if words else ""


def _insert_in_sqlite(cursor: CursorWrapper, organization_id: int, rows: Sequence[WordsRow]) -> None:
    """Rows get the next ids here: the writer holds the only write lock, and need not ask for each one's afterwards."""
    cursor.execute(f"SELECT coalesce(max(id), 0) + 1 FROM {_TABLE}")  # noqa: S608 - our own table's name
    first: int = cursor.fetchone()[0]
    cursor.executemany(
        f"INSERT INTO {_TABLE} (id, organization_id, source, parent_id, session_id, is_cut)"  # noqa: S608 - our own table's name
        " VALUES (%s, %s, %s, %s, %s, %s)",
        [(first + at, organization_id, *_place(row)) for at, row in enumerate(rows)],
    )
    _insert_words(cursor, ((first + at, row) for at, row in enumerate(rows)))


def _index_in_sqlite(cursor: CursorWrapper, organization_id: int, rows: Sequence[WordsRow]) -> None:
    cursor.executemany(
        f"INSERT INTO {_TABLE} (organization_id, source, parent_id, session_id, is_cut)"  # noqa: S608 - our own table's name
        " VALUES (%s, %s, %s, %s, %s) ON CONFLICT (source, parent_id) DO UPDATE SET"
        " organization_id = excluded.organization_id, session_id = excluded.session_id,"
        " is_cut = excluded.is_cut",
        [(organization_id, *_place(row)) for row in rows],
    )
    rowids = _rowids(cursor, rows)
    _insert_words(cursor, ((rowids[row.source, row.parent_id], row) for row in rows))


def _insert_words(cursor: CursorWrapper, rows: Iterable[tuple[int, WordsRow]]) -> None:
    cursor.executemany(
        "INSERT OR REPLACE INTO sessions_app_searchwords (rowid, labels, said) VALUES (%s, %s, %s)",
        [(rowid, row.words.labels, row.words.said) for rowid, row in rows],
    )


def _rowids(cursor: CursorWrapper, rows: Sequence[WordsRow]) -> dict[tuple[str, str], int]:
    found: dict[tuple[str, str], int] = {}
    for start in range(0, len(rows), _VARIABLES):
        ids = [row.parent_id for row in rows[start : start + _VARIABLES]]
        cursor.execute(
            f"SELECT id, source, parent_id FROM {_TABLE}"  # noqa: S608 - our own table's name
            f" WHERE source IN ('session', 'chat') AND parent_id IN ({', '.join(['%s'] * len(ids))})",
            ids,
        )
        found |= {(source, parent_id): rowid for rowid, source, parent_id in cursor.fetchall()}
    return found


def _place(row: WordsRow) -> tuple[str, str, str, bool]:
    return row.source, row.parent_id, row.session_id, row.words.is_cut


def matching(query: str, *, names_too: bool) -> QuerySet[SearchText]:
    """Return the rows in which every word of `query` occurs, the last one as a beginning. No words: no rows.

    `names_too` looks at names and customers as well as at what was said.
    """
    words = words_of(query)
    if not words:
        return SearchText.objects.none()
    return SearchText.objects.filter(_Matches(words, names_too=names_too))


class _Matches(Func):
    """Whether a row of SearchText holds all the words, the last one as a beginning, by the database's own index."""

    output_field = BooleanField()

    def __init__(self, words: Sequence[str], *, names_too: bool) -> None:
        super().__init__(F("id"))
        self.words, self.names_too = words, names_too

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> tuple[str, tuple[str]]:
        row, _ = compiler.compile(self.get_source_expressions()[0])
        mark = ":ABCD" if self.names_too else ":D"
        asked = " & ".join(f"'{word}'{mark}" for word in self.words) + "*"
        return f'{row.removesuffix(_ID)}."words" @@ %s::tsquery', (asked,)

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> tuple[str, tuple[str]]:
        row, _ = compiler.compile(self.get_source_expressions()[0])
        asked = " AND ".join(f'"{word}"' for word in self.words) + "*"
        found = "SELECT rowid FROM sessions_app_searchwords WHERE sessions_app_searchwords MATCH %s"
        return f"{row} IN ({found})", (asked if self.names_too else f"said : ({asked})",)


def matching_session_ids(query: str, *, names_too: bool = False) -> QuerySet[Any, str]:
    """Return, for `id__in`, the sessions in whose words or whose chats' words `query` occurs."""
    return matching(query, names_too=names_too).exclude(session_id="").values_list("session_id", flat=True)


def matching_chat_ids(query: str, *, names_too: bool = False) -> QuerySet[Any, str]:
    """Return, for `id__in`, the chats in whose words `query` occurs."""
    return matching(query, names_too=names_too).filter(source="chat").values_list("parent_id", flat=True)


def in_words_of_session(query: str, *, names_too: bool = False) -> Q:
    """Return the condition that `query` occurs in a session's own words or in a chat's of it, asked row by row."""
    found = matching(query, names_too=names_too)
    chats = Chat.objects.filter(session_id=OuterRef(OuterRef("pk"))).values("pk")
    own = found.filter(source="session", parent_id=OuterRef("pk"))
    return _there_is(own) | _there_is(found.filter(source="chat", parent_id__in=chats))


def in_words_of_chat(query: str, *, names_too: bool = False) -> Q:
    """Return the condition that `query` occurs in a chat's words, asked row by row."""
    found = matching(query, names_too=names_too)
    return _there_is(found.filter(source="chat", parent_id=OuterRef("pk")))


def _there_is(rows: QuerySet[SearchText]) -> Q:
    """Not EXISTS, which PostgreSQL may turn into a join with all that is found anywhere."""
    return Q(IsNull(Subquery(rows.values("pk")[:1]), False))


def index_numbers(cursor: CursorWrapper, digits: Iterable[str]) -> None:
    """Remember numbers, digits alone, by every suffix of three digits and more, in the caller's transaction.

    Known numbers cost one look, and cannot be forgotten before that transaction has ended.
    """
    numbers = {number for number in digits if len(number) >= SHORTEST_PART}
    news = sorted(numbers - _known_numbers(cursor, sorted(numbers)))
    pairs = sorted((suffix, number) for number in news for suffix in suffixes(number))
    if not pairs:
        return
    into = f"INSERT INTO {_SUFFIXES} (suffix, digits)"
    if connection.vendor == "postgresql":
        # One text of JSON: arrays and marks of so many values take psycopg longer than the database.
        cursor.execute(
            f"{into} SELECT pair->>0, pair->>1 FROM json_array_elements(%s::json) AS pair ON CONFLICT DO NOTHING",  # noqa: S608 - our own table's name
            [json.dumps(pairs)],
        )
    else:
        cursor.executemany(f"{into} VALUES (%s, %s) ON CONFLICT DO NOTHING", pairs)


def lock_numbers(numbers: Collection[str]) -> None:
    """Let nobody look known numbers up to store them, until the transaction ends. Waits for whoever has."""
    # In the order in which they are looked up.
    for number in sorted(numbers):
        known = NumberSuffix.objects.filter(suffix=number[-NUMBER_LENGTH:], digits=number)
        list(known.select_for_update().values_list("pk"))


def suffixes(digits: str) -> list[str]:
    """Return every suffix of at least three digits, the longest first."""
    end = digits[-NUMBER_LENGTH:]
    return [end[start:] for start in range(len(end) - SHORTEST_PART + 1)]


def _known_numbers(cursor: CursorWrapper, numbers: Sequence[str]) -> set[str]:
    ends = [number[-NUMBER_LENGTH:] for number in numbers]
    asked = f"SELECT digits FROM {_SUFFIXES} WHERE suffix"  # noqa: S608 - our own table's name
    if connection.vendor == "postgresql":
        # One by one: for many values at once a planner without statistics reads the whole table.
        cursor.execute(
            "SELECT number FROM unnest(%s::text[], %s::text[]) AS asked (number, last) WHERE"  # noqa: S608 - our own name
            f" (SELECT true FROM {_SUFFIXES} WHERE suffix = last AND digits = number LIMIT 1 FOR KEY SHARE)",
            [list(numbers), ends],
        )
        return {row[0] for row in cursor.fetchall()}
    known: set[str] = set()
    for start in range(0, len(ends), _VARIABLES):
        part = ends[start : start + _VARIABLES]
        cursor.execute(f"{asked} IN ({', '.join(['%s'] * len(part))})", part)
        known |= {row[0] for row in cursor.fetchall()}
    return known


def next_prefix(prefix: str) -> str:
    """Return the least text after all that begin with `prefix`, in byte order: prefix <= text < this."""
    kept = prefix.rstrip("\U0010ffff")
    if not kept:
        return "\U0010ffff" * (len(prefix) + 1)
    following = ord(kept[-1]) + 1
    # Surrogates are no characters: after U+D7FF comes U+E000.
    return kept[:-1] + chr(0xE000 if following == 0xD800 else following)


def numbers_with(part: str) -> QuerySet[Any, str]:
    """Return, for `customer_digits__in`, the known numbers that contain these digits (three or more)."""
    return NumberSuffix.objects.filter(suffix__gte=part, suffix__lt=next_prefix(part)).values_list(
        "digits", flat=True
    )
