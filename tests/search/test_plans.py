"""Searches go by index: the database's own plan never reads all sessions."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection, transaction

from sessions_app.models import Organization, Session
from sessions_app.search.filters import SessionFilterSet
from sessions_app.search.words import WordsRow, index_numbers, index_words
from tests.search.rows import START

pytestmark = pytest.mark.django_db
MANY = 5000


@pytest.fixture
def many(organization: Organization) -> None:
    """Return 5,000 sessions, each with a number, and words of which one is its own."""
    times = dict.fromkeys(
        ("created_at", "updated_at", "asked_at", "synced_at", "expires_at", "idle_expires_at"), START
    )
    Session.objects.bulk_create(
        Session(id=f"{i:08x}-session", organization=organization, customer_digits=f"49151{i:07}", **times)
        for i in range(MANY)
    )
    with transaction.atomic(), connection.cursor() as cursor:
        rows = [
            WordsRow("session", f"{i:08x}-session", f"{i:08x}-session", "", f"all own{i}x")
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
        ("search", "own1234"),
        ("q", "all own1234x"),
        ("customer_number__contains", "0001234"),
        ("customer_number__contains", "0151 000 1234"),
        ("customer_number", "+49 (151) 0001234"),
    ],
)
def test_a_search_reads_no_more_sessions_than_it_finds(many: None, parameter: str, text: str) -> None:
    Session.objects.filter(customer_digits="491510001234").update(customer_number="+49 (151) 0001234")
    asked: list[tuple[str, Any]] = []

    def note(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        asked.append((sql, params))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(note):
        found = SessionFilterSet({parameter: text}, Session.objects.all()).qs
        assert [session.pk for session in found.order_by("-created_at", "-pk")[:100]] == ["000004d2-session"]
    for sql, params in asked:
        plan = _plan(sql, params)
        assert "Seq Scan on sessions_app_session" not in plan
        assert "SCAN sessions_app_session " not in plan + " "


def _plan(sql: str, params: Any) -> str:
    word = "EXPLAIN" if connection.vendor == "postgresql" else "EXPLAIN QUERY PLAN"
    with connection.cursor() as cursor:
        cursor.execute(f"{word} {sql}", params)
        return "\n".join(str(row[-1]) for row in cursor.fetchall())
