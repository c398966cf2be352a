"""The rollup equals the sum of its rows, to the last digit."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from random import Random

import pytest
from django.db import DatabaseError, connection, transaction
from django.test.utils import CaptureQueriesContext

from sessions_app.costs.lines import LineRow, ReportedRow
from sessions_app.models import CostRollup, Organization
from tests.costs.amounts import NOON, change, line, make_organization, reported

pytestmark = pytest.mark.django_db


def test_lines_of_one_key_are_added_exactly() -> None:
    acme = make_organization()

    change(acme, new=[line(acme, "0.000000000001", prompt_tokens=7), line(acme, "0.1"), line(acme, "0.2")])

    row = CostRollup.objects.get()
    assert row.cost_usd == Decimal("0.300000000001")
    assert (row.day, row.is_itemized, row.kind, row.model) == (date(2026, 3, 10), True, "model", "gpt-4o")
    assert (row.line_count, row.without_cost_count, row.prompt_tokens) == (3, 0, 7)


def test_what_is_reported_stands_apart_from_what_is_itemized() -> None:
    acme = make_organization()

    change(acme, new=[reported(acme, "0.5"), reported(acme, None, parent="s2"), line(acme, "0.3")])

    total = CostRollup.objects.get(is_itemized=False)
    assert (total.kind, total.cost_usd, total.line_count, total.without_cost_count) == (
        "",
        Decimal("0.5"),
        2,
        1,
    )
    assert CostRollup.objects.get(is_itemized=True).cost_usd == Decimal("0.3")


def test_old_rows_are_taken_away() -> None:
    acme = make_organization()
    before: list[LineRow | ReportedRow] = [
        line(acme, "0.3"),
        line(acme, "0.4", kind="analysis"),
        reported(acme, "0.7"),
    ]
    change(acme, new=before)

    change(acme, old=before, new=[line(acme, "0.35"), reported(acme, "0.35")])

    assert dict(CostRollup.objects.values_list("kind", "cost_usd")) == {
        "model": Decimal("0.35"),
        "analysis": Decimal(0),
        "": Decimal("0.35"),
    }
    assert CostRollup.objects.get(kind="analysis").line_count == 0


def test_nothing_is_written_where_nothing_changed() -> None:
    acme = make_organization()
    row = line(acme, "0.3")
    change(acme, new=[row])

    with CaptureQueriesContext(connection) as queries:
        change(acme, old=[row], new=[row._replace(id="session:s1:9", position=9)])

    assert len(queries) == 0


def test_the_day_is_that_of_the_report_time_zone() -> None:
    acme = make_organization(zone="Asia/Kolkata")  # UTC+05:30
    late = datetime(2026, 3, 10, 18, 29, 59, 999999, tzinfo=UTC)

    change(acme, new=[line(acme, "1", occurred_at=late)])
    change(acme, new=[line(acme, "2", occurred_at=datetime(2026, 3, 10, 18, 30, tzinfo=UTC))])

    assert dict(CostRollup.objects.values_list("day", "cost_usd")) == {
        date(2026, 3, 10): Decimal(1),
        date(2026, 3, 11): Decimal(2),
    }


def test_the_last_hour_of_the_calendar_has_a_day() -> None:
    acme = make_organization(zone="Asia/Tokyo")

    change(acme, new=[line(acme, "1", occurred_at=datetime(9999, 12, 31, 23, tzinfo=UTC))])

    assert CostRollup.objects.get().day == date(9999, 12, 31)


def test_many_changes_leave_the_sum_of_what_is_left() -> None:
    acme, random = make_organization(), Random(7)
    kept: dict[int, LineRow] = {}
    for _ in range(40):
        places = random.sample(range(60), 20)
        old = [kept.pop(place) for place in places if place in kept]
        new = {place: _some_line(acme, random) for place in places if random.random() < 0.8}
        kept |= new
        change(acme, old=old, new=new.values())

    sums = {row.kind: (row.cost_usd, row.line_count) for row in CostRollup.objects.all()}
    for kind in ("model", "analysis", "a kind of tomorrow"):
        mine = [row for row in kept.values() if row.kind == kind]
        pico = sum(row.cost_pico or 0 for row in mine)
        assert sums[kind] == (Decimal(pico).scaleb(-12), len(mine))


def test_a_batch_larger_than_one_statement_is_stored_whole() -> None:
    acme = make_organization()

    change(acme, new=[line(acme, "0.01", assistant_id=f"a{n}", occurred_at=NOON) for n in range(1200)])

    assert CostRollup.objects.count() == 1200


def test_names_and_days_of_any_kind_are_kept_as_they_are() -> None:
    acme = make_organization()
    odd = ['"quoted"', "back\\slash", "new\nline", "{}", "null", "\u2028 😀", "'"]
    early = datetime(1, 1, 2, 12, tzinfo=UTC)

    change(acme, new=[line(acme, "-0.01", kind=name, squad_id=name, occurred_at=early) for name in odd])

    stored = CostRollup.objects.values_list("kind", "squad_id", "day", "is_itemized", "cost_usd")
    assert sorted(stored) == sorted((name, name, date(1, 1, 2), True, Decimal("-0.01")) for name in odd)


@pytest.mark.parametrize("lines", [10, 20], ids=["above 63 bits", "above 64 bits"])
def test_a_sum_that_no_column_holds_is_refused(lines: int) -> None:
    acme = make_organization()

    with pytest.raises((DatabaseError, OverflowError)), transaction.atomic():
        change(acme, new=[line(acme, "999999") for _ in range(lines)])

    assert not CostRollup.objects.exists()


@pytest.mark.parametrize("sign", ["", "-"])
def test_a_sum_that_outgrows_its_column_is_refused(sign: str) -> None:
    acme = make_organization()
    change(acme, new=[line(acme, f"{sign}999999") for _ in range(9)])

    with pytest.raises(DatabaseError), transaction.atomic():
        change(acme, new=[line(acme, f"{sign}999999")])

    assert CostRollup.objects.get().cost_usd == Decimal(f"{sign}8999991")


def _some_line(organization: Organization, random: Random) -> LineRow:
    usd = f"{random.randrange(10**12)}e-12" if random.random() < 0.9 else None
    kind = random.choice(["model", "analysis", "a kind of tomorrow"])
    return line(organization, usd, kind=kind)
