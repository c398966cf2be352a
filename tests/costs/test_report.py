"""Reports: what sums they show, and that the rows behind each figure's link add up to it."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.db.models import Sum
from django.http import QueryDict
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from sessions_app.costs.period import Period
from sessions_app.costs.query import CostQuery
from sessions_app.costs.report import Report, Row, summarize_costs
from sessions_app.models import RemoteName
from sessions_app.models.costs import Source
from sessions_app.search.filters import ChatFilterSet, CostLineFilterSet, SessionFilterSet
from tests.costs.amounts import NOON, change, line, make_organization, reported, store

pytestmark = pytest.mark.django_db

MARCH = Period(date(2026, 3, 1), date(2026, 3, 31))


@pytest.fixture
def reader() -> User:
    return User.objects.create_user("reader")


def ask(reader: User, *group_by: str, **filters: tuple[str, ...]) -> Report:
    return summarize_costs(reader, CostQuery(MARCH, "", group_by, filters))


def test_each_source_has_its_own_totals(reader: User) -> None:
    acme = make_organization()
    store(acme, reported(acme, "0.5"), reported(acme, None, parent="s2"), line(acme, "0.3", prompt_tokens=10))
    store(acme, reported(acme, "0.25", parent="c1", source="chat"))

    session, chat = ask(reader).rows

    assert session.source == Source.SESSION
    assert session.reported is not None and session.reported.cost_usd == Decimal("0.5")
    assert (session.reported.count, session.reported.without_cost_count) == (2, 1)
    assert session.reported.average_usd == Decimal("0.5")
    assert (session.itemized.cost_usd, session.itemized.count) == (Decimal("0.3"), 1)
    assert session.itemized.prompt_tokens == 10
    assert session.difference_usd == Decimal("0.2")
    assert chat.reported is not None and chat.reported.cost_usd == Decimal("0.25")
    assert chat.difference_usd == Decimal("0.25")


def test_a_period_has_its_first_and_its_last_day(reader: User) -> None:
    acme = make_organization(zone="America/New_York")
    for number, moment in enumerate(
        [
            datetime(2026, 3, 1, 4, 59, 59, 999999, tzinfo=UTC),  # February there
            datetime(2026, 3, 1, 5, tzinfo=UTC),
            datetime(2026, 4, 1, 3, 59, 59, 999999, tzinfo=UTC),  # summer time by then
            datetime(2026, 4, 1, 4, tzinfo=UTC),
        ]
    ):
        store(acme, reported(acme, str(10**number), parent=f"s{number}", occurred_at=moment))

    (row,) = ask(reader).rows

    assert row.reported is not None and row.reported.cost_usd == Decimal(110)
    assert linked_sum(row, "reported") == Decimal(110)


def test_kinds_show_what_is_itemized_alone(reader: User) -> None:
    acme = make_organization()
    store(acme, reported(acme, "1"), line(acme, "0.2"), line(acme, "0.7", kind="", provider="", model=""))

    nameless, model = ask(reader, "kind").rows

    assert (nameless.group["kind"], nameless.reported, nameless.itemized.cost_usd) == (
        "",
        None,
        Decimal("0.7"),
    )
    assert (model.group["kind"], model.difference_usd, model.itemized.cost_usd) == (
        "model",
        None,
        Decimal("0.2"),
    )


def test_days_come_in_order_and_other_groups_by_cost(reader: User) -> None:
    acme = make_organization()
    store(
        acme,
        reported(acme, "1", parent="s1", occurred_at=NOON.replace(day=12)),
        reported(acme, "2", parent="s2", occurred_at=NOON.replace(day=11), assistant_id="a2"),
    )

    assert [row.group["day"].day for row in ask(reader, "day").rows] == [11, 12]
    assert [row.group["assistant_id"] for row in ask(reader, "assistant_id").rows] == ["a2", "a1"]


def test_people_read_names(reader: User) -> None:
    acme = make_organization()
    RemoteName.objects.create(
        organization=acme, kind="assistant", remote_id="a1", name="Concierge", synced_at=timezone.now()
    )
    store(acme, reported(acme, "1"), reported(acme, "0.5", parent="s2", assistant_id="a2"))

    known, unknown = ask(reader, "assistant_id", "organization").rows

    assert known.names == {"assistant_id": "Concierge", "organization": "Acme"}
    assert unknown.names == {"organization": "Acme"}


def test_filters_narrow_the_sums(reader: User) -> None:
    acme = make_organization()
    store(acme, reported(acme, "1"), reported(acme, "2", parent="s2", assistant_id=""))
    store(acme, reported(acme, "4", parent="c1", source="chat"))

    assert [row.source for row in ask(reader, source=("chat",)).rows] == ["chat"]
    assert [total(row) for row in ask(reader, assistant_id=("",)).rows] == [Decimal(2)]
    assert [total(row) for row in ask(reader, assistant_id=("", "a1"), source=("session",)).rows] == [
        Decimal(3)
    ]


def test_what_is_no_longer_there_leaves_no_row(reader: User) -> None:
    acme = make_organization()
    gone = line(acme, "1")
    change(acme, new=[gone])
    change(acme, old=[gone])

    assert ask(reader, "kind").rows == ()


@pytest.mark.parametrize(
    "group_by",
    [
        (),
        ("day",),
        ("assistant_id",),
        ("day", "assistant_id", "squad_id", "phone_number_id"),
        ("organization", "source"),
        ("kind",),
        ("kind", "analysis_type"),
        ("provider", "model", "day"),
    ],
)
def test_the_rows_behind_each_figure_add_up_to_it(reader: User, group_by: tuple[str, ...]) -> None:
    acme = make_organization(zone="Asia/Kolkata")
    store_variety(acme)

    rows = ask(reader, *group_by).rows

    assert rows
    for row in rows:
        assert linked_sum(row, "itemized") == row.itemized.cost_usd
        if row.reported is not None:
            assert linked_sum(row, "reported") == row.reported.cost_usd


def test_days_of_two_zones_have_no_link_but_by_organization(reader: User) -> None:
    for slug, zone in (("acme", "Asia/Kolkata"), ("other", "UTC")):
        organization = make_organization(slug, zone)
        store(organization, reported(organization, "1", parent=f"{slug}-1"))

    assert [row.itemized.query for row in ask(reader).rows] == [None]
    for row in ask(reader, "organization").rows:
        assert linked_sum(row, "reported") == Decimal(1)


def test_queries_do_not_grow_with_rows(reader: User) -> None:
    acme = make_organization()
    store(acme, reported(acme, "1"))
    with CaptureQueriesContext(connection) as few:
        ask(reader, "day", "assistant_id")
    store(acme, *(reported(acme, "1", parent=f"s-{n}", assistant_id=f"a-{n}") for n in range(100)))
    with CaptureQueriesContext(connection) as many:
        assert len(ask(reader, "day", "assistant_id").rows) == 101

    assert len(few) == len(many) == 3


def store_variety(acme: Any) -> None:
    rows: list[Any] = []
    for number in range(40):
        common: dict[str, Any] = {
            "occurred_at": NOON.replace(day=1 + number % 28, hour=number % 24),
            "assistant_id": ("", "a1", "a 2")[number % 3],
            "squad_id": ("", "q&1")[number % 2],
        }
        source, parent = (("session", f"s{number}"), ("chat", f"c{number}"))[number % 4 == 0]
        phone: dict[str, Any] = {"phone_number_id": ("", "p1")[number % 2]} if source == "session" else {}
        cost = None if number % 7 == 0 else f"0.0{number}0000000{number:03}"
        rows.append(reported(acme, cost, parent=parent, source=source, **common, **phone))
        for kind, analysis, model in (("model", "", "gpt-4o"), ("analysis", "summary", ""), ("", "", "é+1")):
            rows.append(
                line(
                    acme, f"0.000{number}0000001", parent=parent, source=source,
                    kind=kind, analysis_type=analysis, model=model, **common, **phone,
                )
            )  # fmt: skip
    store(acme, *rows)


def total(row: Row) -> Decimal:
    assert row.reported is not None
    return row.reported.cost_usd


def linked_sum(row: Row, which: str) -> Decimal:
    """Add up the rows that the figure's query string lists, as the lists read it."""
    query = (row.itemized if which == "itemized" else row.reported).query  # type: ignore[union-attr]  # asked for where there is one
    assert query is not None
    filter_set = (
        CostLineFilterSet
        if which == "itemized"
        else SessionFilterSet
        if row.source == Source.SESSION
        else ChatFilterSet
    )
    listed = filter_set(QueryDict(query), filter_set.Meta.model.objects.all())
    assert listed.form.is_valid(), listed.form.errors
    found: Decimal | None = listed.qs.order_by().aggregate(sum=Sum("cost_usd"))["sum"]
    return found or Decimal(0)
