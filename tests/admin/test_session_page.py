"""The page of a session reads as a conversation."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from sessions_app.models import Edit, Organization, Session
from sessions_app.models.mirrored import MissingReason
from tests.admin.rows import answer_tool, call_tool, mirror_assistant, mirror_chat, mirror_session, say

URL = "/admin/sessions_app/session/session-1/"


def body(client: Client, more: str = "change/") -> str:
    response = client.get(URL + more)
    assert response.status_code == 200
    return response.content.decode()


@pytest.fixture
def session(organization: Organization) -> Session:
    mirror_assistant(organization, "assistant-1", "Night desk")
    return mirror_session(
        organization,
        assistantId="assistant-1",
        name="Broken lamp",
        customer={"name": "Ada Byron", "number": "+4915123456789", "email": "ada@example.org"},
        expirationSeconds=3600,
        cost=0.5,
        costs=[
            {
                "type": "model",
                "model": {"provider": "acme", "model": "m-1"},
                "promptTokens": 7,
                "cost": 0.125,
            },
            {"type": "brand-new", "cost": 0.0000001},
        ],
        messages=[
            say("system", "You are kind."),
            say("user", "مرحبا <b>lamp</b>"),
            say("assistant", "Let me look."),
            call_tool("find_lamp", '{"room": 7, "price": 0.10}'),
            answer_tool('{"error": "no lamp there"}'),
            call_tool("ask_shop", "{}", "call-2"),
            answer_tool('{"stock": 3}', "call-2"),
            say("operator", "taking over"),
        ],
    )


def test_who_spoke_what_and_how_the_tools_answered(editor_client: Client, session: Session) -> None:
    page = body(editor_client)

    for words in ("Ada Byron", "+49 1512 3456789", "ada@example.org", "Night desk", "Broken lamp", "$0.5"):
        assert words in page
    assert "مرحبا &lt;b&gt;lamp&lt;/b&gt;" in page
    assert "1 failed tool call" in page
    assert 'href="#failed-1"' in page
    failed = page.split('id="failed-1"')[0].rsplit("<details", 1)[1]
    assert "va-tool--failed" in failed
    assert "open" in failed
    for words in (
        "find_lamp",
        "no lamp there",
        "&quot;price&quot;: 0.10",
        "&quot;stock&quot;: 3",
        "operator",
    ):
        assert words in page
    assert page.count("open id=") == 1, "only the failed call is open"
    assert "You are kind." in page.split('class="va-system"')[1].split("</details>")[0]


def test_both_expiry_clocks_and_the_lifetime(editor_client: Client, session: Session) -> None:
    page = body(editor_client)
    assert "Expired, from start" in page
    assert "Expired, if idle" in page
    assert page.count("31 Jan 2026, 13:00:00 UTC") >= 2
    assert "3600 s" in page


def test_costs_are_for_those_who_may_see_them(
    ops_client: Client, editor_client: Client, session: Session
) -> None:
    page = body(ops_client)
    for words in ("brand-new", "m-1", "$0.125", "$0.0000001", "$0.1250001", "Reported by Vapi", "$0.3749999"):
        assert words in page
    assert "m-1" not in body(editor_client)


def test_chats_show_their_words(editor_client: Client, session: Session, organization: Organization) -> None:
    mirror_chat(
        organization,
        sessionId="session-1",
        input="is it fixed?",
        output=[say("assistant", "it is, since noon")],
    )
    page = body(editor_client)
    assert "is it fixed?" in page
    assert "it is, since noon" in page
    chat = editor_client.get("/admin/sessions_app/chat/chat-1/change/").content.decode()
    assert "it is, since noon" in chat
    assert "Ada Byron" in chat


def test_the_payload_comes_on_demand(editor_client: Client, session: Session) -> None:
    assert "expirationSeconds" not in body(editor_client)
    assert "&quot;expirationSeconds&quot;: 3600" in body(editor_client, "payload/")


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        (
            {"missing_since": datetime(2026, 2, 1, tzinfo=UTC), "missing_reason": MissingReason.GONE},
            "no longer has this session",
        ),
        (
            {
                "missing_since": datetime(2026, 2, 1, tzinfo=UTC),
                "missing_reason": MissingReason.BEYOND_RETENTION,
            },
            "older than Vapi keeps",
        ),
        ({"has_blank_content": True}, "Zero Data Retention"),
        ({"has_replaced_text": True}, "replaced by"),
        ({"oddities": "name: list"}, "name: list"),
    ],
)
def test_what_is_unusual_is_said(
    editor_client: Client, session: Session, columns: dict[str, object], words: str
) -> None:
    assert words not in body(editor_client)
    Session.objects.filter(pk=session.pk).update(**columns)
    assert words in body(editor_client)


def test_a_session_without_anything_has_a_page(editor_client: Client, organization: Organization) -> None:
    mirror_session(organization)
    page = body(editor_client)
    assert "Anonymous" in page
    assert "Nothing was said yet." in page
    assert "Not reported" in page


def test_a_long_conversation_starts_with_its_first_turns(
    editor_client: Client, organization: Organization
) -> None:
    mirror_session(organization, messages=[say("user", f"word-{number}-end") for number in range(450)])
    page = body(editor_client)
    assert "word-399-end" in page
    assert "word-400-end" not in page
    assert "Show all 450 turns" in page
    assert "word-449-end" in body(editor_client, "change/?turns=all")


def test_a_huge_text_is_cut_on_the_page_and_whole_in_the_payload(
    editor_client: Client, organization: Organization
) -> None:
    mirror_session(organization, messages=[say("user", "x" * 300_000 + "THE-END")])
    page = body(editor_client)
    assert len(page) < 100_000
    assert "300007 characters" in page
    assert "THE-END" in body(editor_client, "payload/")


def test_queries_do_not_grow_with_turns_lines_chats_and_edits(
    ops_client: Client, session: Session, organization: Organization
) -> None:
    def count() -> int:
        with CaptureQueriesContext(connection) as captured:
            body(ops_client)
        return len(captured)

    mirror_chat(organization, sessionId="session-1", input="one")
    Edit.objects.create(organization=organization, session_id="session-1", fields={"name": "x"})
    body(ops_client)
    few = count()
    for number in range(15):
        mirror_chat(organization, f"chat-{number}", sessionId="session-1", input="more")
        Edit.objects.create(organization=organization, session_id="session-1", fields={"name": "x"})
    assert count() == few


def test_an_id_with_odd_letters_has_a_page(editor_client: Client, organization: Organization) -> None:
    mirror_session(organization, "a/b?c d_1")
    page = editor_client.get("/admin/sessions_app/session/").content.decode()
    link = page.split("data-row-link")[0].rsplit('href="', 1)[1].split('"')[0]
    assert "a/b?c d_1" in editor_client.get(link).content.decode()


def test_a_turn_has_an_address_and_says_how_long_it_was_waited_for(
    editor_client: Client, organization: Organization
) -> None:
    turns = [
        {**say("user", "hello"), "secondsFromStart": 1},
        {**say("assistant", "hi"), "secondsFromStart": 2},
    ]
    mirror_session(organization, messages=[*turns, {**say("user", "well"), "secondsFromStart": 77.5}])
    page = body(editor_client)
    assert page.count("since the turn before") == 1
    assert "after 1 min 15 s" in page.split("#turn-1")[1]
    assert all(f'id="turn-{place}"' in page and f'href="#turn-{place}"' in page for place in range(3))


def test_a_turn_of_nothing_but_calls_is_not_offered_to_be_corrected(
    admin_client: Client, organization: Organization
) -> None:
    messages = [say("user", "hello"), call_tool("look", "{}"), answer_tool("fine")]
    mirror_session(organization, messages=messages)
    page = admin_client.get("/admin/sessions_app/session/session-1/change/").content.decode()
    assert "messages/0/" in page
    assert "messages/1/" not in page
