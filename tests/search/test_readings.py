"""What many rows hold is found the same whichever way is taken; exact text however long it is."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from sessions_app.models import Chat, Organization, Session
from sessions_app.search import readings
from sessions_app.search.filters import ChatFilterSet, SessionFilterSet
from tests.search.rows import make_chat, make_session

pytestmark = pytest.mark.django_db
Ways = Callable[[str, str], list[set[str]]]


@pytest.fixture
def conversations(organization: Organization) -> None:
    """Ten sessions: the word "blue" in half of them, in a chat of another, and in one that another name bears."""
    for i in range(10):
        number = f"+4915155512{i}" if i % 2 else f"+4930777{i}"
        make_session(
            organization, f"session-{i}", minute=i, said="blue" if i % 2 else "red", customer_number=number
        )
    make_chat(organization, "chat-1", session_id="session-2", said="blue")
    make_chat(organization, "chat-2", session_id="", said="blue")
    make_session(organization, "session-10", minute=20, name="Blue")


@pytest.mark.parametrize(
    ("parameter", "text", "numbers"),
    [
        ("q", "blue", {1, 2, 3, 5, 7, 9}),
        ("search", "blue", {1, 2, 3, 5, 7, 9, 10}),
        ("search", "555", {1, 3, 5, 7, 9}),
        ("search", "session-1", {1, 10}),
        ("search", "blue 555", {1, 3, 5, 7, 9}),
        ("search", "0151 555 blu", {1, 3, 5, 7, 9}),
        # The word in its chat, the number its customer's.
        ("search", "blue 030 777", {2}),
        ("search", "red 555", set()),
        ("customer_number__contains", "030 777", {0, 2, 4, 6, 8}),
        ("q", "green", set()),
    ],
)
@pytest.mark.parametrize(("few", "enough"), [(1000, 50), (0, 1), (0, 1000)])
def test_few_many_and_everywhere_find_the_same(
    conversations: None,
    monkeypatch: pytest.MonkeyPatch,
    parameter: str,
    text: str,
    numbers: set[int],
    few: int,
    enough: int,
) -> None:
    monkeypatch.setattr(readings, "FEW", few)
    monkeypatch.setattr(readings, "_ENOUGH", enough)
    found = SessionFilterSet({parameter: text}, Session.objects.all()).qs
    assert {session.pk for session in found} == {f"session-{number}" for number in numbers}


@pytest.mark.parametrize(("few", "enough"), [(1000, 50), (0, 1), (0, 1000)])
def test_chats_are_found_the_same_too(
    conversations: None, monkeypatch: pytest.MonkeyPatch, few: int, enough: int
) -> None:
    monkeypatch.setattr(readings, "FEW", few)
    monkeypatch.setattr(readings, "_ENOUGH", enough)
    for parameter in ("q", "search"):
        found = ChatFilterSet({parameter: "blue"}, Chat.objects.all()).qs
        assert {chat.pk for chat in found} == {"chat-1", "chat-2"}


def test_a_long_text_is_found_whole_though_its_beginning_alone_is_indexed(organization: Organization) -> None:
    shared = "x" * 3000
    for end in ("a", "b"):
        make_session(organization, f"session-{end}", customer_name=shared + end)
    make_session(organization, "session-c", customer_name="x" * 200)

    def named(text: str) -> list[str]:
        found = SessionFilterSet({"customer_name": text}, Session.objects.all()).qs
        return [session.pk for session in found]

    assert named("x" * 200) == ["session-c"]
    assert named("x" * 199) == []
    assert named("x" * 201) == []
    make_session(organization, "session-d", customer_name="x" * 300)
    assert named("x" * 300) == ["session-d"]
