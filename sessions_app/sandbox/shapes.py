"""The odd shapes that messages take: call style, none, blank, very long, an unknown role, parts."""

from collections.abc import Callable
from typing import TypeAlias

import orjson

from sessions_app.sandbox.conversations import Conversation, dump

Message: TypeAlias = dict[str, object]


def reshape(index: int, talk: Conversation, created_us: int) -> tuple[bytes, bytes] | None:
    """(messages, transcript) as JSON for the few rows that differ from their script; None for the others."""
    place = index % 80
    if place == 7:
        return b"[]", b'""'
    if place % 40 in (3, 18, 33):
        return dump(_call_style(orjson.loads(talk.messages), created_us)), talk.transcript
    change = _CHANGES.get(place)
    if change is None:
        return None
    return dump(change(orjson.loads(talk.messages))), b'""' if change is _blank else talk.transcript


def _blank(messages: list[Message]) -> list[Message]:
    """Zero Data Retention: the turns are there, the words are not."""
    return [{"role": message["role"], "content": ""} for message in messages if "tool_calls" not in message]


def _with_unknown_role(messages: list[Message]) -> list[Message]:
    note: Message = {
        "role": "supervisor",
        "content": "Listening in: please offer the voucher if they mention the delay.",
    }
    return [*messages[:3], note, *messages[3:]]


def _in_parts(messages: list[Message]) -> list[Message]:
    """Content as a list of parts, as newer OpenAI clients send it."""
    return [_parts_of(message) if message["role"] == "user" else message for message in messages]


def _parts_of(message: Message) -> Message:
    return {**message, "content": [{"type": "text", "text": message["content"]}]}


def _call_style(messages: list[Message], created_us: int) -> list[Message]:
    """As in calls: {role, message, time, endTime, secondsFromStart, duration}."""
    seconds, turns = 0.0, list[Message]()
    for message in messages:
        role = {"assistant": "bot", "tool": "tool_call_result"}.get(str(message["role"]), message["role"])
        started = created_us // 1000 + int(seconds * 1000)
        turn: Message = {"role": role, "time": started, "secondsFromStart": seconds}
        if "tool_calls" in message:
            turn |= {"role": "tool_calls", "toolCalls": message["tool_calls"], "message": ""}
        elif role == "tool_call_result":
            turn |= {
                "toolCallId": message["tool_call_id"],
                "name": message["name"],
                "result": message["content"],
            }
        else:
            length = 1 + len(str(message["content"])) / 16
            turn |= {
                "message": message["content"],
                "endTime": started + int(length * 1000),
                "duration": length * 1000,
            }
            seconds = round(seconds + (length if role != "system" else 0), 3)
        turns.append(turn)
    return turns


def _opening(messages: list[Message]) -> list[Message]:
    """Somebody asked once, was answered and was gone."""
    return messages[1:3]


_CHANGES: dict[int, Callable[[list[Message]], list[Message]]] = {
    11: _blank,
    13: _with_unknown_role,
    16: _opening,
    17: _in_parts,
    56: _opening,
    57: _in_parts,
}
