"""CSV: exact, complete and harmless in a spreadsheet."""

from __future__ import annotations

import csv
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from sessions_app.costs.coverage import Completeness, Coverage
from sessions_app.costs.export import as_cell, iter_csv
from sessions_app.costs.period import Period
from sessions_app.costs.query import CostQuery
from sessions_app.costs.report import INCLUDED, summarize_costs
from sessions_app.models import RemoteName
from tests.costs.amounts import line, make_organization, reported, store

MARCH = Period(date(2026, 3, 1), date(2026, 3, 31))


def export(*group_by: str) -> list[dict[str, str]]:
    reader = User.objects.create_user("reader")
    report = summarize_costs(reader, CostQuery(MARCH, "", group_by))
    streams = {"sessions": Completeness(datetime(2026, 4, 1, tzinfo=UTC)), "chats": Completeness()}
    coverage = Coverage(streams, 0, {"sessions": date(2026, 3, 2), "chats": None})
    return list(csv.DictReader(iter_csv(report, coverage)))


@pytest.mark.django_db
def test_amounts_are_exact_and_plain() -> None:
    acme = make_organization()
    store(acme, reported(acme, "0.000000000001"), line(acme, "1234.5"), line(acme, None))

    (row,) = export()

    assert row["reported_usd"] == "0.000000000001"
    assert (row["itemized_usd"], row["difference_usd"]) == ("1234.5", "-1234.499999999999")
    assert (row["line_count"], row["lines_without_cost_count"]) == ("2", "1")
    assert (row["first_day"], row["last_day"], row["time_zone"]) == ("2026-03-01", "2026-03-31", "UTC")
    assert row["included"] == INCLUDED
    assert (row["complete_as_of"], row["begins_on"]) == ("2026-04-01T00:00:00.000Z", "2026-03-02")


@pytest.mark.django_db
def test_ids_come_with_names_and_names_are_no_formulas() -> None:
    acme = make_organization()
    RemoteName.objects.create(
        organization=acme,
        kind="assistant",
        remote_id="a1",
        name='=HYPERLINK("http://x")',
        synced_at=timezone.now(),
    )
    store(acme, reported(acme, "1"), line(acme, "1", model="@SUM(A1)"))

    (by_assistant,) = export("assistant_id")

    assert (by_assistant["assistant_id"], by_assistant["assistant_name"]) == (
        "a1",
        '\'=HYPERLINK("http://x")',
    )


@pytest.mark.django_db
def test_kinds_have_no_reported_columns() -> None:
    acme = make_organization()
    store(acme, reported(acme, "1"), line(acme, "0.5", model="@SUM(A1)"))

    (row,) = export("kind", "model")

    assert "reported_usd" not in row
    assert (row["kind"], row["model"], row["itemized_usd"]) == ("model", "'@SUM(A1)", "0.5")


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_text_that_starts_a_formula_is_quoted(start: str) -> None:
    assert as_cell(f"{start}1") == f"'{start}1"


def test_numbers_are_not_quoted() -> None:
    assert (as_cell(Decimal("-0.50")), as_cell(-3), as_cell(None)) == ("-0.5", "-3", "")
