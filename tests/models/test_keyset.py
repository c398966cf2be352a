"""Pages by keyset: every row once, in order, both ways, on plain indexes."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from pytest_django import DjangoAssertNumQueries

from sessions_app.models import Organization, Session
from sessions_app.models.keyset import BadCursor, BadOrdering, Keyset, KeysetPage

pytestmark = pytest.mark.django_db
START = datetime(2026, 8, 1, 12, 0, 0, 123456, tzinfo=UTC)
KEYSET = Keyset(
    {"created_at": "created_at", "cost_usd": "cost_usd", "message_count": "message_count", "id": "id"}
)


@pytest.fixture
def organization() -> Organization:
    return Organization.objects.create(slug="default", name="Default")


def make(organization: Organization, number: int, cost: str | None = None, messages: int = 0) -> Session:
    at = START + timedelta(seconds=number // 3)
    return Session(
        id=f"s{number:05}",
        organization=organization,
        cost_usd=None if cost is None else Decimal(cost),
        message_count=messages,
        created_at=at,
        updated_at=at,
        expires_at=at,
        idle_expires_at=at,
        asked_at=at,
        synced_at=at,
    )


@pytest.fixture
def sessions(organization: Organization) -> list[Session]:
    """Return 25 sessions: three share each created_at, five share each cost, five have none."""
    costs = ["0.1", "0.1", "0.000000000001", "2", None]
    return Session.objects.bulk_create([make(organization, i, costs[i % 5], i % 2) for i in range(25)])


def page(ordering: str, cursor: str | None = None, limit: int = 4) -> KeysetPage[Session]:
    return KEYSET.page(Session.objects.all(), ordering=ordering, cursor=cursor, limit=limit)


def expected(ordering: str) -> list[str]:
    name, down = ordering.removeprefix("-"), ordering.startswith("-")
    rows = sorted(Session.objects.all(), key=lambda row: row.id, reverse=down)
    with_value = [row for row in rows if getattr(row, name) is not None]
    with_value.sort(key=lambda row: getattr(row, name), reverse=down)
    return [row.id for row in with_value] + [row.id for row in rows if getattr(row, name) is None]


ORDERINGS = [sign + name for name in KEYSET.sortable for sign in ("", "-")]


@pytest.mark.parametrize("limit", [1, 4, 5, 25, 100])
@pytest.mark.parametrize("ordering", ORDERINGS)
def test_walks_forwards_and_back_over_every_row_once(
    sessions: list[Session], ordering: str, limit: int
) -> None:
    pages = [page(ordering, limit=limit)]
    while pages[-1].next_cursor:
        pages.append(page(ordering, pages[-1].next_cursor, limit))
    assert [row.id for part in pages for row in part.rows] == expected(ordering)
    assert pages[0].previous_cursor is None

    back = [pages[-1]]
    while back[-1].previous_cursor:
        back.append(page(ordering, back[-1].previous_cursor, limit))
    assert [row.id for part in reversed(back) for row in part.rows] == expected(ordering)
    assert len(back) == len(pages)


@pytest.mark.parametrize("ordering", ["created_at", "cost_usd", "-cost_usd"])
def test_rows_that_arrive_meanwhile_neither_hide_nor_repeat_others(
    sessions: list[Session], organization: Organization, ordering: str
) -> None:
    before = set(expected(ordering))
    first = page(ordering)
    Session.objects.bulk_create(
        [make(organization, i, cost) for i, cost in ((100, "0.1"), (101, None), (102, "0"))]
    )
    Session.objects.filter(pk=first.rows[-1].pk).delete()
    seen = [row.id for row in first.rows]
    cursor = first.next_cursor
    while cursor:
        following = page(ordering, cursor)
        seen += [row.id for row in following.rows]
        cursor = following.next_cursor
    assert len(seen) == len(set(seen))
    assert before <= set(seen)


def test_pages_of_values_rows_work_alike(sessions: list[Session]) -> None:
    rows = Session.objects.values("id", "cost_usd")
    first = KEYSET.page(rows, ordering="cost_usd", limit=22)
    second = KEYSET.page(rows, ordering="cost_usd", cursor=first.next_cursor, limit=22)
    assert [row["id"] for row in [*first.rows, *second.rows]] == expected("cost_usd")


def test_cursors_of_another_order_are_refused(sessions: list[Session]) -> None:
    cursor = page("cost_usd").next_cursor
    with pytest.raises(BadCursor):
        page("-cost_usd", cursor)


def encoded(*content: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "cursor",
    [
        "x",
        "é",
        "!!!!",
        "a" * 3000,
        encoded("created_at"),
        encoded("created_at", "yesterday", "s1", 0),
        encoded("created_at", "2026-08-01", "s1", 0),
        encoded("created_at", None, "s1", 0),
        encoded("created_at", START.isoformat(), 5, 0),
        encoded("created_at", START.isoformat(), "s\x00", 0),
        encoded("created_at", START.isoformat(), "\ud800", 0),
        encoded("created_at", START.isoformat(), "s1", 2),
        encoded("created_at", "0001-01-01T00:00:00+14:00", "s1", 0),
        encoded("created_at", "9999-12-31T23:59:59-14:00", "s1", 0),
        encoded("created_at", [1], "s1", 0),
        encoded(*"abcd"),
    ],
)
def test_what_is_no_cursor_is_refused(sessions: list[Session], cursor: str) -> None:
    with pytest.raises(BadCursor):
        page("created_at", cursor)


@pytest.mark.parametrize("value", [1.5, True, "1", 10**30, 2**62])
def test_money_that_is_no_money_is_refused(sessions: list[Session], value: object) -> None:
    with pytest.raises(BadCursor):
        page("cost_usd", encoded("cost_usd", value, "s1", 0))


def test_only_listed_columns_are_sorted_by(sessions: list[Session]) -> None:
    with pytest.raises(BadOrdering):
        page("customer_number")


@pytest.mark.parametrize(
    ("ordering", "indexes"),
    [
        ("-created_at", {"session_created_at", "session_any_created_at"}),
        ("cost_usd", {"session_cost_usd"}),
        ("-cost_usd", {"session_cost_usd"}),
    ],
)
def test_a_page_of_one_organization_is_sought_in_its_index(
    organization: Organization, ordering: str, indexes: set[str]
) -> None:
    Session.objects.bulk_create([make(organization, i, f"{i}.5" if i % 3 else None) for i in range(3000)])
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    first = KEYSET.page(
        Session.objects.all(), ordering=ordering, limit=10, organization_ids=[organization.pk]
    )
    plans = _plans(ordering, first.next_cursor, organization.pk)
    assert plans
    for plan in plans:
        assert any(index in plan for index in indexes)
        assert "Seq Scan" not in plan
        assert "SCAN" not in plan
        assert "Sort" not in plan
        assert "TEMP B-TREE" not in plan


def _plans(ordering: str, cursor: str | None, organization_id: int) -> list[str]:
    """Return the database's plan of every query of a page."""
    asked: list[tuple[str, Any]] = []

    def note(execute: object, sql: str, params: object, many: bool, context: object) -> object:
        asked.append((sql, params))
        return execute(sql, params, many, context)  # type: ignore[operator]  # Django's own callable

    with connection.execute_wrapper(note):
        KEYSET.page(
            Session.objects.all(),
            ordering=ordering,
            cursor=cursor,
            limit=10,
            organization_ids=[organization_id],
        )
    word = "EXPLAIN" if connection.vendor == "postgresql" else "EXPLAIN QUERY PLAN"
    plans = []
    with connection.cursor() as database:
        for sql, params in asked:
            database.execute(f"{word} {sql}", params)
            plans.append("\n".join(str(row) for row in database.fetchall()))
    return plans


