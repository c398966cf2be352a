"""The cost page and its CSV: figures, links, rights and the number of queries."""

from __future__ import annotations

import csv
from collections.abc import Callable
from decimal import Decimal
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from sessions_app.models import Organization, RemoteName, Watermark
from tests.costs.amounts import NOON, line, make_organization, reported, store

MARCH = "?day__gte=2026-03-01&day__lte=2026-03-31"
MARKUP = "<img src=x onerror=alert(1)>"


@pytest.fixture
def acme(db: None) -> Organization:
    return make_organization()


def page(client: Client, query: str = MARCH) -> Any:
    response = client.get(f"/admin/costs/{query}")
    assert response.status_code == 200
    return response


def test_the_page_shows_totals_and_links_to_their_rows(ops_client: Client, acme: Organization) -> None:
    store(acme, reported(acme, "1234.5"), line(acme, "1200.000000000001"))
    store(acme, reported(acme, "7.25", parent="c1", source="chat"))

    session, chat = page(ops_client).context["totals"]

    assert (session["total"].text, session["total"].exact) == ("$1,234.50", "$1234.5")
    assert session["itemized"].exact == "$1200.000000000001"
    assert session["difference"].exact == "$34.499999999999"
    assert chat["total"].text == "$7.25"
    listed = ops_client.get(session["itemized"].href)
    assert listed.status_code == 200
    assert "gpt-4o" in listed.content.decode()


def test_days_of_the_chart_are_the_period_s(ops_client: Client, acme: Organization) -> None:
    store(acme, reported(acme, "2"), reported(acme, "3", parent="s2", occurred_at=NOON.replace(day=31)))

    chart = page(ops_client).context["chart"]

    assert len(chart["labels"]) == 31
    (series,) = chart["series"]
    assert [place for place, bar in enumerate(series["reported"]) if bar["usd"]] == [9, 30]
    assert series["reported"][30]["text"] == "$3.0000 · 1 session"


def test_a_long_period_is_shown_by_month(ops_client: Client, acme: Organization) -> None:
    store(acme, reported(acme, "2"), reported(acme, "3", parent="s2", occurred_at=NOON.replace(day=31)))
    store(acme, reported(acme, "4", parent="s3", occurred_at=NOON.replace(month=7)))

    days = page(ops_client, "?day__gte=2026-03-05&day__lte=2026-12-31").context["day_table"]

    assert [(row.title, row.figures[1].exact) for row in days.rows] == [
        ("March 2026", "$5"),
        ("July 2026", "$4"),
    ]
    assert "created_at__gte=2026-03-05" in days.rows[0].figures[1].href
    assert days.sums[1].exact == "$9"


def test_what_is_beyond_the_longest_table_is_added_up(ops_client: Client, acme: Organization) -> None:
    store(
        acme,
        *(
            reported(acme, f"{number}", parent=f"s{number}", assistant_id=f"a{number}")
            for number in range(1, 61)
        ),
    )

    table = page(ops_client).context["tables"][0]

    assert (len(table.rows), table.rows[0].title, table.rows[-1].title) == (51, "a60", "10 others")
    assert table.rows[-1].figures[1].exact == "$55"
    assert table.sums[1].exact == f"${sum(range(1, 61))}"


def test_the_page_says_what_is_not_included_and_how_complete_it_is(
    ops_client: Client, acme: Organization
) -> None:
    words = page(ops_client).content.decode()
    assert "Calls, subscription and phone numbers are not included" in words
    assert "Sessions not complete" in words
    assert "No costs from 1 Mar 2026 to 31 Mar 2026" in words

    for stream in ("sessions", "chats"):
        Watermark.objects.create(
            organization=acme, stream=stream, updated_at=NOON, backfilled_at=timezone.now()
        )
    assert "complete as of <time" in page(ops_client).content.decode()


@pytest.mark.parametrize(("asked", "total"), [("a,b", "$5"), ("a, b", "$5"), ("a,", "$2"), (",", "$5")])
def test_organizations_are_chosen_by_a_list_however_it_is_spaced(
    ops_client: Client, db: None, asked: str, total: str
) -> None:
    first, second = make_organization("a"), make_organization("b")
    store(first, reported(first, "2"))
    store(second, reported(second, "3", parent="s2"))

    (session,) = page(ops_client, f"{MARCH}&organization={asked}").context["totals"]

    assert session["total"].exact == total


def test_a_parameter_that_is_not_understood_is_said(ops_client: Client, acme: Organization) -> None:
    response = ops_client.get("/admin/costs/?colour=<b>red</b>&day__gte=x")

    assert response.status_code == 400
    assert "colour: Unknown parameter." in response.content.decode()


