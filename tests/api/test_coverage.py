"""Coverage over REST: days as proven, and how complete the other lists say they are."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from sessions_app.api import documents
from sessions_app.costs.coverage import Completeness, complete_as_of, read_coverage
from sessions_app.models import Coverage, Organization, Watermark
from sessions_app.models.runs import Stream

pytestmark = pytest.mark.django_db

READ_AT = datetime(2026, 8, 4, 12, 0, 5, tzinfo=UTC)
FIRST = date(2026, 8, 1)


@pytest.fixture
def days(organization: Organization) -> list[Coverage]:
    """Four days of sessions: three proven after their end, the last one before it."""
    Watermark.objects.create(
        organization=organization, stream="sessions", updated_at=READ_AT, backfilled_at=READ_AT
    )
    return [make_day(organization, number) for number in range(4)]


def make_day(organization: Organization, number: int, **fields: Any) -> Coverage:
    day = FIRST + timedelta(days=number)
    counts = {"upstream_count": 7, "mirrored_count": 7}
    defaults = {"stream": "sessions", "state": "proven", "proven_at": READ_AT, "requests": 1, **counts}
    return Coverage.objects.create(organization=organization, day=day, **{**defaults, **fields})


def test_days_are_listed_newest_first(
    client: Client, days: list[Coverage], organization: Organization
) -> None:
    rows = client.get("/api/v1/coverage/").json()["results"]

    assert [row["day"] for row in rows] == ["2026-08-04", "2026-08-03", "2026-08-02", "2026-08-01"]
    assert set(rows[0]) == set(documents.CoverageRow().fields)
    assert rows[0]["organization"] == organization.slug
    assert (rows[0]["state"], rows[0]["upstream_count"], rows[0]["mirrored_count"]) == ("proven", 7, 7)


@pytest.mark.parametrize("ordering", ["day", "-day", "proven_at"])
def test_the_links_lead_through_all_days(client: Client, days: list[Coverage], ordering: str) -> None:
    seen: list[str] = []
    address = f"/api/v1/coverage/?limit=1&ordering={ordering}"
    while address:
        answer = client.get(address).json()
        seen += [row["day"] for row in answer["results"]]
        address = answer["next"]
    assert sorted(seen) == [str(day.day) for day in days]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"day": "2026-08-02"}, {2}),
        ({"day__gte": "2026-08-03"}, {3, 4}),
        ({"day__lte": "2026-08-01"}, {1}),
        ({"state": "differs"}, set()),
        ({"state": "proven,differs"}, {1, 2, 3, 4}),
        ({"stream": "chats"}, set()),
        ({"stream": "sessions"}, {1, 2, 3, 4}),
    ],
)
def test_days_are_found_by(
    client: Client, days: list[Coverage], query: dict[str, str], expected: set[int]
) -> None:
    rows = client.get("/api/v1/coverage/", query).json()["results"]
    assert {int(row["day"][-2:]) for row in rows} == expected


@pytest.mark.parametrize("query", [{"day": "yesterday"}, {"stream": "names"}, {"state": "fine"}])
def test_what_is_not_understood_is_an_error(client: Client, query: dict[str, str]) -> None:
    assert client.get("/api/v1/coverage/", query).status_code == 400


def test_lists_say_up_to_when_they_are_complete(client: Client, days: list[Coverage]) -> None:
    answer = client.get("/api/v1/sessions/")

    assert answer["Vapiadmin-Complete-As-Of"].startswith("2026-08-04T12:00:05")
    assert answer["Vapiadmin-Proven-Through"] == "2026-08-03"
    # Cost lines need the chats too, which were never read.
    assert "Vapiadmin-Complete-As-Of" not in client.get("/api/v1/costs/")
    assert "Vapiadmin-Complete-As-Of" not in client.get("/api/v1/chats/")
    assert "Vapiadmin-Complete-As-Of" not in client.get("/api/v1/sync-runs/")


def test_another_organization_that_was_not_read_makes_the_list_incomplete(
    client: Client, days: list[Coverage], organization: Organization
) -> None:
    Organization.objects.create(slug="new", name="New", base_url="http://127.0.0.1:9", is_sandbox=True)

    assert "Vapiadmin-Complete-As-Of" not in client.get("/api/v1/sessions/")
    alone = client.get("/api/v1/sessions/", {"organization": organization.slug})
    assert alone["Vapiadmin-Proven-Through"] == "2026-08-03"
    both = client.get("/api/v1/sessions/", {"organization": f"{organization.slug}, new"})
    assert "Vapiadmin-Complete-As-Of" not in both


def test_a_day_that_differs_ends_what_is_proven(organization: Organization, days: list[Coverage]) -> None:
    Coverage.objects.filter(pk=days[1].pk).update(state="differs")

    found = complete_as_of([organization.pk], [Stream.SESSIONS])

    assert found == Completeness(READ_AT, FIRST)


def test_the_cost_page_says_what_is_proven(
    ops_client: Client, ops: User, organization: Organization, days: list[Coverage]
) -> None:
    assert read_coverage(ops, [organization]).streams["sessions"].proven_through == date(2026, 8, 3)
    assert "proven day by day through 3 Aug 2026" in ops_client.get("/admin/costs/").text
