"""The filter bar: what its form sends when another filter is chosen is what the list was asked for."""

from __future__ import annotations

import csv
import re
from datetime import UTC, datetime
from html.parser import HTMLParser
from io import StringIO
from urllib.parse import urlencode

import pytest
from django.test import Client

from sessions_app.edits import trail
from sessions_app.models import BulkEdit, Edit, Organization
from tests.search.rows import make_session

URL = "/admin/sessions_app/session/"


class FilterForm(HTMLParser):
    """What a browser sends of the filter bar: names and values."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.is_inside = False
        self.sent: dict[str, str] = {}
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.is_inside = self.is_inside or "data-filters" in given
        name, value = given.get("name") or "", given.get("value") or ""
        if self.is_inside and tag == "input" and name and value and _is_sent(given, value):
            self.sent[name] = value

    def handle_endtag(self, tag: str) -> None:
        self.is_inside = self.is_inside and tag != "form"


def _is_sent(given: dict[str, str | None], value: str) -> bool:
    """An unticked box is not sent, nor what is no day in a field for days."""
    if given.get("type") == "checkbox":
        return "checked" in given
    return given.get("type") != "date" or re.fullmatch(r"\d{4}-\d\d-\d\d", value) is not None


def body(client: Client, asked: dict[str, str] | str) -> str:
    query = asked if isinstance(asked, str) else urlencode(asked)
    answer = client.get(f"{URL}?{query}")
    assert answer.status_code == 200
    return answer.content.decode()


@pytest.mark.parametrize(
    "asked",
    [
        {"created_at__gte": "2026-03-09T23:00:00Z", "created_at__lt": "2026-03-10T23:00:00Z"},
        {"created_at__gte": "20260309", "created_at__lte": "2026-W11-2"},
        {"created_at__gte": "2026-03-09", "created_at__lte": "2026-03-10"},
        {"failed_tools": "false"},
        {"failed_tools": "true", "missing": "false"},
        {"cost_usd__gte": "0.000000000001"},
    ],
)
def test_another_filter_leaves_the_others_as_they_are(
    editor_client: Client, organization: Organization, asked: dict[str, str]
) -> None:
    assert FilterForm(body(editor_client, asked)).sent == asked


def test_rows_of_the_day_before_stay_out(editor_client: Client, organization: Organization) -> None:
    make_session(organization, "day-before", created_at=datetime(2026, 3, 9, 12, tzinfo=UTC))
    make_session(organization, "that-day", created_at=datetime(2026, 3, 10, 12, tzinfo=UTC))
    berlin = {"created_at__gte": "2026-03-09T23:00:00Z", "created_at__lt": "2026-03-10T23:00:00Z"}

    sent = FilterForm(body(editor_client, berlin)).sent
    page = body(editor_client, {**sent, "status": ""})

    assert "that-day" in page
    assert "day-before" not in page


@pytest.fixture
def two(organization: Organization) -> None:
    make_session(organization, "first", status="active")
    make_session(organization, "second", status="completed")
    make_session(organization, "third", status="odd")


def test_a_repeated_filter_means_each_of_its_values(editor_client: Client, two: None) -> None:
    page = body(editor_client, "status=active&status=completed")

    assert "/session/first/" in page
    assert "/session/second/" in page
    assert "/session/third/" not in page


def test_all_that_match_are_those_that_the_list_shows(ops_client: Client, two: None) -> None:
    form = {"all": "1", "query": "status=active&status=completed", "change": "name", "name": "x"}

    page = ops_client.post("/admin/sessions_app/bulkedit/choose/", form)

    assert page.status_code in (200, 302)
    assert BulkEdit.objects.get().selection == {"ids": ["first", "second"]}


def test_the_export_of_the_audit_has_what_its_list_shows(admin_client: Client, two: None) -> None:
    for state in ("queued", "applied", "failed"):
        edit = Edit.objects.create(organization=Organization.objects.get(), session_id="first", state=state)
        trail.record(edit, actor="x")

    export = admin_client.get("/admin/sessions_app/edittransition/export/?state=queued&state=failed")

    rows = csv.DictReader(StringIO(export.getvalue().decode()))
    assert [row["state"] for row in rows] == ["queued", "failed"]
