"""Owns what was said: Vapi's two shapes of messages as turns, tool calls beside their results; no rows."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Literal

from sessions_app.vapi.json import BadJson, dump_payload, parse_json
from sessions_app.vapi.times import parse_time

TurnKind = Literal["user", "assistant", "system", "tool", "other"]

# PostgreSQL refuses a longer tsvector.
SEARCH_BYTES = 500_000

_KINDS: dict[str, TurnKind] = {
    "user": "user",
    "customer": "user",
    "assistant": "assistant",
    "bot": "assistant",
    "tool_calls": "assistant",
    "system": "system",
    "developer": "system",
    "tool": "tool",
    "function": "tool",
    "tool_call_result": "tool",
}
_TEXT_KEYS = ("text", "content", "transcript", "refusal")
_LONGEST_FAILURE = 200
# Spares most results the parser; a key may be written with escapes.
_MAYBE_FAILED = re.compile(r'"(?:errors?|success|ok|status)"|\\u')


@dataclass(frozen=True)
class ToolCall:
    """One call of a tool. `result` is None until a later turn brought one; that alone is no failure."""

    id: str
    name: str
    arguments: object
    result: str | None = None
    result_position: int | None = None
    failed: bool = False
    failure: str = ""


@dataclass(frozen=True)
class Turn:
    """One message. `role` is Vapi's own word; `position` its place in the list it came from."""

    position: int
    role: str
    kind: TurnKind
    text: str
    tool_calls: tuple[ToolCall, ...] = ()
    at: datetime | None = None
    seconds_from_start: float | None = None
    refusal: str = ""


@dataclass(frozen=True)
class _Result:
    position: int
    text: str


def parse_turns(messages: object) -> list[Turn]:
    """The turns of a list of messages, in order; what is no list has none, what is no object is skipped.

    A tool's answer is shown with its call, found by id, and is a turn of its own only where no earlier call
    of that id waits for one.
    """
    if not isinstance(messages, list):
        return []
    placed = [(at, entry) for at, entry in enumerate(messages) if isinstance(entry, dict)]
    results, taken = _match_results(placed)
    return [_turn(at, entry, results) for at, entry in placed if at not in taken]


def spoken_words(turns: Iterable[Turn]) -> str:
    """All that a search should find: texts, tool names, arguments and results; no system messages."""
    words: list[str] = []
    for turn in turns:
        if turn.kind == "system":
            continue
        words.extend((turn.text, turn.refusal))
        for call in turn.tool_calls:
            words.extend((call.name, _plain(call.arguments), call.result or ""))
    return cut("\n".join(filter(None, words)), SEARCH_BYTES)


def cut(text: str, most_bytes: int) -> str:
    """The longest beginning that fits into so many bytes of UTF-8."""
    if len(text) * 4 <= most_bytes:
        return text
    return text.encode()[:most_bytes].decode(errors="ignore")


def says_nothing(messages: list[Any]) -> bool:
    """Whether there are messages, but no word, call or refusal in any of them."""
    entries = [entry for entry in messages if isinstance(entry, dict)]
    return bool(entries) and not any(
        _text(entry) or _calls(entry) or _string(entry.get("refusal")) for entry in entries
    )


def count_failures(messages: list[Any]) -> int:
    """How many calls `parse_turns` would say have failed, without making the turns."""
    placed = [(at, entry) for at, entry in enumerate(messages) if isinstance(entry, dict)]
    return sum(bool(is_failure(result.text)) for result in _match_results(placed)[0].values())


def is_failure(result: str) -> str:
    """Why a tool's result means failure, in a few words; '' where it does not."""
    text = result.strip()
    if text.startswith("{") and _MAYBE_FAILED.search(text):
        try:
            value = parse_json(text)
        except BadJson:
            return ""
        return _stated_failure(value) if isinstance(value, dict) else ""
    if text.lower().startswith("error"):
        return text.splitlines()[0][:_LONGEST_FAILURE]
    return ""


