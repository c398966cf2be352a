"""The odd shapes that messages take: call style, none, blank, very long, an unknown role, parts."""

from typing import TypeAlias

import orjson

from sessions_app.sandbox.conversations import Conversation, dump

Message: TypeAlias = dict[str, object]


def reshape(index: int, talk: Conversation, created_us: int) -> tuple[bytes, bytes] | None:
    """(messages, transcript) as JSON for the few rows that differ from their script; None for the others."""
    match index % 40:
        case 7 if index % 80 == 7:
            return b"[]", b'""'
        case 11 if index % 80 == 11:
            return dump(_blank(orjson.loads(talk.messages))), b'""'
        case 13 if index % 80 == 13:
            return dump(_with_unknown_role(orjson.loads(talk.messages))), talk.transcript
        case 16:
            return dump(orjson.loads(talk.messages)[1:3]), talk.transcript
        case 17:
            return dump(_in_parts(orjson.loads(talk.messages))), talk.transcript
        case 3 | 18 | 33:
            return dump(_call_style(orjson.loads(talk.messages), created_us)), talk.transcript
    return None


def _blank(messages: list[Message]) -> list[Message]:
    """Zero Data Retention: the turns are there, the words are not."""
    return [{"role": message["role"], "content": ""} for message in messages if "tool_calls" not in message]


def _with_unknown_role(messages: list[Message]) -> list[Message]:
    note = {
        "role": "supervisor",
        "content": "Listening in: please offer the voucher if they mention the delay.",
    }
    return [*messages[:3], note, *messages[3:]]


def _in_parts(messages: list[Message]) -> list[Message]:
    return [
        {**message, "content": [{"type": "text", "text": message["content"]}]}
        if message["role"] == "user"
        else message
        for message in messages
    ]


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
