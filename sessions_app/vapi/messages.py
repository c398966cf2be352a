"""Owns what was said: Vapi's two shapes of messages as turns, tool calls beside their results; no rows."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from math import isfinite
from typing import Any, Literal, NamedTuple

from sessions_app.vapi.json import BadJson, dump_payload, parse_json
from sessions_app.vapi.text import make_safe, may_need_safety
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
_SAID_KEYS = ("content", "message", "result")
_NO_CALLS: tuple[dict[str, Any], ...] = ()
_TEXT_KEYS = ("text", "content", "transcript", "refusal")
_LONGEST_FAILURE = 200
# Spares most results the parser; a key may be written with escapes.
_MAYBE_FAILED = re.compile(r'"(?:errors?"|(?:success|ok)"\s*:\s*false|status"\s*:\s*"[EeFf])|\\u')


class ToolCall(NamedTuple):
    """One call of a tool. `result` is None until a later turn brought one; that alone is no failure."""

    id: str
    name: str
    arguments: object
    result: str | None = None
    result_position: int | None = None
    failed: bool = False
    failure: str = ""


class Turn(NamedTuple):
    """One message. `role` is Vapi's own word; `position` its place in the list it came from."""

    position: int
    role: str
    kind: TurnKind
    text: str
    tool_calls: tuple[ToolCall, ...] = ()
    at: datetime | None = None
    seconds_from_start: float | None = None
    refusal: str = ""


class _Result(NamedTuple):
    position: int
    text: str


# Where the result of a call goes among the words; empty for a call that is not said, as of a system message.
_Place = list[int]
_Waiting = dict[str | None, list[_Place]]


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


class Said(NamedTuple):
    """What was said in messages, to search it, and what of it people should look at."""

    # Texts, tool names, arguments and results; no system messages. In the order of `parse_turns`.
    words: str
    # How many calls `parse_turns` would say have failed.
    failures: int
    # There are messages, but no word, call or refusal in any of them.
    is_silent: bool


def look_through(messages: list[Any]) -> Said:
    """Say what was said, in one pass and without making the turns: every session that is news passes here."""
    said: list[str] = []
    waiting: _Waiting = {}
    failures = 0
    for entry in messages:
        if not isinstance(entry, dict):
            continue
        calls = _calls(entry) if "tool_calls" in entry or "toolCalls" in entry else _NO_CALLS
        places = _wait(calls, waiting) if calls else ()
        if waiting and (answered := _answered(entry, waiting)) is not None:
            text = _text(entry)
            failures += bool(is_failure(text))
            if answered:
                said[answered[0]] = text
        elif not isinstance(role := entry.get("role"), str) or _kind_of(role) != "system":
            content = entry.get("content")
            said.append(content if content and isinstance(content, str) else _text(entry))
            if "refusal" in entry:
                said.append(_string(entry["refusal"]))
            for call, place in zip(calls, places, strict=True):
                place.append(len(said) + 2)
                said += (*_named(call), "")
    words = cut("\n".join(filter(None, said)), SEARCH_BYTES)
    return Said(words, failures, not words and _says_nothing(messages))


def _says_nothing(messages: list[Any]) -> bool:
    is_silent = False
    for entry in messages:
        if isinstance(entry, dict):
            if _text(entry) or _calls(entry) or _string(entry.get("refusal")):
                return False
            is_silent = True
    return is_silent


def _wait(calls: Sequence[dict[str, Any]], waiting: _Waiting) -> list[_Place]:
    places: list[_Place] = [[] for _ in calls]
    for call, place in zip(calls, places, strict=True):
        waiting.setdefault(_string(call.get("id")), []).append(place)
    return places


def _answered(entry: dict[str, Any], waiting: _Waiting) -> _Place | None:
    """The place of the call that this is the answer to: no longer waited for."""
    if "tool_call_id" not in entry and "toolCallId" not in entry:
        return None
    places = waiting.get(_answered_id(entry))
    return places.pop(0) if places else None