def test_days_that_are_not_understood_stand_there_to_be_mended(
    ops_client: Client, acme: Organization
) -> None:
    words = ops_client.get("/admin/costs/?day__gte=2026-03-09&day__lte=2026-03-01").content.decode()
    assert "Last day: The last day is before the first." in words
    assert 'value="2026-03-09"' in words and 'value="2026-03-01"' in words


@pytest.mark.parametrize("only", ["kind=model", "model=gpt-4o", "provider=openai", "analysis_type=none"])
def test_of_one_kind_only_what_is_itemized_is_shown(
    ops_client: Client, acme: Organization, only: str
) -> None:
    store(acme, reported(acme, "9"), line(acme, "2"), line(acme, "4", kind="voice", provider="x", model="y"))

    shown = page(ops_client, f"{MARCH}&{only}")

    (card,) = shown.context["totals"]
    total = "$6" if only == "analysis_type=none" else "$2"
    assert (card["total"].exact, card["itemized"].exact) == (total, total)
    assert only in card["itemized"].href
    assert "cannot be told apart" in shown.content.decode()
    chart = shown.context["chart"]
    assert chart["measures"] == ["itemized"]
    assert chart["series"][0]["itemized"][9]["usd"] == float(total[1:])
    assert shown.context["day_table"].columns == ["Lines", "Itemized"]
    assert "$9" not in shown.content.decode()


def test_of_one_kind_a_long_period_has_no_reported_months(ops_client: Client, acme: Organization) -> None:
    store(acme, reported(acme, "9"), line(acme, "2"))

    days = page(ops_client, "?day__gte=2026-01-01&day__lte=2026-12-31&kind=model").context["day_table"]

    assert [(row.title, [figure.text for figure in row.figures]) for row in days.rows] == [
        ("March 2026", ["1", "$2.0000"])
    ]


@pytest.mark.parametrize("query", [{MARKUP: "1"}, {"organization": MARKUP}])
def test_a_csv_that_is_not_understood_is_answered_as_plain_text(
    ops_client: Client, acme: Organization, query: dict[str, str]
) -> None:
    response = ops_client.get("/admin/costs/", {"format": "csv", **query})

    assert response.status_code == 400
    assert response["Content-Type"] == "text/plain; charset=utf-8"


def test_names_are_written_as_text(ops_client: Client, acme: Organization) -> None:
    RemoteName.objects.create(
        organization=acme, kind="assistant", remote_id="a1", name="</script><b>x", synced_at=timezone.now()
    )
    store(acme, reported(acme, "1"))

    assert "<b>x" not in page(ops_client).content.decode()


def test_the_csv_has_what_a_table_shows(ops_client: Client, acme: Organization) -> None:
    store(acme, reported(acme, "0.000000000001"), reported(acme, "5", parent="s2", assistant_id="a2"))

    response = ops_client.get(f"/admin/costs/{MARCH}&format=csv&group_by=assistant_id")

    assert 'filename="costs-2026-03-01-2026-03-31-by-assistant_id.csv"' in response["Content-Disposition"]
    rows = list(csv.DictReader(StringIO(response.getvalue().decode())))
    assert [(row["assistant_id"], row["reported_usd"]) for row in rows] == [
        ("a2", "5"),
        ("a1", "0.000000000001"),
    ]


def test_rights(
    make_person: Callable[..., User], sign_in: Callable[[User], Client], acme: Organization
) -> None:
    store(acme, reported(acme, "1"))
    person = make_person("teammate")
    assert sign_in(person).get("/admin/costs/").status_code == 403
    person.user_permissions.add(Permission.objects.get(codename="view_costline"))
    client = sign_in(User.objects.get(pk=person.pk))

    shown = page(client)

    assert "format=csv" not in shown.content.decode()
    assert client.get(f"/admin/costs/{MARCH}&format=csv").status_code == 403
    # A person who may not read sessions gets no link to them.
    assert shown.context["totals"][0]["total"].href == ""


def test_queries_do_not_grow_with_rows(ops_client: Client, acme: Organization) -> None:
    store(acme, reported(acme, "1"), line(acme, "1"))
    page(ops_client)
    with CaptureQueriesContext(connection) as few:
        page(ops_client)
    for number in range(100):
        rest: dict[str, Any] = {"parent": f"s-{number}", "assistant_id": f"a-{number}"}
        store(acme, reported(acme, "1", **rest), line(acme, "1", kind=f"k{number}", **rest))
    with CaptureQueriesContext(connection) as many:
        page(ops_client)

    assert len(few) == len(many)
    assert Decimal(page(ops_client).context["totals"][0]["reported"].exact[1:]) == 101
