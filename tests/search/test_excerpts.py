"""The line of a conversation that shows why it was found."""

from __future__ import annotations

from typing import Any

from sessions_app.search.excerpts import find_excerpt
from sessions_app.search.sought import Sought
from sessions_app.vapi.messages import parse_turns
from tests.admin.rows import answer_tool, call_tool, say


def excerpt(asked: str, *messages: dict[str, Any]) -> tuple[str, str, str] | None:
    """Who, which tool, and the line with what was found in brackets."""
    found = find_excerpt(parse_turns(list(messages)), Sought.of(asked))
    if found is None:
        return None
    line = "".join(f"[{piece.text}]" if piece.is_found else piece.text for piece in found.pieces)
    return found.kind, found.tool, line


def test_it_is_the_turn_in_which_most_of_the_words_stand() -> None:
    messages = (say("user", "The router is new"), say("assistant", "Does the router blink red?"))
    assert excerpt("red router", *messages) == ("assistant", "", "Does the [router] blink [red]?")
    assert excerpt("router", *messages) == ("user", "", "The [router] is new")


def test_nothing_where_it_is_not_said() -> None:
    assert excerpt("zebra", say("user", "The router is new")) is None
    # Nobody said it, and the index does not hold it.
    assert excerpt("zebra", say("system", "Never say zebra")) is None


def test_tools_are_named() -> None:
    messages = (call_tool("find_order", '{"number": "A-17"}'), answer_tool('{"error": "no such parcel"}'))
    assert excerpt("a 17", *messages) == ("assistant", "find_order", 'find_order {"number":"[A]-[17]"}')
    assert excerpt("parcel", *messages) == ("tool", "find_order", '{"error": "no such [parcel]"}')


def test_a_long_text_is_cut_at_words_around_what_was_found() -> None:
    said = f"{'before ' * 60}the\n\n router   blinks {'after ' * 60}"
    found = excerpt("router", say("user", said))
    assert found is not None
    line = found[2]
    assert "the [router] blinks after" in line
    assert line.startswith("… before ") and line.endswith("after …")
    assert len(line) < 165


def test_of_a_long_text_the_place_with_most_of_the_words() -> None:
    said = f"a router here {'and so on ' * 60} the router blinks red"
    found = excerpt("router red", say("user", said))
    assert found is not None
    assert found[2].endswith("the [router] blinks [red]")


def test_a_text_without_spaces_is_cut_too() -> None:
    found = excerpt("東京", say("user", f"{'あ' * 400}東京{'い' * 400}"))
    assert found is not None
    assert "[東][京]" in found[2]
    assert len(found[2]) < 170
