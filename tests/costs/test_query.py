"""What a query string asks for, and what is refused."""

from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from sessions_app.costs.period import Period
from sessions_app.costs.query import BadQuery, CostQuery, parse_query

TODAY = date(2026, 3, 15)


def parse(**parameters: str | list[str]) -> CostQuery:
    lists = {name: value if isinstance(value, list) else [value] for name, value in parameters.items()}
    return parse_query(lists, TODAY, ["acme"])


def test_groups_filters_and_days() -> None:
    query = parse(
        day__gte="2026-01-01",
        day__lte="2026-01-31",
        group_by=["day,assistant", "kind"],
        assistant_id="a1,none",
        model="a, b",
    )

    assert query.period == Period(date(2026, 1, 1), date(2026, 1, 31))
    assert query.group_by == ("day", "assistant_id", "kind")
    assert query.filters == {"assistant_id": ("a1", ""), "model": ("a, b",)}


@pytest.mark.parametrize(
    ("name", "first", "last"),
    [
        ("last_7_days", date(2026, 3, 9), TODAY),
        ("last_30_days", date(2026, 2, 14), TODAY),
        ("this_month", date(2026, 3, 1), date(2026, 3, 31)),
        ("last_month", date(2026, 2, 1), date(2026, 2, 28)),
    ],
)
def test_named_periods(name: str, first: date, last: date) -> None:
    assert parse(period=name).period == Period(first, last)


def test_one_day_alone_reaches_to_today_or_is_itself() -> None:
    assert parse(day__gte="2026-03-01").period == Period(date(2026, 3, 1), TODAY)
    assert parse(day__lte="2026-03-01").period == Period(date(2026, 3, 1), date(2026, 3, 1))


@pytest.mark.parametrize(
    ("parameters", "name"),
    [
        ({"colour": "red"}, "colour"),
        ({"period": "last_century"}, "period"),
        ({"period": "this_month", "day__gte": "2026-01-01"}, "period"),
        ({"day__gte": "2026-02-30"}, "day__gte"),
        ({"day__gte": "2026-02-02", "day__lte": "2026-02-01"}, "day__lte"),
        ({"day__gte": "1066-10-14"}, "day__lte"),
        ({"group_by": "customer"}, "group_by"),
        ({"source": "call"}, "source"),
        ({"organization": "other"}, "organization"),
    ],
)
def test_what_is_not_understood_is_refused(parameters: dict[str, str], name: str) -> None:
    with pytest.raises(BadQuery) as error:
        parse(**parameters)
    assert list(error.value.errors) == [name]


def test_days_begin_where_the_clocks_change() -> None:
    """In Berlin 29 March 2026 has 23 hours."""
    day = date(2026, 3, 29)
    assert Period(day, day).moments(ZoneInfo("Europe/Berlin")) == (
        datetime(2026, 3, 28, 23, tzinfo=UTC),
        datetime(2026, 3, 29, 22, tzinfo=UTC),
    )