@pytest.fixture
def several(organization: Organization, sessions: list[Session]) -> list[int]:
    """Return three organizations: the 25 sessions are dealt out to two of them, ties in both; one has none."""
    others = [Organization.objects.create(slug=slug, name=slug) for slug in ("second", "empty")]
    Session.objects.filter(id__in=[row.id for row in sessions[::3]]).update(organization=others[0])
    return [organization.pk, *(other.pk for other in others)]


@pytest.mark.parametrize("limit", [1, 4, 100])
@pytest.mark.parametrize("ordering", ORDERINGS)
def test_a_page_of_several_organizations_is_merged_from_theirs(
    several: list[int], ordering: str, limit: int
) -> None:
    keyset = Keyset(KEYSET.sortable, by_organization=tuple(KEYSET.sortable))

    def merged(cursor: str | None = None) -> KeysetPage[Session]:
        return keyset.page(
            Session.objects.all(), ordering=ordering, cursor=cursor, limit=limit, organization_ids=several
        )

    pages = [merged()]
    while pages[-1].next_cursor:
        pages.append(merged(pages[-1].next_cursor))
    assert [row.id for part in pages for row in part.rows] == expected(ordering)
    back = [pages[-1]]
    while back[-1].previous_cursor:
        back.append(merged(back[-1].previous_cursor))
    assert [[row.id for row in part.rows] for part in reversed(back)] == [
        [row.id for row in part.rows] for part in pages
    ]


def test_of_too_many_organizations_a_page_is_one_query(
    several: list[int], monkeypatch: pytest.MonkeyPatch, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    monkeypatch.setattr("sessions_app.models.keyset.MOST_ORGANIZATIONS", 2)
    keyset = Keyset(KEYSET.sortable, by_organization=("message_count",))
    with django_assert_num_queries(1):
        page = keyset.page(Session.objects.all(), ordering="message_count", limit=4, organization_ids=several)
    assert [row.id for row in page.rows] == expected("message_count")[:4]
