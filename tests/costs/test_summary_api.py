"""/api/v1/costs/summary/: exact sums, and addresses that list their rows."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from sessions_app.models import Organization
from sessions_app.tokens import make_token
from tests.costs.amounts import line, make_organization, reported, store

MARCH = "day__gte=2026-03-01&day__lte=2026-03-31"
URL = "/api/v1/costs/summary/"


@pytest.fixture
def acme(db: None) -> Organization:
    return make_organization()


@pytest.fixture
def program(db: None) -> Callable[[str], Client]:
    def make(scope: str) -> Client:
        _, text = make_token("test", [scope])
        return Client(headers={"Authorization": f"Bearer {text}"})

    return make


@pytest.fixture
def reader(program: Callable[[str], Client]) -> Client:
    return program("costs:read")


def ask(client: Client, query: str) -> Any:
    response = client.get(f"{URL}?{MARCH}&{query}")
    assert response.status_code == 200, response.content
    return response.json()


def test_sums_are_exact_and_by_source(reader: Client, acme: Organization) -> None:
    store(acme, reported(acme, "0.3"), line(acme, "0.100000000001"))
    store(acme, reported(acme, "2", parent="c1", source="chat"))

    answer = ask(reader, "")

    session, chat = answer["results"]
    assert (session["source"], session["reported_usd"], session["itemized_usd"]) == (
        "session",
        "0.3",
        "0.100000000001",
    )
    assert (session["difference_usd"], session["count"], session["line_count"]) == ("0.199999999999", 1, 1)
    assert (chat["source"], chat["reported_usd"]) == ("chat", "2")
    assert (answer["first_day"], answer["last_day"], answer["time_zones"]) == (
        "2026-03-01",
        "2026-03-31",
        ["UTC"],
    )
    assert "not included" in answer["included"]
    assert answer["complete_as_of"] == {"sessions": None, "chats": None}
    assert answer["without_full_sync"] == {"sessions": ["acme"], "chats": ["acme"]}


def test_groups_may_be_repeated(reader: Client, acme: Organization) -> None:
    store(acme, reported(acme, "0.3"))

    answer = ask(reader, "group_by=day&group_by=assistant")

    assert answer["group_by"] == ["day", "assistant_id"]
    assert [row["group"] for row in answer["results"]] == [{"day": "2026-03-10", "assistant_id": "a1"}]


def test_kinds_have_no_reported_figures(reader: Client, acme: Organization) -> None:
    store(acme, reported(acme, "0.3"), line(acme, "0.1"))

    (row,) = ask(reader, "group_by=kind")["results"]

    assert (row["group"], row["reported_usd"], row["reported_url"], row["itemized_usd"]) == (
        {"kind": "model"},
        None,
        None,
        "0.1",
    )


def test_the_rows_at_the_addresses_add_up(
    reader: Client, program: Callable[[str], Client], acme: Organization
) -> None:
    store(acme, *(reported(acme, f"0.{number}1", parent=f"s{number}") for number in range(1, 9)))
    store(acme, *(line(acme, f"0.{number}2", parent=f"s{number}", model="") for number in range(1, 9)))
    store(acme, reported(acme, "9", parent="c1", source="chat", assistant_id=""))

    for row in ask(reader, "group_by=assistant_id")["results"]:
        parents = program("sessions:read").get(row["reported_url"]).json()["results"]
        assert str(sum(Decimal(each["cost_usd"]) for each in parents)) == row["reported_usd"]
        lines = reader.get(row["itemized_url"]).json()["results"]
        assert sum(Decimal(each["cost_usd"]) for each in lines) == Decimal(row["itemized_usd"])


def test_of_two_models_no_address_lists_other_rows_than_the_sum_s(reader: Client, acme: Organization) -> None:
    store(acme, line(acme, "1"), line(acme, "3", model="o1"), line(acme, "7", model="x"))

    (both,) = ask(reader, "model=gpt-4o&model=o1")["results"]
    assert (both["itemized_usd"], both["itemized_url"]) == ("4", None)

    for row in ask(reader, "model=gpt-4o&model=o1&group_by=model")["results"]:
        lines = reader.get(row["itemized_url"]).json()["results"]
        assert [each["model"] for each in lines] == [row["group"]["model"]]
    (kinds,) = ask(reader, "kind=model,voice")["results"]
    assert len(reader.get(kinds["itemized_url"]).json()["results"]) == 3


@pytest.mark.parametrize(
    "query", ["colour=red", "group_by=customer", "day__gte=tomorrow", "organization=nobody"]
)
def test_what_is_not_understood_is_400(reader: Client, acme: Organization, query: str) -> None:
    response = reader.get(f"{URL}?{query}")

    assert response.status_code == 400
    ((name, words),) = response.json().items()
    assert name == query.split("=", maxsplit=1)[0]
    assert name != "colour" or words == ["Unknown parameter."]


def test_rights(program: Callable[[str], Client], acme: Organization) -> None:
    assert program("sessions:read").get(URL).status_code == 403
    assert Client().get(URL).status_code == 401
