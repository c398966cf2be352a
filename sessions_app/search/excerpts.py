"""Owns which words of a conversation show why a search found it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import NamedTuple

from sessions_app.search.sought import Piece, Sought
from sessions_app.vapi.json import dump_payload
from sessions_app.vapi.messages import Turn, TurnKind
from sessions_app.vapi.words import placed_words, words_of

# Of what stands before the first word that was found, and in all; of a short end as much is shown before it.
_BEFORE, _LENGTH, _FILLED = 45, 150, 90
# Places that are compared in one text.
_MOST_PLACES = 200
# What is longer than this has no spaces.
_LONG = 40
_CHUNK = re.compile(r"\S+")


class Excerpt(NamedTuple):
    """A line of a conversation in which something that was searched for stands."""

    kind: TurnKind
    # The tool that was asked or answered; '' for what somebody said.
    tool: str
    pieces: list[Piece]
    # How many of the words looked for stand in the text that it is of.
    word_count: int


class _Text(NamedTuple):
    kind: TurnKind
    tool: str
    text: str


def find_excerpt(turns: Sequence[Turn], sought: Sought) -> Excerpt | None:
    """Return the line with most of the words, the first of equals; None where no turn has one of them."""
    best: _Text | None = None
    most = 0
    for text in _texts(turns):
        count = len(sought.words_among(words_of(text.text)))
        if count > most:
            best, most = text, count
        if most == len(sought.words):
            break
    return Excerpt(best.kind, best.tool, sought.pieces(_line(best.text, sought)), most) if best else None


def _texts(turns: Sequence[Turn]) -> Iterator[_Text]:
    """What the index of words holds of them, text by text."""
    for turn in turns:
        if turn.kind == "system":
            continue
        yield _Text(turn.kind, "", turn.text)
        yield _Text(turn.kind, "", turn.refusal)
        for call in turn.tool_calls:
            asked = call.arguments if isinstance(call.arguments, str) else dump_payload(call.arguments)
            yield _Text(turn.kind, call.name, f"{call.name} {asked}")
            yield _Text("tool", call.name, call.result or "")


def _line(text: str, sought: Sought) -> str:
    """The part of a text with most of the words, in one line; dots where it was cut."""
    flat = " ".join(text.split())
    start = max(0, min(_best_place(flat, sought) - _BEFORE, len(flat) - _FILLED))
    # At a space, but where there is none near by.
    start = flat.find(" ", start, start + _BEFORE) + 1 or start if start else 0
    end = start + _LENGTH
    if end < len(flat):
        end = max(flat.rfind(" ", start + _LENGTH // 2, end), 0) or end
    return f"{'… ' if start else ''}{flat[start:end]}{' …' if end < len(flat) else ''}"


def _places(flat: str, sought: Sought) -> Iterator[tuple[int, set[str]]]:
    for chunk in _CHUNK.finditer(flat):
        if len(chunk[0]) < _LONG:
            if found := sought.words_among(words_of(chunk[0])):
                yield chunk.start(), found
            continue
        # Written without spaces.
        for placed in placed_words(chunk[0]):
            if found := sought.words_among([placed.word]):
                yield chunk.start() + placed.start, found


def _best_place(flat: str, sought: Sought) -> int:
    places = list(islice(_places(flat, sought), _MOST_PLACES))
    best, most = 0, 0
    for number, (place, _) in enumerate(places):
        near = (found for other, found in places[number:] if other < place + _LENGTH - _BEFORE)
        count = len(set[str]().union(*near))
        if count > most:
            best, most = place, count
    return best
