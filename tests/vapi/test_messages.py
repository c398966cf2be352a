"""Both shapes of messages become the same turns, and each tool's answer finds its call."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from sessions_app.vapi.messages import SEARCH_BYTES, Turn, cut, parse_turns, spoken_words


def call(call_id: str = "c1", name: str = "find", arguments: Any = '{"city": "Rome"}') -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def answered(content: Any, **more: Any) -> list[dict[str, Any]]:
    return [
        {"role": "assistant", "content": None, "tool_calls": [call()]},
        {"role": "tool", "tool_call_id": "c1", "content": content, **more},
    ]


def test_messages_in_the_style_of_openai() -> None:
    turns = parse_turns(
        [
            {"role": "system", "content": "Be kind."},
            {"role": "user", "content": "A table?"},
            {"role": "assistant", "content": None, "tool_calls": [call()]},
            {"role": "tool", "tool_call_id": "c1", "content": '{"free": true}'},
            {"role": "assistant", "content": "Yes."},
        ]
    )

    assert [(turn.position, turn.role, turn.kind, turn.text) for turn in turns] == [
        (0, "system", "system", "Be kind."),
        (1, "user", "user", "A table?"),
        (2, "assistant", "assistant", ""),
        (4, "assistant", "assistant", "Yes."),
    ]
    (made,) = turns[2].tool_calls
    assert (made.id, made.name, made.arguments) == ("c1", "find", {"city": "Rome"})
    assert (made.result, made.result_position, made.failed, made.failure) == ('{"free": true}', 3, False, "")


def test_messages_in_the_style_of_calls() -> None:
    turns = parse_turns(
        [
            {"role": "bot", "message": "Hello", "time": 1780315200500, "secondsFromStart": Decimal("1.25")},
            {"role": "tool_calls", "message": "", "toolCalls": [call()], "time": 1, "secondsFromStart": 2},
            {"role": "tool_call_result", "toolCallId": "c1", "name": "find", "result": "none left"},
        ]
    )

    assert turns[0] == Turn(
        position=0,
        role="bot",
        kind="assistant",
        text="Hello",
        at=datetime(2026, 6, 1, 12, 0, 0, 500_000, UTC),
        seconds_from_start=1.25,
    )
    assert len(turns) == 2
    assert turns[1].kind == "assistant"
    assert turns[1].tool_calls[0].result == "none left"


@pytest.mark.parametrize(
    ("role", "kind"),
    [
        ("customer", "user"),
        ("developer", "system"),
        ("function", "tool"),
        ("Assistant", "assistant"),
        ("tool-calls", "assistant"),
        ("narrator", "other"),
        ("", "other"),
        (None, "other"),
        (5, "other"),
    ],
)
def test_an_unknown_role_is_kept(role: Any, kind: str) -> None:
    (turn,) = parse_turns([{"role": role, "content": "x"}])

    assert (turn.role, turn.kind) == (role if isinstance(role, str) else "", kind)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("a", "a"),
        (None, ""),
        ("", ""),
        ([], ""),
        ([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}], "a\nb"),
        (["a", {"type": "image_url", "image_url": {"url": "u"}}, {}, None], "a\n[image_url]\n[part]"),
        ([{"type": "refusal", "refusal": "I won't"}], "I won't"),
        ({"odd": Decimal("1.50")}, '{"odd":1.50}'),
        (5, "5"),
    ],
)
def test_content_of_any_form(content: Any, text: str) -> None:
    assert parse_turns([{"role": "user", "content": content}])[0].text == text


@pytest.mark.parametrize("messages", [None, "text", {}, 5, [], [None, "x", 5, []]])
def test_what_is_no_message_has_no_turn(messages: Any) -> None:
    assert parse_turns(messages) == []


def test_what_is_no_message_leaves_a_gap_in_the_positions() -> None:
    turns = parse_turns([None, {"role": "user", "content": "a"}, 5, {"role": "user", "content": "b"}])

    assert [turn.position for turn in turns] == [1, 3]


@pytest.mark.parametrize(
    ("result", "failed", "failure"),
    [
        ('{"error": "no such table"}', True, "no such table"),
        ('{"errors": [{"code": 5}]}', True, '[{"code":5}]'),
        ('{"success": false, "message": "closed"}', True, "closed"),
        ('{"ok": false}', True, "the tool said that it failed"),
        ('{"status": "error"}', True, "the tool said that it failed"),
        ('{"status": "FAILED"}', True, "the tool said that it failed"),
        (r'{"err\u006fr": "escaped"}', True, "escaped"),
        ("Error: time-out\nat line 5", True, "Error: time-out"),
        ("error 500", True, "error 500"),
        ('{"error": null, "errors": [], "success": true, "status": "ok"}', False, ""),
        ('{"error": "", "ok": true}', False, ""),
        ('{"status": 500}', False, ""),
        ('[{"error": "inside a list"}]', False, ""),
        ("No errors found", False, ""),
        ('{"error": "cut off', False, ""),
        ("", False, ""),
    ],
)
def test_whether_a_tool_failed(result: str, failed: bool, failure: str) -> None:
    (made,) = parse_turns(answered(result))[0].tool_calls

    assert (made.result, made.failed, made.failure) == (result, failed, failure)


def test_a_reason_is_short() -> None:
    assert len(parse_turns(answered("Error " + "x" * 9999))[0].tool_calls[0].failure) == 200


def test_a_result_that_is_an_object_is_read_too() -> None:
    (made,) = parse_turns(answered({"error": "gone"}))[0].tool_calls

    assert (made.result, made.failed) == ('{"error":"gone"}', True)


def test_a_call_without_an_answer_has_not_failed() -> None:
    (made,) = parse_turns([{"role": "assistant", "tool_calls": [call()]}])[0].tool_calls

    assert (made.result, made.result_position, made.failed) == (None, None, False)


def test_an_answer_nobody_asked_for_is_a_turn() -> None:
    turns = parse_turns([{"role": "tool", "tool_call_id": "c9", "content": "x"}, *answered("y")])

    assert [(turn.position, turn.kind, turn.text) for turn in turns] == [
        (0, "tool", "x"),
        (1, "assistant", ""),
    ]


def test_an_answer_before_its_call_is_a_turn() -> None:
    first, second = answered("x")
    turns = parse_turns([second, first])

    assert [turn.kind for turn in turns] == ["tool", "assistant"]
    assert turns[1].tool_calls[0].result is None


def test_an_id_used_again_gets_its_own_answers() -> None:
    turns = parse_turns([*answered("first"), *answered("second"), *answered("x")[1:]])

    assert [turn.tool_calls[0].result for turn in turns[:2]] == ["first", "second"]
    assert [(turn.kind, turn.text) for turn in turns[2:]] == [("tool", "x")]


def test_calls_of_one_id_that_wait_together_are_answered_in_order() -> None:
    (asked, told), (_, later) = answered("first"), answered("second")
    turns = parse_turns([asked, asked, told, later])

    assert [turn.tool_calls[0].result for turn in turns] == ["first", "second"]


def test_several_calls_in_a_turn_find_their_answers_in_any_order() -> None:
    turns = parse_turns(
        [
            {"role": "assistant", "content": "wait", "tool_calls": [call("a"), "odd", call("b"), call("c")]},
            {"role": "tool", "tool_call_id": "b", "content": "B"},
            {"role": "tool", "toolCallId": "a", "content": "A"},
        ]
    )

    (turn,) = turns
    assert [(made.id, made.result, made.result_position) for made in turn.tool_calls] == [
        ("a", "A", 2),
        ("b", "B", 1),
        ("c", None, None),
    ]


def test_an_answer_without_an_id_is_a_turn() -> None:
    turns = parse_turns([{"role": "assistant", "tool_calls": [call("")]}, {"role": "tool", "content": "x"}])

    assert [turn.kind for turn in turns] == ["assistant", "tool"]


@pytest.mark.parametrize(
    ("given", "arguments"),
    [
        ('{"a": 1.50}', {"a": Decimal("1.50")}),
        ("[1]", [1]),
        ({"a": 1}, {"a": 1}),
        ("plain words", "plain words"),
        ('{"cut": "of', '{"cut": "of'),
        ("5", "5"),
        ("", ""),
        (None, ""),
    ],
)
def test_arguments_of_any_form(given: Any, arguments: Any) -> None:
    (turn,) = parse_turns([{"role": "assistant", "tool_calls": [call(arguments=given)]}])

    assert turn.tool_calls[0].arguments == arguments


def test_a_flat_call_is_read() -> None:
    flat = {"id": "c1", "name": "find", "parameters": {"city": "Rome"}}
    (turn,) = parse_turns([{"role": "assistant", "toolCalls": [flat]}])

    assert (turn.tool_calls[0].name, turn.tool_calls[0].arguments) == ("find", {"city": "Rome"})


@pytest.mark.parametrize("time", [None, True, "then", [], 10**30, Decimal("1e400"), Decimal(-(10**20))])
def test_an_odd_time_is_none(time: Any) -> None:
    (turn,) = parse_turns([{"role": "bot", "message": "x", "time": time, "secondsFromStart": "soon"}])

    assert (turn.at, turn.seconds_from_start) == (None, None)


@pytest.mark.parametrize("seconds", [Decimal("1e400"), Decimal("-1e400"), 10**400, True, "1"])
def test_odd_seconds_are_none(seconds: Any) -> None:
    (turn,) = parse_turns([{"role": "bot", "message": "x", "secondsFromStart": seconds}])

    assert turn.seconds_from_start is None


def test_a_refusal_is_kept_apart() -> None:
    (turn,) = parse_turns([{"role": "assistant", "content": None, "refusal": "I won't"}])

    assert (turn.text, turn.refusal) == ("", "I won't")


def test_the_words_to_search() -> None:
    words = spoken_words(
        [
            {"role": "system", "content": "hidden"},
            {"role": "developer", "content": "hidden"},
            {"role": "user", "content": "asked"},
            *answered('{"found": "result"}'),
            {"role": "assistant", "content": None, "refusal": "refused"},
            {"role": "narrator", "content": "other"},
            {"role": "tool", "content": "stray"},
        ]
    )

    for word in ("asked", "find", "city", "Rome", "result", "refused", "other", "stray"):
        assert word in words
    assert "hidden" not in words


def test_the_words_to_search_have_an_end() -> None:
    words = spoken_words([{"role": "user", "content": "ü€😀" * 200_000}])

    assert SEARCH_BYTES - 4 < len(words.encode()) <= SEARCH_BYTES
    assert words.startswith("ü€😀")


def test_a_character_is_never_cut() -> None:
    assert [cut("a€", length) for length in range(5)] == ["", "a", "a", "a", "a€"]
