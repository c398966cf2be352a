"""A list's query string in the browser finds the same rows over REST, and the figures of the cost page too."""

from __future__ import annotations

import re

import pytest
from django.test import Client

from sessions_app.models import Organization
from tests.search.rows import make_session


@pytest.mark.parametrize(
    "query",
    [
        "status=active",
        "search=blue&status=active%2Ccompleted",
        "created_at__gte=2026-08-01&created_at__lte=2026-08-01&ordering=created_at",
        "organization=sandbox&missing=false&ordering=-message_count",
        "cost_usd__gte=0.5&failed_tools=false&ordering=cost_usd",
        "assistant_id=none",
    ],
)
def test_the_browsers_query_string_works_over_rest(
    organization: Organization, admin_client: Client, query: str
) -> None:
    for number in range(6):
        make_session(
            organization,
            f"session-{number}",
            minute=number % 4,
            said="blue" if number % 2 else "red",
            status="active" if number % 3 else "completed",
            cost_usd=number,
            message_count=number % 2,
        )
    page = admin_client.get(f"/admin/sessions_app/session/?{query}").text
    answer = admin_client.get(f"/api/v1/sessions/?{query}")
    shown = list(dict.fromkeys(re.findall(r"/admin/sessions_app/session/(session-\d)/", page)))
    assert answer.status_code == 200
    assert shown == [row["id"] for row in answer.json()["results"]]
    assert shown
