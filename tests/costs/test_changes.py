"""The cost page against the period before, narrowed to a part, and on what is not here."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from sessions_app.admin.cost_changes import describe_change
from sessions_app.costs.coverage import read_coverage
from sessions_app.models import Organization, RemoteName
from tests.costs.amounts import NOON, line, make_organization, reported, store

MARCH = "?day__gte=2026-03-01&day__lte=2026-03-31"
FEBRUARY: dict[str, Any] = {"occurred_at": NOON.replace(month=2)}
BEFORE: dict[str, Any] = {"occurred_at": NOON.replace(month=1)}


@pytest.fixture
def acme(db: None) -> Organization:
    acme = make_organization()
    for kind, remote_id, name in (("assistant", "a1", "Night desk"), ("squad", "q1", "Front desk")):
        RemoteName.objects.create(
            organization=acme, kind=kind, remote_id=remote_id, name=name, synced_at=timezone.now()
        )
    return acme


def page(client: Client, query: str = MARCH) -> Any:
    response = client.get(f"/admin/costs/{query}")
    assert response.status_code == 200
    return response


def test_totals_and_assistants_say_how_they_have_changed(ops_client: Client, acme: Organization) -> None:
    store(acme, reported(acme, "1", parent="s0", **BEFORE))
    store(acme, reported(acme, "2", parent="s1", **FEBRUARY), reported(acme, "5", parent="s2"))
    store(acme, reported(acme, "4", parent="s3", assistant_id="a2", **FEBRUARY))
    store(
        acme,
        reported(acme, "3", parent="s4", assistant_id="a2"),
        reported(acme, "1", parent="s5", assistant_id="a3"),
    )

    answer = page(ops_client)

    (card,) = answer.context["totals"]
    assert (card["change"], card["was"].exact) == ("+50%", "$6")
    assert "1 Feb 2026 to 28 Feb 2026" in answer.content.decode()
    rows = {row.title: row.figures[1] for row in answer.context["tables"][0].rows}
    assert {title: figure.change for title, figure in rows.items()} == {
        "Night desk": "\N{MULTIPLICATION SIGN}2.5", "a2": "\N{MINUS SIGN}25%", "a3": "new"
    }  # fmt: skip
    assert rows["a2"].was == "$4.0000 from 1 Feb 2026 to 28 Feb 2026"


def test_nothing_is_compared_with_what_is_not_here_whole(ops_client: Client, acme: Organization) -> None:
    """February begins on the 10th here: what was before, Vapi no longer had."""
    store(acme, reported(acme, "2", parent="s1", **FEBRUARY), reported(acme, "5", parent="s2"))

    answer = page(ops_client)

    assert answer.context["totals"][0]["change"] == ""
    assert [row.figures[1].change for row in answer.context["tables"][0].rows] == [""]


@pytest.mark.parametrize(
    ("now", "then", "words"),
    [
        ("1.5", "1", "+50%"),
        ("0.5", "1", "-50%"),
        ("1.001", "1", "±0%"),
        ("2", "1", "x2"),
        ("12.34", "1", "x12.3"),
        ("1", "0", "new"),
        ("0", "0", ""),
        ("0", "1", "-100%"),
        ("-1", "1", ""),
        ("1", "-1", ""),
    ],
)
def test_a_change_in_words(now: str, then: str, words: str) -> None:
    plain = describe_change(Decimal(now), Decimal(then))
    assert plain.replace("\N{MULTIPLICATION SIGN}", "x").replace("\N{MINUS SIGN}", "-") == words


def test_squads_have_their_names(ops_client: Client, acme: Organization) -> None:
    of_squad: dict[str, Any] = {"assistant_id": "", "squad_id": "q1"}
    store(acme, reported(acme, "3", **of_squad), line(acme, "3", **of_squad))
    store(acme, reported(acme, "2", parent="s2", assistant_id=""))
    store(acme, reported(acme, "1", parent="s3"), reported(acme, "0.5", parent="s4", squad_id="q1"))

    rows = page(ops_client).context["tables"][0].rows

    assert [(row.title, row.note) for row in rows] == [
        ("Front desk", "Squad · q1"),
        ("No assistant", ""),
        ("Night desk", "a1"),
        ("Night desk", "in squad Front desk · a1"),
    ]


def test_a_row_leads_to_its_own_page_and_back(ops_client: Client, acme: Organization) -> None:
    store(acme, reported(acme, "3"), line(acme, "3"), reported(acme, "2", parent="s2", assistant_id="a2"))
    store(acme, reported(acme, "1", parent="s3", assistant_id="", squad_id="q1"))

    first, _, squad = page(ops_client).context["tables"][0].rows
    alone = page(ops_client, first.href)

    assert [card["total"].exact for card in alone.context["totals"]] == ["$3"]
    (narrowed,) = alone.context["narrowed"]
    assert (narrowed.title, narrowed.words, narrowed.widened) == ("Assistant", "Night desk", MARCH)
    words = alone.content.decode()
    assert "Assistant: <bdi>Night desk</bdi>" in words
    # Another period is of the same assistant.
    assert "?assistant_id=a1&amp;period=last_month" in words
    assert '<input type="hidden" name="assistant_id" value="a1">' in words
    of_squad = page(ops_client, squad.href)
    assert [(each.title, each.words) for each in of_squad.context["narrowed"]] == [
        ("Assistant", "none"),
        ("Squad", "Front desk"),
    ]
    assert [card["total"].exact for card in of_squad.context["totals"]] == ["$1"]


def test_a_period_that_begins_before_its_rows_says_so(ops_client: Client, acme: Organization) -> None:
    store(
        acme,
        reported(acme, "3"),
        reported(acme, "1", parent="c1", source="chat", occurred_at=NOON.replace(day=1)),
    )
    words = " ".join(page(ops_client).content.decode().split())
    assert "Sessions here begin on 10 Mar 2026: 9 of these 31 days are before that" in words
    assert "Chats here begin" not in words
    assert "here begin" not in page(ops_client, "?day__gte=2026-03-10&day__lte=2026-03-31").content.decode()
    earlier = " ".join(page(ops_client, "?day__gte=2026-02-01&day__lte=2026-02-28").content.decode().split())
    assert "Sessions here begin on 10 Mar 2026: 28 of these 28 days are before that" in earlier


def test_beginnings_are_of_all_organizations_that_have_rows(admin: User, acme: Organization) -> None:
    other, empty = make_organization("other"), make_organization("empty")
    store(acme, reported(acme, "3"))
    store(other, reported(other, "3", parent="s2", occurred_at=NOON.replace(day=12)))
    assert read_coverage(admin, [acme, other, empty]).begins_on == {
        "sessions": date(2026, 3, 12),
        "chats": None,
    }
    assert read_coverage(admin, [acme]).begins_on["sessions"] == date(2026, 3, 10)


def test_an_average_is_of_those_that_report_a_cost(ops_client: Client, acme: Organization) -> None:
    store(acme, reported(acme, "3"), reported(acme, None, parent="s2"))
    words = " ".join(page(ops_client).content.decode().split())
    assert "on average of the 1 that report a cost" in words