def spoken_words(messages: list[Any]) -> str:
    """All that a search should find."""
    return look_through(messages).words


def _named(call: dict[str, Any]) -> tuple[str, str]:
    """A call's name and its arguments as words. Their JSON need not be read where nothing in it is escaped."""
    function = call.get("function")
    named = function if isinstance(function, dict) else call
    given = named.get("arguments", named.get("parameters"))
    said = given if isinstance(given, str) and "\\" not in given else _plain(_arguments(given))
    return _string(named.get("name")), said


def cut(text: str, most_bytes: int) -> str:
    """The longest beginning that fits into so many bytes of UTF-8."""
    if len(text) * 4 <= most_bytes:
        return text
    return text.encode()[:most_bytes].decode(errors="ignore")


def is_failure(result: str) -> str:
    """Why a tool's result means failure, in a few words; '' where it does not."""
    text = result.strip()
    if text.startswith("{") and _MAYBE_FAILED.search(text):
        try:
            value = _parse_inner(text)
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
    if said_no or _string(value.get("status")).lower() in ("error", "failed"):
        return (_plain(value.get("message")) or "the tool said that it failed")[:_LONGEST_FAILURE]
    return ""


def _match_results(
    placed: list[tuple[int, dict[str, Any]]],
) -> tuple[dict[tuple[int, int], _Result], set[int]]:
    """Results by (position of the turn, index of its call), and the positions of the answers so taken."""
    waiting: dict[str | None, list[tuple[int, int]]] = {}
    results: dict[tuple[int, int], _Result] = {}
    taken: set[int] = set()
    for at, entry in placed:
        for index, call in enumerate(_calls(entry)):
            waiting.setdefault(_string(call.get("id")), []).append((at, index))
        if not waiting:
            continue
        answered = _answered_id(entry)
        if waiting.get(answered):
            results[waiting[answered].pop(0)] = _Result(at, _text(entry))
            taken.add(at)
    return results, taken


def _answered_id(entry: dict[str, Any]) -> str | None:
    """The id of the call that a message answers, if it answers one. A call without an id waits for no answer."""
    remote_id = entry.get("tool_call_id") or entry.get("toolCallId")
    return remote_id if remote_id and isinstance(remote_id, str) else None


def _turn(position: int, entry: dict[str, Any], results: dict[tuple[int, int], _Result]) -> Turn:
    role, time, start = entry.get("role"), entry.get("time"), entry.get("secondsFromStart")
    role = role if isinstance(role, str) else ""
    calls = _calls(entry)
    return Turn(
        position,
        role,
        _kind_of(role),
        _text(entry),
        tuple(_tool_call(call, results.get((position, index))) for index, call in enumerate(calls))
        if calls
        else (),
        None if time is None else _moment(time),
        None if start is None else _seconds(start),
        _string(entry.get("refusal")),
    )


@lru_cache(maxsize=256)
def _kind_of(role: str) -> TurnKind:
    return _KINDS.get(role.lower().replace("-", "_"), "other")


def _calls(entry: dict[str, Any]) -> Sequence[dict[str, Any]]:
    calls = entry.get("tool_calls") or entry.get("toolCalls")
    if not calls:
        return _NO_CALLS
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
        parsed = _parse_inner(value)
    except BadJson:
        return value
    return parsed if isinstance(parsed, dict | list) else value


def _parse_inner(text: str) -> object:
    """JSON inside a string. What its escapes stand for nobody has made storable yet."""
    value: object = parse_json(text)
    if "\\u" in text and may_need_safety(text.encode(errors="replace")):
        try:
            return make_safe(value)[0]
        except RecursionError:
            raise BadJson("too deep") from None
    return value


def _text(entry: dict[str, Any]) -> str:
    """OpenAI's `content`, the calls' `message`, a tool's `result`: the first that holds something."""
    for key in _SAID_KEYS:
        value = entry.get(key)
        if value is not None and (text := value if isinstance(value, str) else _content(value)):
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
            seconds = float(value)
        except OverflowError:
            return None
        return seconds if isfinite(seconds) else None
    return None
