"""Searches go by index: the database's own plan never reads all sessions."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from sessions_app.models import Edit, Organization, Session
from sessions_app.search.filters import EditFilterSet, SessionFilterSet
from sessions_app.search.words import index_numbers, index_words
from tests.search.rows import START, words_row

pytestmark = pytest.mark.django_db
MANY = 5000


@pytest.fixture
def many(organization: Organization) -> None:
    """Return 5,000 sessions, each with a number, and words of which one is its own."""
    times = dict.fromkeys(
        ("created_at", "updated_at", "asked_at", "synced_at", "expires_at", "idle_expires_at"), START
    )
    Session.objects.bulk_create(
        Session(
            id=f"{i:08x}-session",
            organization=organization,
            name=f"Name {i}",
            customer_digits=f"49151{i:07}",
            customer_name=f"Ann {i}",
            customer_email=f"ann{i}@example.test",
            customer_external_id=f"k{i}",
            missing_since=START if i == 1234 else None,
            failed_tool_count=int(i == 1234),
            **times,
        )
        for i in range(MANY)
    )
    with transaction.atomic(), connection.cursor() as cursor:
        rows = [
            words_row("session", f"{i:08x}-session", f"{i:08x}-session", "", f"all own{i}x")
            for i in range(MANY)
        ]
        index_words(cursor, organization.pk, rows)
        index_numbers(cursor, [f"49151{i:07}" for i in range(MANY)])
        cursor.execute("ANALYZE")


@pytest.mark.parametrize(
    ("parameter", "text"),
    [
        ("search", "0001234"),
        ("search", "51 000 1234"),
        ("search", "000004d2"),
        ("search", "000004D2-SESSION"),
        ("search", "0049 151 0001234"),
        ("search", "own1234x"),
        ("search", "all 0001234"),
        ("search", "own1234x 49151"),
        ("search", "own1234"),
        ("q", "all own1234x"),
        ("customer_number__contains", "0001234"),
        ("customer_number__contains", "0151 000 1234"),
        ("customer_number", "+49 (151) 0001234"),
    ],
)
def test_a_search_reads_no_more_sessions_than_it_finds(many: None, parameter: str, text: str) -> None:
    Session.objects.filter(customer_digits="491510001234").update(customer_number="+49 (151) 0001234")
    _finds_one_by_index(parameter, text)


def test_a_filter_reads_no_more_sessions_than_it_finds(many: None) -> None:
    _finds_one_by_index("name", "Name 1234")
    _finds_one_by_index("customer_name", "Ann 1234")
    _finds_one_by_index("customer_email", "ann1234@example.test")
    _finds_one_by_index("customer_external_id", "k1234")
    _finds_one_by_index("missing", "true")
    _finds_one_by_index("failed_tools", "true")


def _finds_one_by_index(parameter: str, text: str) -> None:
    found, plans = _search(parameter, text)
    assert found == ["000004d2-session"]
    for plan in plans:
        assert "Seq Scan on sessions_app_session" not in plan
        # All of a partial index is not all sessions.
        assert not re.search(
            r"SCAN sessions_app_session(?! USING INDEX session_(missing|failed_tools)$)", plan, re.MULTILINE
        )


@pytest.mark.skipif(
    connection.vendor == "sqlite", reason="SQLite finds a word's beginning in a row no faster than in all"
)
def test_what_is_everywhere_is_met_by_walking_the_newest(many: None) -> None:
    for parameter, text in (("q", "all"), ("search", "all"), ("customer_number__contains", "151")):
        found, plans = _search(parameter, text)
        assert found == [f"{i:08x}-session" for i in range(MANY - 1, MANY - 101, -1)]
        assert "session_any_created_at" in plans[-1]
        assert "Seq Scan on sessions_app_se" not in plans[-1]
        assert "Hash" not in plans[-1]


@pytest.mark.skipif(
    connection.vendor == "sqlite", reason="SQLite looks each value up, whatever it knows of the table"
)
def test_known_numbers_are_looked_up_also_where_the_database_has_no_statistics_yet(db: None) -> None:
    numbers = [f"49151{i:07}" for i in range(MANY)]
    with transaction.atomic(), connection.cursor() as cursor:
        index_numbers(cursor, numbers)
        with CaptureQueriesContext(connection) as asked, connection.cursor() as watched:
            index_numbers(watched, numbers[:900])
        (question,) = [each["sql"] for each in asked]
        cursor.execute(f"EXPLAIN {question}")
        plan = "\n".join(row[0] for row in cursor.fetchall())
    assert "Seq Scan" not in plan
    assert "numbersuffix_key" in plan


def test_edits_of_a_state_are_sought_in_its_index(organization: Organization) -> None:
    Edit.objects.bulk_create(
        Edit(organization=organization, session_id=f"s{i}", state="conflict" if i == 7 else "applied")
        for i in range(MANY)
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    found = EditFilterSet({"state": "conflict"}, Edit.objects.all()).qs.order_by("-created_at", "-pk")[:50]
    assert [edit.session_id for edit in found] == ["s7"]
    assert "edit_state" in _plan(*found.query.sql_with_params())


def _search(parameter: str, text: str) -> tuple[list[str], list[str]]:
    """Return the newest that are found, and the plan of every query that was asked."""
    asked: list[tuple[str, Any]] = []

    def note(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        asked.append((sql, params))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(note):
        rows = SessionFilterSet({parameter: text}, Session.objects.all()).qs.order_by("-created_at", "-pk")
        found = [session.pk for session in rows[:100]]
    return found, [_plan(sql, params) for sql, params in asked]


def _plan(sql: str, params: Any) -> str:
    word = "EXPLAIN" if connection.vendor == "postgresql" else "EXPLAIN QUERY PLAN"
    with connection.cursor() as cursor:
        cursor.execute(f"{word} {sql}", params)
        return "\n".join(str(row[-1]) for row in cursor.fetchall())
