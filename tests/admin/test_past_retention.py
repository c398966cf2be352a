"""Rows past Vapi's retention stay, are found like others, and say so: list, page, REST, costs."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client
from django.utils import timezone

from sessions_app.models import Chat, Organization, Session, Watermark
from tests.admin.rows import mirror_chat, mirror_session, say

LIST = "/admin/sessions_app/session/"
NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def gone(organization: Organization) -> None:
    """A session and its chat that Vapi had, long ago."""
    customer = {"number": "+4915199988877", "name": "Ada"}
    mirror_session(organization, customer=customer, cost=0.5, messages=[say("user", "zwetschge please")])
    mirror_chat(organization, sessionId="session-1", cost=0.25)
    past = {"missing_since": timezone.now() - timedelta(days=1), "missing_reason": "beyond_retention"}
    Session.objects.update(**past)
    Chat.objects.update(**past)


@pytest.mark.parametrize(
    "query", ["", "?search=98887", "?search=zwetschge", "?search=session-1", "?missing=true"]
)
def test_the_list_finds_it_and_says_so(ops_client: Client, query: str) -> None:
    page = ops_client.get(f"{LIST}{query}").content.decode()
    assert "Ada" in page
    assert "past retention" in page


def test_its_page_and_the_chats_list_say_so(ops_client: Client) -> None:
    page = ops_client.get(f"{LIST}session-1/change/").content.decode()
    assert "Vapi no longer has this session" in page
    assert "It is older than Vapi keeps." in page
    assert "zwetschge please" in page
    assert "past retention" in ops_client.get("/admin/sessions_app/chat/").content.decode()
    assert (
        "Vapi no longer has this chat"
        in ops_client.get("/admin/sessions_app/chat/chat-1/change/").content.decode()
    )


@pytest.mark.parametrize("query", ["", "?search=98887", "?q=zwetschge", "?missing=true"])
def test_rest_finds_it_and_says_so(ops_client: Client, query: str) -> None:
    [row] = ops_client.get(f"/api/v1/sessions/{query}").json()["results"]
    assert (row["id"], row["missing_reason"]) == ("session-1", "beyond_retention")
    detail = ops_client.get("/api/v1/sessions/session-1/").json()
    assert detail["missing_since"]
    assert detail["payload"]["messages"]
    assert ops_client.get("/api/v1/chats/chat-1/").json()["missing_reason"] == "beyond_retention"


def test_its_costs_count_and_reports_say_up_to_when_they_are_complete(
    ops_client: Client, organization: Organization
) -> None:
    for stream in ("sessions", "chats"):
        Watermark.objects.create(
            organization=organization, stream=stream, updated_at=NOON, backfilled_at=NOON
        )
    period = "day__gte=2026-01-31&day__lte=2026-01-31"
    summary = ops_client.get(f"/api/v1/costs/summary/?{period}").json()
    assert {row["source"]: row["reported_usd"] for row in summary["results"]} == {
        "session": "0.5",
        "chat": "0.25",
    }
    assert summary["complete_as_of"] == {"sessions": "2026-01-31T12:00:00Z", "chats": "2026-01-31T12:00:00Z"}
    page = ops_client.get(f"/admin/costs/?{period}").content.decode()
    assert "Sessions complete as of" in page
    assert "Chats complete as of" in page
    answer = ops_client.get(f"/admin/costs/?{period}&format=csv")
    rows = list(csv.DictReader(io.StringIO(answer.getvalue().decode())))
    assert {row["complete_as_of"] for row in rows} == {"2026-01-31T12:00:00.000Z"}
    for path in ("sessions/", "chats/", "costs/", "sessions/session-1/chats/", "sessions/session-1/costs/"):
        assert ops_client.get(f"/api/v1/{path}")["Vapiadmin-Complete-As-Of"].startswith("2026-01-31T12:00"), (
            path
        )
