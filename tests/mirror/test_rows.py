"""Many rows at once reach the database as few do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sessions_app.mirror.rows import insert_rows, stored_time
from sessions_app.mirror.tables import SESSIONS, line_rows
from sessions_app.mirror.writer import mirror_sessions
from sessions_app.models import Organization, QuarantinedRecord, Session
from sessions_app.vapi.payloads import SessionRecord

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 1, 10, 12, tzinfo=UTC)
COLUMNS = {
    "words": "text",
    "small": "integer",
    "large": "bigint",
    "at": "timestamp with time zone",
    "yes": "boolean",
}
NAMES = tuple(COLUMNS)
on_postgresql = pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has no COPY")

words = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
odd_words = words | st.sampled_from(
    ["\\", "\\N", "\\.", "\t", "a\r\nb", "\n", "", "\x08\x0b", "\x7f", "😀", "\uffff", "x" * 70_000]
)
zones = st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=30)), timezone(-timedelta(hours=9))])
times = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=zones)  # noqa: DTZ001 - the zone is drawn apart
some_rows = st.lists(
    st.tuples(
        odd_words | st.none(),
        st.integers(-(2**31), 2**31 - 1) | st.none(),
        st.integers(-(2**63), 2**63 - 1) | st.none(),
        times,
        st.booleans(),
    ),
    min_size=1,
    max_size=8,
)  # fmt: skip


@pytest.fixture
def scratch() -> Iterator[str]:
    """A table with a column of each kind that mirrored rows have."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"CREATE TEMP TABLE scratch ({', '.join(f'{name} {kind}' for name, kind in COLUMNS.items())})"
        )
    yield "scratch"
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE scratch")


def stored(rows: list[Any], *, at_once: int) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM scratch")
        for start in range(0, len(rows), at_once):
            insert_rows(cursor, "scratch", NAMES, rows[start : start + at_once])
        cursor.execute(f"SELECT {', '.join(NAMES)} FROM scratch")  # noqa: S608 - our own names
        return [(*row[:3], stored_time(row[3]), row[4]) for row in cursor.fetchall()]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(some_rows)
def test_every_value_is_kept_whether_it_comes_with_few_or_with_many(scratch: str, rows: list[Any]) -> None:
    many = rows * (200 // len(rows) + 1)

    assert stored(many, at_once=len(many)) == many
    assert stored(rows, at_once=1) == rows


@on_postgresql
@pytest.mark.parametrize(
    "bad",
    [("\0", 1, 1, NOON, True), ("\ud800", 1, 1, NOON, True), ("", 2**31, 1, NOON, True), ("", 1, 2**63, NOON, True)],
    ids=["NUL", "lone surrogate", "above int4", "above int8"],
)  # fmt: skip
def test_what_has_no_place_is_refused_among_many(scratch: str, bad: Any) -> None:
    rows = [("", 1, 1, NOON, True)] * 200

    with pytest.raises((DatabaseError, UnicodeEncodeError, OverflowError)), transaction.atomic():
        stored([*rows, bad], at_once=201)


@on_postgresql
def test_a_column_that_was_widened_meanwhile_refuses_many_and_takes_few(scratch: str) -> None:
    """The writer halves what is refused until it is few."""
    rows = [("", 1, 1, NOON, True)] * 200
    assert len(stored(rows, at_once=200)) == 200
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE scratch ALTER small TYPE bigint")

    with pytest.raises(DatabaseError), transaction.atomic():
        stored(rows, at_once=200)
    assert stored(rows, at_once=50) == rows


@on_postgresql
def test_json_is_stored_as_it_was_written(scratch: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE scratch ADD document jsonb")
        insert_rows(cursor, "scratch", ("document",), [('{"a": 1e-07}',)] * 200)
        cursor.execute("SELECT DISTINCT document->>'a' FROM scratch")
        assert cursor.fetchall() == [("0.0000001",)]


@on_postgresql
def test_one_among_many_that_the_database_refuses_is_kept_apart(
    organization: Organization, record: Callable[..., SessionRecord]
) -> None:
    records = [record(f"s{number:03}", name="bad\0" if number == 77 else "good") for number in range(150)]

    result = mirror_sessions(organization, records, asked_at=NOON)

    assert (result.created, result.quarantined) == (149, 1)
    assert QuarantinedRecord.objects.get().remote_id == "s077"
    assert set(Session.objects.values_list("name", flat=True)) == {"good"}


def test_a_line_has_each_value_of_its_entry_by_name(record: Callable[..., SessionRecord]) -> None:
    model = {"provider": "openai", "model": "gpt-4.1"}
    counts = {"promptTokens": 1, "completionTokens": 2, "cachedPromptTokens": 3, "reasoningTokens": 4}
    costs = ["none", {"type": "analysis", "analysisType": "summary", "model": model, "cost": 0.5} | counts]
    session = record("s1", assistantId="a1", squadId="q1", phoneNumberId="p1", costs=costs)

    (line,) = line_rows(SESSIONS, session, 7)

    (entry,) = session.costs
    shared = entry._fields[:-1]
    assert [getattr(line, name) for name in shared] == [getattr(entry, name) for name in shared]
    assert (line.id, line.organization_id, line.cost_pico) == ("session:s1:1", 7, 5 * 10**11)
    assert (line.source, line.parent_id, line.session_id, line.chat_id) == ("session", "s1", "s1", "")
    assert (line.occurred_at, line.assistant_id, line.squad_id, line.phone_number_id) == (
        NOON,
        "a1",
        "q1",
        "p1",
    )
