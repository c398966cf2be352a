"""The list of sessions: what it shows, finds, filters and costs."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from sessions_app.mirror.names import mirror_names
from sessions_app.models import Edit, Organization, SyncRun
from sessions_app.models.runs import RunKind, RunState, Stream
from sessions_app.vapi.payloads import NameRecord
from tests.admin.rows import START, answer_tool, call_tool, mirror_assistant, mirror_session, say

URL = "/admin/sessions_app/session/"


def body(client: Client, query: str = "") -> str:
    response = client.get(f"{URL}{query}")
    assert response.status_code == 200
    return response.content.decode()


@pytest.fixture
def three(organization: Organization) -> None:
    mirror_assistant(organization, "assistant-1", "Night desk")
    mirror_session(
        organization,
        "ada-1",
        1,
        name="Broken lamp",
        assistantId="assistant-1",
        customer={"name": "Ada Byron", "number": "+4915123456789"},
        cost=0.25,
        messages=[
            say("user", "the lamp flickers"),
            call_tool("lookup", "{}"),
            answer_tool('{"error": "down"}'),
        ],
    )
    mirror_session(
        organization, "bob-2", 2, status="completed", customer={"email": "bob@example.org"}, cost=0.0000001
    )
    mirror_session(organization, "nobody-3", 3)


def names(page: str) -> list[str]:
    shown = page.replace("<mark>", "").replace("</mark>", "")
    return [part.split("</bdi>")[0] for part in shown.split("data-row-link><bdi>")[1:]]


def test_rows_show_who_what_and_how_much(editor_client: Client, three: None) -> None:
    page = body(editor_client)

    assert names(page) == ["Anonymous", "bob@example.org", "Ada Byron"]
    for words in ("Broken lamp", "Night desk", "$0.25", 'title="1 failed tool call"', "active", "completed"):
        assert words in page
    assert "&lt; $0.0001" in page
    assert 'title="$0.0000001"' in page


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("?search=flickers", ["Ada Byron"]),
        ("?search=12345", ["Ada Byron"]),
        ("?search=ada+12345", ["Ada Byron"]),
        ("?search=flickers+0151+234", ["Ada Byron"]),
        ("?search=bob+12345", []),
        ("?search=%2B49+151+2345", ["Ada Byron"]),
        ("?search=bob-2", ["bob@example.org"]),
        ("?status=completed", ["bob@example.org"]),
        ("?assistant_id=assistant-1", ["Ada Byron"]),
        ("?failed_tools=true", ["Ada Byron"]),
        ("?cost_usd__gte=0.2", ["Ada Byron"]),
        (
            "?created_at__gte=2026-01-31&created_at__lte=2026-01-31",
            ["Anonymous", "bob@example.org", "Ada Byron"],
        ),
        ("?created_at__gte=2026-02-01", []),
        ("?organization=sandbox&status=", ["Anonymous", "bob@example.org", "Ada Byron"]),
        ("?edit_state=queued", []),
        ("?missing=true", []),
        ("?ordering=cost_usd", ["bob@example.org", "Ada Byron", "Anonymous"]),
        ("?ordering=-message_count&status=active", ["Ada Byron", "Anonymous"]),
    ],
)
def test_finding_filtering_and_sorting(
    editor_client: Client, three: None, query: str, found: list[str]
) -> None:
    assert names(body(editor_client, query)) == found


def test_nothing_found_says_what_was_looked_for(editor_client: Client, three: None) -> None:
    page = body(editor_client, "?search=zebra&status=active")
    assert "Nothing found" in page
    assert "“<bdi>zebra</bdi>”" in page
    assert "Status: active" in page
    assert 'href="?search=zebra"' in page


def test_a_filter_that_is_not_understood_is_told_and_finds_nothing(
    editor_client: Client, three: None
) -> None:
    page = body(editor_client, "?cost_usd__gte=much&colour=red")
    assert names(page) == []
    assert "Enter a number." in page
    assert "There is no such filter." in page


@pytest.mark.parametrize("query", ["?cursor=nonsense", "?ordering=colour"])
def test_a_bad_place_is_told_and_shown_from_the_start(editor_client: Client, three: None, query: str) -> None:
    page = body(editor_client, query)
    assert "Shown from the start." in page
    assert len(names(page)) == 3


def test_pages_walk_to_the_end_and_back(editor_client: Client, organization: Organization) -> None:
    for number in range(120):
        # Ties: ten sessions a minute.
        mirror_session(organization, f"s-{number:03}", number // 10, customer={"name": f"Person {number:03}"})
    seen: list[str] = []
    page, links = body(editor_client), []
    while True:
        seen += names(page)
        if 'rel="next"' not in page:
            break
        links.append(page.split('rel="next"')[0].rsplit('href="', 1)[1].split('"')[0].replace("&amp;", "&"))
        page = body(editor_client, links[-1])
    assert seen == [f"Person {number:03}" for number in reversed(range(120))]
    back = page.split('rel="prev"')[0].rsplit('href="', 1)[1].split('"')[0].replace("&amp;", "&")
    assert names(body(editor_client, back)) == seen[50:100]


def test_queries_are_as_many_for_100_rows_as_for_one_and_none_counts(
    editor_client: Client, organization: Organization
) -> None:
    def queries() -> list[str]:
        with CaptureQueriesContext(
            connection,
        ) as captured:
            body(editor_client)
        return [query["sql"] for query in captured]

    mirror_session(organization, "first", assistantId="a-0")
    body(editor_client)
    few = queries()
    for number in range(100):
        session = mirror_session(organization, f"s-{number}", number, assistantId=f"a-{number}")
        Edit.objects.create(organization=organization, session_id=session.pk, fields={"name": "x"})
    many = queries()
    assert len(many) == len(few)
    assert not [sql for sql in many if "COUNT(" in sql.upper()]


def test_an_open_edit_is_shown_in_its_row(editor_client: Client, organization: Organization) -> None:
    mirror_session(organization)
    Edit.objects.create(
        organization=organization, session_id="session-1", fields={"name": "x"}, state="conflict"
    )
    page = body(editor_client)
    assert "An edit is conflict" in page
    assert "1 edit in conflict" in page


def test_who_may_not_see_edits_sees_none_in_a_row(
    viewer_client: Client, viewer: User, organization: Organization
) -> None:
    mirror_session(organization)
    Edit.objects.create(organization=organization, session_id="session-1", fields={"name": "x"})
    assert "An edit is queued" in body(viewer_client)
    viewer.user_permissions.remove(*viewer.user_permissions.filter(codename="view_edit"))
    assert "An edit is queued" not in body(viewer_client)


def test_an_empty_mirror_offers_to_sync(ops_client: Client, organization: Organization) -> None:
    page = body(ops_client)
    assert "No sessions yet" in page
    assert 'action="/admin/sessions_app/syncrun/sync/"' in page


def test_an_empty_mirror_says_that_the_first_sync_runs(
    editor_client: Client, organization: Organization
) -> None:
    SyncRun.objects.create(
        organization=organization,
        stream=Stream.SESSIONS,
        kind=RunKind.BACKFILL,
        state=RunState.RUNNING,
        seen=12,
        total=400,
        started_at=START,
    )
    page = body(editor_client)
    assert "The first sync is running" in page
    assert "12 of about 400" in page


def test_organizations_are_offered_where_there_are_several(editor_client: Client, three: None) -> None:
    assert 'name="organization"' not in body(editor_client)
    Organization.objects.create(slug="second", name="Second", is_sandbox=True)
    assert 'name="organization"' in body(editor_client)


def test_squads_are_offered_where_there_are_any(editor_client: Client, organization: Organization) -> None:
    assert 'name="squad_id"' not in body(editor_client)
    mirror_names(organization, [NameRecord("squad", "squad-1", "Front desk", START)])
    mirror_session(organization, "s-1", squadId="squad-1", customer={"name": "Ada"})
    mirror_session(organization, "s-2", customer={"name": "Bob"})
    page = body(editor_client, "?squad_id=squad-1")
    assert names(page) == ["Ada"]
    assert '<option value="squad-1" selected>Front desk</option>' in page