def _stated_failure(value: dict[str, Any]) -> str:
    for key in ("error", "errors"):
        if value.get(key):
            return _plain(value[key])[:_LONGEST_FAILURE]
    said_no = value.get("success") is False or value.get("ok") is False
    if said_no or str(value.get("status")).lower() in ("error", "failed"):
        return (_plain(value.get("message")) or "the tool said that it failed")[:_LONGEST_FAILURE]
    return ""


def _match_results(
    placed: list[tuple[int, dict[str, Any]]],
) -> tuple[dict[tuple[int, int], _Result], set[int]]:
    """Results by (position of the turn, index of its call), and the positions of the answers so taken."""
    waiting: dict[str, list[tuple[int, int]]] = {}
    results: dict[tuple[int, int], _Result] = {}
    taken: set[int] = set()
    for at, entry in placed:
        for index, call in enumerate(_calls(entry)):
            waiting.setdefault(_string(call.get("id")), []).append((at, index))
        answered = entry.get("tool_call_id") or entry.get("toolCallId")
        if answered and isinstance(answered, str) and waiting.get(answered):
            results[waiting[answered].pop(0)] = _Result(at, _text(entry))
            taken.add(at)
    return results, taken


def _turn(position: int, entry: dict[str, Any], results: dict[tuple[int, int], _Result]) -> Turn:
    role = _string(entry.get("role"))
    calls = tuple(
        _tool_call(call, results.get((position, index))) for index, call in enumerate(_calls(entry))
    )
    return Turn(
        position=position,
        role=role,
        kind=_KINDS.get(role.lower().replace("-", "_"), "other"),
        text=_text(entry),
        tool_calls=calls,
        at=_moment(entry.get("time")),
        seconds_from_start=_seconds(entry.get("secondsFromStart")),
        refusal=_string(entry.get("refusal")),
    )


def _calls(entry: dict[str, Any]) -> list[dict[str, Any]]:
    calls = entry.get("tool_calls") or entry.get("toolCalls")
    if not calls:
        return []
    return [call for call in calls if isinstance(call, dict)] if isinstance(calls, list) else []


def _tool_call(call: dict[str, Any], result: _Result | None) -> ToolCall:
    function = call.get("function")
    named = function if isinstance(function, dict) else call
    arguments = _arguments(named.get("arguments", named.get("parameters")))
    remote_id, name = _string(call.get("id")), _string(named.get("name"))
    if result is None:
        return ToolCall(remote_id, name, arguments)
    failure = is_failure(result.text)
    return ToolCall(remote_id, name, arguments, result.text, result.position, bool(failure), failure)


def _arguments(value: object) -> object:
    """The object that a string of JSON stands for; any other string as it is."""
    if not isinstance(value, str):
        return "" if value is None else value
    try:
        parsed: object = parse_json(value)
    except BadJson:
        return value
    return parsed if isinstance(parsed, dict | list) else value


def _text(entry: dict[str, Any]) -> str:
    """OpenAI's `content`, the calls' `message`, a tool's `result`: the first that holds something."""
    for key in ("content", "message", "result"):
        text = _content(entry.get(key))
        if text:
            return text
    return ""


def _content(value: object) -> str:
    if isinstance(value, list):
        return "\n".join(filter(None, map(_part, value)))
    return _plain(value)


def _part(part: object) -> str:
    if not isinstance(part, dict):
        return _plain(part)
    for key in _TEXT_KEYS:
        if isinstance(part.get(key), str):
            return str(part[key])
    # A picture, a sound: named, so that the reader knows that something stood here.
    return f"[{_string(part.get('type')) or 'part'}]"


def _plain(value: object) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else dump_payload(value)


def _string(value: object) -> str:
    return value if isinstance(value, str) else ""


def _moment(value: object) -> datetime | None:
    """Calls give milliseconds since 1970; a time in words is taken too."""
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        try:
            return datetime.fromtimestamp(float(value) / 1000, UTC)
        except (ValueError, OverflowError, OSError):
            return None
    return parse_time(value)


def _seconds(value: object) -> float | None:
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:
            return None
    return None
