"""Why a search found a row: what was said, below the row, asked for when the list is shown."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from sessions_app.models import Organization, Watermark
from sessions_app.models.runs import Stream
from tests.admin.rows import answer_tool, call_tool, mirror_chat, mirror_session, say

SESSIONS, CHATS = "/admin/sessions_app/session/", "/admin/sessions_app/chat/"


def lines(client: Client, words: str, address: str = SESSIONS) -> dict[str, str]:
    """By row of the page that these words find, what stands below it, with what was found in brackets."""
    page = client.get(address, {"search": words}).content.decode()
    rows = re.findall(r'data-said-of="([^"]*)"', page)
    return said_of(client, words, rows, address)


def said_of(client: Client, words: str, rows: list[str], address: str = SESSIONS) -> dict[str, str]:
    answer = client.get(f"{address}said/", {"words": words, "row": rows})
    assert answer.status_code == 200
    found = re.findall(r'<template data-said="([^"]*)">(.*?)</template>', answer.content.decode(), re.DOTALL)
    return {row: _plain(content) for row, content in found}


def _plain(content: str) -> str:
    return re.sub(r"<[^>]+>", "", content.replace("<mark>", "[").replace("</mark>", "]")).strip()


@pytest.fixture
def lamp(organization: Organization) -> None:
    mirror_session(
        organization, "s-own", 1, customer={"name": "Ada Byron", "email": "ada@example.org"},
        messages=[say("user", "The lamp flickers <b>badly</b>"), say("assistant", "Which lamp?")],
    )  # fmt: skip
    mirror_session(organization, "s-chat", 2, customer={"name": "Bob"}, messages=[say("user", "Hello")])
    mirror_chat(organization, "c-1", 2, sessionId="s-chat", input="My lamp is dark", output=[])
    mirror_session(
        organization, "s-tool", 3,
        messages=[call_tool("find_order", '{"what": "lamp"}'), answer_tool('{"error": "gone"}')],
    )  # fmt: skip
    mirror_session(organization, "s-name", 4, name="A lamp", customer={"name": "Eve"})


def test_each_row_says_where_it_was_said(viewer_client: Client, lamp: None) -> None:
    assert lines(viewer_client, "lamp") == {
        "s-own": "Customer: The [lamp] flickers &lt;b&gt;badly&lt;/b&gt;",
        "s-chat": "In a chat, Customer: My [lamp] is dark",
        "s-tool": "find_order: find_order {&quot;what&quot;:&quot;[lamp]&quot;}",
    }


def test_a_row_that_shows_it_says_no_more(viewer_client: Client, lamp: None) -> None:
    page = viewer_client.get(f"{SESSIONS}?search=lamp").content.decode()
    assert set(re.findall(r'data-said-of="([^"]*)"', page)) == {"s-own", "s-chat", "s-tool"}
    assert "A <mark>lamp</mark>" in page
    assert 'data-said-from="said/?words=lamp"' in page
    assert "change/?find=lamp" in page
    assert "data-said-of" not in viewer_client.get(SESSIONS).content.decode()
    assert lines(viewer_client, "ada") == {}
    assert said_of(viewer_client, "", ["s-own"]) == {}


def test_a_field_that_the_row_does_not_show_is_named(
    viewer_client: Client, organization: Organization
) -> None:
    customer = {"name": "Ada", "number": "+4915123456789", "email": "ada@lamps.example"}
    mirror_session(organization, "s-1", customer=customer)
    assert lines(viewer_client, "lamps") == {"s-1": "E-mail: ada@[lamps].example"}


def test_words_of_a_link_are_shown_too(viewer_client: Client, lamp: None) -> None:
    page = viewer_client.get(f"{SESSIONS}?q=lamp+flickers").content.decode()
    assert 'data-said-from="said/?words=lamp%20flickers"' in page
    assert 'data-said-of="s-own"' in page
    assert said_of(viewer_client, "lamp flickers", ["s-own"]) == {
        "s-own": "Customer: The [lamp] [flickers] &lt;b&gt;badly&lt;/b&gt;"
    }


def test_chats_have_theirs(viewer_client: Client, lamp: None) -> None:
    assert lines(viewer_client, "dark", CHATS) == {"c-1": "Customer: My lamp is [dark]"}
    page = viewer_client.get(f"{CHATS}?search=dark").content.decode()
    assert 'data-said-of="c-1"' in page


def test_who_may_not_see_chats_sees_nothing_of_them(viewer: User, viewer_client: Client, lamp: None) -> None:
    viewer.user_permissions.remove(Permission.objects.get(codename="view_chat"))
    assert "s-chat" not in lines(viewer_client, "lamp")
    assert viewer_client.get(f"{CHATS}said/?words=lamp&row=s-own").status_code == 403


@pytest.mark.parametrize("address", [SESSIONS, CHATS])
def test_strangers_see_nothing(stranger_client: Client, client: Client, lamp: None, address: str) -> None:
    assert stranger_client.get(f"{address}said/?words=lamp&row=s-own").status_code == 403
    assert client.get(f"{address}said/?words=lamp&row=s-own").status_code == 302


def test_it_costs_as_many_queries_for_50_rows_as_for_one(
    viewer_client: Client, organization: Organization
) -> None:
    rows: list[str] = []

    def queries() -> list[str]:
        with CaptureQueriesContext(connection) as captured:
            assert len(said_of(viewer_client, "lamp", rows)) == len(rows)
        return [query["sql"] for query in captured]

    def add(number: int) -> None:
        mirror_session(organization, f"s-{number}", number, messages=[say("user", "a lamp")])
        mirror_session(organization, f"t-{number}", number)
        rows.extend((f"s-{number}", f"t-{number}"))
        mirror_chat(organization, f"c-{number}", number, sessionId=f"t-{number}", input="a lamp", output=[])

    add(0)
    queries()
    few = queries()
    for number in range(1, 25):
        add(number)
    assert len(queries()) == len(few)


def test_a_list_reads_no_payload(viewer_client: Client, lamp: None) -> None:
    with CaptureQueriesContext(connection) as captured:
        viewer_client.get(f"{SESSIONS}?search=lamp")
    assert not [query for query in captured if "payload_json" in query["sql"]]


def test_payloads_beyond_what_fits_are_left_out(
    viewer_client: Client, lamp: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sessions_app.admin.said.MOST_CHARACTERS", 10)
    assert lines(viewer_client, "lamp") == {}


@pytest.mark.parametrize(
    ("words", "row"), [("\x00", "s-own"), ("x" * 5000, "s-own"), ("lamp", "a\x00b"), ("lamp", "")]
)
def test_odd_questions_are_answered(viewer_client: Client, lamp: None, words: str, row: str) -> None:
    assert said_of(viewer_client, words, [row]) == {}


def _complete(organization: Organization, **more: Any) -> None:
    for stream in (Stream.SESSIONS, Stream.CHATS):
        Watermark.objects.create(organization=organization, stream=stream, updated_at=timezone.now(), **more)


def test_nothing_found_says_up_to_when_everything_is_here(
    viewer_client: Client, organization: Organization
) -> None:
    mirror_session(organization)
    assert (
        "Not everything that Vapi has is here yet"
        in viewer_client.get(f"{SESSIONS}?search=zebra").content.decode()
    )
    _complete(organization)
    assert "Not everything" in viewer_client.get(f"{SESSIONS}?search=zebra").content.decode()
    Watermark.objects.update(backfilled_at=timezone.now())
    page = viewer_client.get(f"{SESSIONS}?search=zebra").content.decode()
    assert "All that Vapi had" in page
    assert "Not everything" not in page
    assert "All that Vapi had" not in viewer_client.get(f"{SESSIONS}?search=session-1").content.decode()
