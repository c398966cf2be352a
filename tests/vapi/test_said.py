"""What one look through messages finds, against a plainer way of looking."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sessions_app.vapi.json import BadJson, parse_json
from sessions_app.vapi.messages import (
    SEARCH_BYTES,
    Said,
    _calls,
    _kind_of,
    _match_results,
    _named,
    _stated_failure,
    _string,
    _text,
    cut,
    is_failure,
    look_through,
    parse_turns,
)
from tests.vapi.test_messages import call

_TEXTS = st.sampled_from(
    [
        "",
        "hello",
        "Grüße",
        '{"ok": false}',
        '{"status": "Failed"}',
        '{"status": ["x"]}',
        "Error: away",
        "{",
        "a\\b",
    ]
)
_ODD = st.one_of(
    st.none(), st.booleans(), st.integers(), st.just([]), st.just({"a": [1]}), st.just(["x", {"text": "y"}])
)
_IDS = st.sampled_from(["1", "2", ""]) | _ODD
_CALLS = st.fixed_dictionaries(
    {},
    optional={
        "id": _IDS,
        "name": _TEXTS | _ODD,
        "function": _ODD
        | st.fixed_dictionaries(
            {"name": _TEXTS | _ODD}, optional={"arguments": _TEXTS | _ODD, "parameters": _ODD}
        ),
    },
)
_LISTED = st.lists(_CALLS | _ODD | _TEXTS, max_size=3) | _ODD | _TEXTS
_MESSAGES = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "role": st.sampled_from(["user", "system", "Developer", "tool", "tool-calls", "odd"]) | _ODD,
            **dict.fromkeys(("content", "message", "result", "refusal"), _TEXTS | _ODD),
            **dict.fromkeys(("tool_calls", "toolCalls"), _LISTED),
            **dict.fromkeys(("tool_call_id", "toolCallId"), _IDS),
        },
    )
    | _ODD
    | _TEXTS,
    max_size=8,
)


def said_at_length(messages: list[Any]) -> Said:
    """The same in a pass for each question, with every answer matched to its call beforehand."""
    placed = [(at, entry) for at, entry in enumerate(messages) if isinstance(entry, dict)]
    results, taken = _match_results(placed)
    words: list[str] = []
    for at, entry in placed:
        role = entry.get("role")
        if at in taken or (isinstance(role, str) and _kind_of(role) == "system"):
            continue
        words += (_text(entry), _string(entry.get("refusal")))
        for index, made in enumerate(_calls(entry)):
            result = results.get((at, index))
            words += (*_named(made), result.text if result else "")
    said = [bool(_text(entry) or _calls(entry) or _string(entry.get("refusal"))) for _, entry in placed]
    return Said(
        cut("\n".join(filter(None, words)), SEARCH_BYTES),
        sum(bool(_why_failed(result.text)) for result in results.values()),
        bool(said) and not any(said),
    )


def _why_failed(result: str) -> str:
    """Every object is read, whatever words are in it."""
    text = result.strip()
    if not text.startswith("{"):
        return is_failure(text)
    try:
        return _stated_failure(parse_json(text))
    except BadJson:
        return ""


@settings(max_examples=500)
@given(_MESSAGES)
def test_one_pass_finds_what_many_do(messages: list[Any]) -> None:
    assert look_through(messages) == said_at_length(messages)


@given(
    st.sampled_from(["error", "errors", "success", "ok", "status", "st\\u0061tus"]),
    st.sampled_from(
        ['"error"', '"FAILED"', '"done"', "true", "false", "null", '""', "[]", '["error"]', '"\\u0065rror"']
    ),
    st.sampled_from(["", " ", "\n\t"]),
)
def test_no_stated_failure_is_passed_over(key: str, value: str, space: str) -> None:
    text = f'{{"a": 1,{space}"{key}"{space}:{space}{value}}}'
    assert is_failure(text) == _why_failed(text)


def test_a_call_may_be_answered_by_its_own_message() -> None:
    own = {"role": "assistant", "content": "Error: none", "tool_calls": [call()], "tool_call_id": "c1"}
    assert look_through([own]) == Said("", 1, False)


def test_an_answer_to_a_hidden_call_is_hidden_too() -> None:
    hidden = {"role": "system", "content": "hidden", "tool_calls": [call()]}
    answer = {"role": "tool", "tool_call_id": "c1", "content": "Error: away"}
    assert look_through([hidden, answer]) == Said("", 1, False)


@pytest.mark.parametrize("bad", ["\ud800", "\x00"])
def test_what_no_database_keeps_is_replaced_inside_of_json_in_a_string_too(bad: str) -> None:
    text = json.dumps({"error": {"why": f"a{bad}b"}})
    messages = [
        {"role": "assistant", "tool_calls": [call(arguments=text)]},
        {"role": "tool", "tool_call_id": "c1", "content": text},
    ]

    said = look_through(messages)
    (turn,) = parse_turns(messages)

    assert said.failures == 1
    assert '{"error":{"why":"a\ufffdb"}}' in said.words
    assert turn.tool_calls[0].arguments == {"error": {"why": "a\ufffdb"}}
    assert turn.tool_calls[0].failure == '{"why":"a\ufffdb"}'
