"""Lists over REST: rows as documented, every filter, links that walk to the end."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.test import Client

from sessions_app.api import documents
from sessions_app.models import (
    Chat,
    ChatPayload,
    CostLine,
    Edit,
    Organization,
    Session,
    SessionPayload,
    SyncRun,
)
from sessions_app.search.filters import SessionFilterSet
from tests.search.rows import START, make_chat, make_session

ROWS = {
    "/api/v1/sessions/": documents.SessionRow,
    "/api/v1/chats/": documents.ChatRow,
    "/api/v1/costs/": documents.CostLineRow,
    "/api/v1/edits/": documents.EditRow,
    "/api/v1/sync-runs/": documents.SyncRunRow,
}


@pytest.fixture
def rows(organization: Organization) -> None:
    make_session(
        organization,
        "aaaa-1",
        minute=1,
        said="I would like a blue kettle",
        name="Kettle",
        status="active",
        assistant_id="a1",
        customer_number="+49 151 23456",
        customer_name="Ann Müller",
        customer_email="ann@shop.example",
        customer_external_id="crm-7",
        cost_usd=Decimal("0.000000000001"),
    )
    make_session(
        organization,
        "bbbb-2",
        minute=2,
        said="nothing blue here",
        status="completed",
        squad_id="q1",
        phone_number_id="p1",
        customer_number="+1 555 0100",
        cost_usd=Decimal("12.5"),
        missing_since=START,
        failed_tool_count=2,
    )
    make_session(organization, "cccc-3", minute=3, name="100% cotton_shirt")
    make_chat(organization, "chat-1", session_id="cccc-3", said="the parcel from Zürich", minute=4)
    make_chat(organization, "chat-2", said="alone", minute=5, cost_usd=Decimal("0.1"))
    CostLine.objects.create(
        id="session:aaaa-1:0",
        organization=organization,
        source="session",
        parent_id="aaaa-1",
        session_id="aaaa-1",
        position=0,
        kind="model",
        model="gpt, large",
        prompt_tokens=7,
        cost_usd=Decimal("0.3"),
        occurred_at=START,
    )
    CostLine.objects.create(
        id="chat:chat-2:0",
        organization=organization,
        source="chat",
        parent_id="chat-2",
        chat_id="chat-2",
        position=0,
        occurred_at=START,
    )
    Edit.objects.create(organization=organization, session_id="bbbb-2", fields={"expirationSeconds": 60})
    SyncRun.objects.create(
        organization=organization, stream="chats", kind="backfill", state="partial", started_at=START
    )


def ids(client: Client, path: str, **query: str) -> list[Any]:
    answer = client.get(path, query)
    assert answer.status_code == 200, answer.text
    return [row["id"] for row in answer.json()["results"]]


@pytest.mark.parametrize("path", ROWS)
def test_rows_have_the_documented_fields(rows: None, client: Client, path: str) -> None:
    results = client.get(path).json()["results"]
    assert results
    assert list(results[0]) != []
    assert set(results[0]) == set(ROWS[path]().fields)


def test_a_session_is_answered_in_full(rows: None, client: Client, organization: Organization) -> None:
    session = client.get("/api/v1/sessions/", {"id": "aaaa-1"}).json()["results"][0]
    assert session["organization"] == organization.slug
    assert session["cost_usd"] == "0.000000000001"
    assert session["created_at"] == "2026-08-01T12:01:00Z"
    assert session["missing_since"] is None
    assert session["customer_number"] == "+49 151 23456"


FILTERS: list[tuple[dict[str, str], set[str]]] = [
    ({"organization": "sandbox"}, {"a", "b", "c"}),
    ({"id": "aaaa-1,cccc-3"}, {"a", "c"}),
    ({"status": "active,completed"}, {"a", "b"}),
    ({"status": "none"}, {"c"}),
    ({"assistant_id": "a1"}, {"a"}),
    ({"assistant_id": "none"}, {"b", "c"}),
    ({"squad_id": "q1"}, {"b"}),
    ({"phone_number_id": "p1"}, {"b"}),
    ({"customer_id": "x"}, set()),
    ({"customer_number": "anonymous"}, set()),
    ({"name": "Kettle"}, {"a"}),
    ({"name": "Kett"}, set()),
    ({"name__contains": "ett"}, {"a"}),
    ({"name__contains": "0% c"}, {"c"}),
    ({"name__contains": "n_s"}, {"c"}),
    ({"name__contains": "n%s"}, set()),
    ({"customer_name": "Ann Müller"}, {"a"}),
    ({"customer_name__contains": "nn m"}, {"a"}),
    ({"customer_email": "ann@shop.example"}, {"a"}),
    ({"customer_email__contains": "shop"}, {"a"}),
    ({"customer_external_id": "crm-7"}, {"a"}),
    ({"customer_external_id__contains": "crm"}, {"a"}),
    ({"customer_number": "+49 151 23456"}, {"a"}),
    ({"customer_number": "+4915123456"}, set()),
    ({"customer_number__contains": "(151) 23"}, {"a"}),
    ({"created_at__gt": "2026-08-01T12:02:00Z"}, {"c"}),
    ({"created_at__gte": "2026-08-01T14:02:00+02:00"}, {"b", "c"}),
    ({"created_at__lt": "2026-08-01T12:02:00Z"}, {"a"}),
    ({"created_at__lte": "2026-08-01"}, {"a", "b", "c"}),
    ({"created_at__lt": "2026-08-01"}, set()),
    ({"created_at__gt": "2026-08-01"}, set()),
    ({"created_at__lte": "9999-12-31"}, {"a", "b", "c"}),
    ({"created_at__gt": "9999-12-31"}, set()),
    ({"created_at__gte": "0001-01-01"}, {"a", "b", "c"}),
    ({"updated_at__gte": "2026-08-01T12:03:00"}, {"c"}),
    ({"expires_at__lte": "2026-08-02T12:01:00Z"}, {"a"}),
    ({"idle_expires_at__gt": "2026-08-02T12:02:00Z"}, {"c"}),
    ({"cost_usd__gt": "0.000000000001"}, {"b"}),
    ({"cost_usd__gte": "0.000000000001"}, {"a", "b"}),
    ({"cost_usd__lt": "12.5"}, {"a"}),
    ({"cost_usd__lte": "12.5"}, {"a", "b"}),
    ({"missing": "true"}, {"b"}),
    ({"missing": "false"}, {"a", "c"}),
    ({"edit_state": "queued,conflict"}, {"b"}),
    ({"edit_state": "applied"}, set()),
    ({"failed_tools": "true"}, {"b"}),
    ({"failed_tools": "false"}, {"a", "c"}),
    ({"q": "blue"}, {"a", "b"}),
    ({"q": "kettle blu"}, {"a"}),
    ({"q": "muller"}, set()),
    ({"q": "zurich"}, {"c"}),
    ({"q": "?!"}, set()),
    ({"search": "muller"}, {"a"}),
    ({"search": "ann blue"}, {"a"}),
    ({"search": "aaaa"}, {"a"}),
    ({"search": "bbbb-2"}, {"b"}),
    ({"search": "BBBB-2"}, {"b"}),
    ({"search": "+49 (151) 23"}, {"a"}),
    ({"search": "555-01"}, {"b"}),
    ({"search": "0151 234"}, {"a"}),
    ({"search": "0151234"}, {"a"}),
    ({"search": "0049 151 234"}, {"a"}),
    ({"search": "004915123"}, {"a"}),
    ({"search": "+49 (0)151 234"}, {"a"}),
    ({"search": "0155"}, {"b"}),
    ({"search": "4901512"}, set()),
    ({"search": "015"}, set()),
    ({"customer_number__contains": "0151 234"}, {"a"}),
    ({"customer_number__contains": "0049 151"}, {"a"}),
    ({"search": "shop.example"}, {"a"}),
    ({"search": "crm-7"}, {"a"}),
    ({"search": "parcel"}, {"c"}),
    ({"search": "--"}, set()),
    ({"q": "blue", "status": "active", "search": "ann"}, {"a"}),
    ({"status": "", "search": " "}, {"a", "b", "c"}),
]


@pytest.mark.parametrize(("query", "found"), FILTERS)
def test_sessions_are_filtered(rows: None, client: Client, query: dict[str, str], found: set[str]) -> None:
    assert {session_id[0] for session_id in ids(client, "/api/v1/sessions/", **query)} == found


def test_an_id_in_upper_case_is_found_as_it_stands(organization: Organization, client: Client) -> None:
    make_session(organization, "AbCd-9")
    assert ids(client, "/api/v1/sessions/", search="AbCd") == ["AbCd-9"]


def test_every_filter_of_sessions_is_tried() -> None:
    tried = {name for query, _ in FILTERS for name in query}
    untried = SessionFilterSet.names() - tried
    # One bound of a time is tried where the four of created_at are.
    assert {name.rpartition("__")[0] for name in untried} <= {
        "updated_at",
        "expires_at",
        "idle_expires_at",
    }, untried


@pytest.mark.parametrize(
    ("path", "query", "found"),
    [
        ("/api/v1/chats/", {"session_id": "cccc-3"}, ["chat-1"]),
        ("/api/v1/chats/", {"session_id": "none"}, ["chat-2"]),
        ("/api/v1/chats/", {"q": "parcel"}, ["chat-1"]),
        ("/api/v1/chats/", {"search": "chat-2"}, ["chat-2"]),
        ("/api/v1/chats/", {"search": "CHAT-2"}, ["chat-2"]),
        ("/api/v1/chats/", {"cost_usd__gte": "0.1"}, ["chat-2"]),
        ("/api/v1/costs/", {"kind": "none"}, ["chat:chat-2:0"]),
        ("/api/v1/costs/", {"kind": "model,x"}, ["session:aaaa-1:0"]),
        ("/api/v1/costs/", {"model": "gpt, large"}, ["session:aaaa-1:0"]),
        ("/api/v1/costs/", {"model": "none", "source": "chat"}, ["chat:chat-2:0"]),
        ("/api/v1/costs/", {"ordering": "cost_usd"}, ["session:aaaa-1:0", "chat:chat-2:0"]),
        ("/api/v1/costs/", {"ordering": "-cost_usd"}, ["session:aaaa-1:0", "chat:chat-2:0"]),
        ("/api/v1/costs/", {"occurred_at__lt": "2026-08-01"}, []),
        ("/api/v1/edits/", {"state": "applied"}, []),
        ("/api/v1/sync-runs/", {"stream": "sessions"}, []),
        ("/api/v1/sessions/cccc-3/chats/", {}, ["chat-1"]),
        ("/api/v1/sessions/aaaa-1/costs/", {}, ["session:aaaa-1:0"]),
        ("/api/v1/sessions/aaaa-1/edits/", {}, []),
    ],
)
def test_other_lists_are_filtered(
    rows: None, client: Client, path: str, query: dict[str, str], found: list[str]
) -> None:
    assert ids(client, path, **query) == found


@pytest.mark.parametrize(
    ("path", "name", "value"),
    [
        ("sessions", "created_at__gt", "yesterday"),
        ("sessions", "created_at__gt", "0001-01-01T00:00:00+14:00"),
        ("sessions", "created_at__gt", "9999-12-31T23:59:59-01:00"),
        ("sessions", "organization", "sandbox,other"),
        ("chats", "organization", "other"),
        ("costs", "organization", "other"),
        ("costs/summary", "organization", "sandbox,other"),
        ("sessions", "cost_usd__gt", "NaN"),
        ("sessions", "cost_usd__gt", "1e400"),
        ("sessions", "cost_usd__gt", "1000000"),
        ("sessions", "cost_usd__gt", "0.0000000000001"),
        ("sessions", "missing", "maybe"),
        ("sessions", "edit_state", "queued,lost"),
        ("sessions", "customer_number__contains", "49"),
        ("sessions", "customer_number__contains", "anna"),
        ("sessions", "status", "a\x00b"),
        ("sessions", "search", "a\x00b"),
        ("sessions", "q", "x" * 1001),
        ("costs", "source", "call"),
        ("edits", "id", "1,two"),
        ("sync-runs", "state", "lost"),
    ],
)
def test_values_that_make_no_sense_are_errors(client: Client, path: str, name: str, value: str) -> None:
    answer = client.get(f"/api/v1/{path}/", {name: value})
    assert answer.status_code == 400
    assert name in answer.json()


def test_a_list_takes_repeated_values_and_others_do_not(rows: None, client: Client) -> None:
    assert len(client.get("/api/v1/sessions/?status=active&status=completed").json()["results"]) == 2
    assert client.get("/api/v1/costs/summary/?group_by=day&group_by=kind").status_code == 200
    for query in (
        *("sessions/?name=a&name=b", "sessions/?limit=1&limit=2", "sessions/?ordering=x&ordering=created_at"),
        *("sessions/?cursor=&cursor=x", "costs/summary/?period=last_month&period=this_month"),
        *("costs/summary/?day__gte=2026-01-01&day__gte=2026-01-02", "costs/summary/?day__lte=x&day__lte=y"),
    ):
        answer = client.get(f"/api/v1/{query}")
        assert (answer.status_code, list(answer.json().values())) == (400, [["Give this parameter once."]])


@pytest.mark.parametrize("ordering", ["", "created_at", "-cost_usd", "cost_usd", "message_count"])
def test_links_walk_to_the_end_and_back(organization: Organization, client: Client, ordering: str) -> None:
    for number in range(7):
        cost = None if number % 3 == 0 else Decimal(number)
        make_session(organization, f"s{number}", cost_usd=cost, status="active")
    url = f"/api/v1/sessions/?limit=3&status=active{'&ordering=' + ordering if ordering else ''}"
    forwards = list(walk(client, url, "next"))
    assert sorted(session_id for part in forwards for session_id in part) == [
        f"s{number}" for number in range(7)
    ]
    assert [len(part) for part in forwards] == [3, 3, 1]
    last_url = last(client, url)
    assert list(walk(client, last_url, "previous")) == forwards[::-1]


def walk(client: Client, url: str | None, link: str) -> Iterator[list[str]]:
    while url:
        answer = client.get(url).json()
        yield [row["id"] for row in answer["results"]]
        assert answer[link] is None or answer[link].startswith("http://testserver/api/v1/sessions/?")
        url = relative(answer[link]) if answer[link] else None


def last(client: Client, url: str) -> str:
    following = client.get(url).json()["next"]
    return last(client, relative(following)) if following else url


def relative(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.path}?{parts.query}"


def test_several_organizations_are_listed_together(organization: Organization, client: Client) -> None:
    other = Organization.objects.create(slug="other", name="Other", is_sandbox=True)
    make_session(organization, "s1", minute=1)
    make_session(other, "s2", minute=2)
    rows = client.get("/api/v1/sessions/").json()["results"]
    assert [(row["id"], row["organization"]) for row in rows] == [("s2", "other"), ("s1", "sandbox")]
    assert ids(client, "/api/v1/sessions/", organization="other") == ["s2"]


def test_a_payload_is_answered_to_the_last_digit(organization: Organization, client: Client) -> None:
    text = '{"id":"s1","cost":0.1000000000000000055511151231257827,"name":"Zoë \\u2028"}'
    make_session(organization, "s1")
    make_chat(organization, "c1")
    SessionPayload.objects.create(session=Session.objects.get(), payload_json=text)
    ChatPayload.objects.create(chat=Chat.objects.get(), payload_json=text)
    for path in ("/api/v1/sessions/s1/", "/api/v1/chats/c1/"):
        assert text in client.get(path).text


def test_microseconds_are_kept(organization: Organization, client: Client) -> None:
    make_session(organization, "s1", created_at=datetime(2026, 8, 1, 1, 2, 3, 456789, tzinfo=UTC))
    assert client.get("/api/v1/sessions/s1/").json()["created_at"] == "2026-08-01T01:02:03.456789Z"
