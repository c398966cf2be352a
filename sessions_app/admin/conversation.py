"""Turns as they are shown: who spoke, on which side, what a tool was asked and answered. Knows no rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from sessions_app.admin.pretty import pretty_json, pretty_text
from sessions_app.templatetags.vapiadmin import local
from sessions_app.vapi.messages import ToolCall, Turn

# A longer conversation is shown from its start, with a link to the whole.
MOST_TURNS = 400
# A longer text is cut on the page; the payload below holds all of it.
MOST_CHARACTERS = 20_000
_PREVIEW = 90
# Seconds between two turns from which on they are worth a word.
SHORTEST_PAUSE = 5
_ICONS = {"user": "person", "assistant": "smart_toy", "tool": "build", "system": "tune", "other": "help"}


@dataclass(frozen=True)
class ShownCall:
    call: ToolCall
    # 1, 2, ... among the failed calls of the conversation; 0 where it did not fail.
    failure_number: int
    is_last_failure: bool

    @property
    def arguments(self) -> str:
        value = self.call.arguments
        return _cut(pretty_text(value) if isinstance(value, str) else pretty_json(value))

    @property
    def has_arguments(self) -> bool:
        return self.call.arguments not in ("", {}, [], None)

    @property
    def preview(self) -> str:
        """The arguments in one line."""
        value = self.call.arguments
        if isinstance(value, dict):
            line = ", ".join(f"{name}: {_brief(inner)}" for name, inner in value.items())
        else:
            line = _brief(value)
        return line if len(line) <= _PREVIEW else f"{line[:_PREVIEW]}…"

    @property
    def result(self) -> str:
        return _cut(pretty_text(self.call.result or ""))

    @property
    def next_failure(self) -> int:
        return 0 if self.is_last_failure or not self.failure_number else self.failure_number + 1


@dataclass(frozen=True)
class ShownTurn:
    turn: Turn
    speaker: str
    # The same speaker as before: no name again.
    is_continued: bool
    # The day, where it is another than that of the turn before.
    day: date | None
    # Seconds since the turn before, where it was a while; else 0.
    pause: int
    calls: tuple[ShownCall, ...]

    @property
    def icon(self) -> str:
        return _ICONS[self.turn.kind]

    @property
    def text(self) -> str:
        return self.turn.text[:MOST_CHARACTERS]

    @property
    def length(self) -> int:
        return len(self.turn.text)

    @property
    def is_cut(self) -> bool:
        return self.length > MOST_CHARACTERS


@dataclass(frozen=True)
class Conversation:
    turns: tuple[ShownTurn, ...]
    turn_count: int
    failed_count: int
    system_count: int

    @property
    def first_words(self) -> str:
        return next((shown.turn.text for shown in self.turns if shown.turn.kind == "user"), "")

    @property
    def hidden_count(self) -> int:
        return self.turn_count - len(self.turns)


def show_conversation(
    turns: Sequence[Turn], *, customer: str, assistant: str, most: int | None = MOST_TURNS
) -> Conversation:
    """Arrange turns for the page; `customer` and `assistant` are the names of those who speak."""
    names = {"user": customer, "assistant": assistant, "tool": "Tool result", "system": "System prompt"}
    failed_count = sum(call.failed for turn in turns for call in turn.tool_calls)
    shown: list[ShownTurn] = []
    seen_failures = 0
    before: Turn | None = None
    for turn in turns[:most]:
        calls, seen_failures = _show_calls(turn, seen_failures, failed_count)
        speaker = names.get(turn.kind) or turn.role or "Unknown"
        shown.append(
            ShownTurn(
                turn, speaker, _continues(before, turn), _new_day(before, turn), _pause(before, turn), calls
            )
        )
        before = turn
    system_count = sum(turn.kind == "system" for turn in turns)
    return Conversation(tuple(shown), len(turns), failed_count, system_count)


def _show_calls(turn: Turn, seen: int, failed_count: int) -> tuple[tuple[ShownCall, ...], int]:
    calls = []
    for call in turn.tool_calls:
        seen += call.failed
        number = seen if call.failed else 0
        calls.append(ShownCall(call, number, number == failed_count))
    return tuple(calls), seen


def _continues(before: Turn | None, turn: Turn) -> bool:
    return (
        before is not None and before.kind == turn.kind and before.role == turn.role and turn.kind != "other"
    )


def _pause(before: Turn | None, turn: Turn) -> int:
    if before is None:
        return 0
    if before.at is not None and turn.at is not None:
        seconds = (turn.at - before.at).total_seconds()
    elif before.seconds_from_start is not None and turn.seconds_from_start is not None:
        seconds = turn.seconds_from_start - before.seconds_from_start
    else:
        return 0
    return int(seconds) if seconds >= SHORTEST_PAUSE else 0


def _new_day(before: Turn | None, turn: Turn) -> date | None:
    if turn.at is None:
        return None
    day = local(turn.at).date()
    if before is not None and before.at is not None and local(before.at).date() == day:
        return None
    return day


def _cut(text: str) -> str:
    return (
        text
        if len(text) <= MOST_CHARACTERS
        else f"{text[:MOST_CHARACTERS]}\n… cut; all of it is in the payload"
    )


def _brief(value: object) -> str:
    text = value if isinstance(value, str) else pretty_json(value)
    return " ".join(text.split())
