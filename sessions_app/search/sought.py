"""Owns where in a text stands what was searched for: the same readings as the search box, on text that is shown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sessions_app.search.box import SHORTEST_ID_PART, number_parts, split_number
from sessions_app.vapi.words import placed_words, words_of

# Numbers as people write them: +49 (151) 23-45.
_NUMBERS = re.compile(r"\+?\(?\d[\d\s()./+-]*")


class Piece(NamedTuple):
    """A part of a text, and whether it is what was searched for."""

    text: str
    is_found: bool


@dataclass(frozen=True)
class Sought:
    """What a search looks for: words, the last one as a beginning; a part of a number; the beginning of an id.

    `beside_number` are the words without the digits of the number.
    """

    text: str
    words: tuple[str, ...]
    beside_number: frozenset[str]
    number_parts: tuple[str, ...]

    @classmethod
    def of(cls, text: str) -> Sought:
        text = text.strip()
        beside, number = split_number(text)
        words = tuple(dict.fromkeys(words_of(text)))
        return cls(text, words, frozenset(words_of(beside)), tuple(number_parts(number)))

    def words_among(self, words: Iterable[str]) -> set[str]:
        """Return those that are looked for of which one of these folded words is one."""
        *whole, last = self.words or ("",)
        held = set(words)
        found = held.intersection(whole)
        if last and any(word.startswith(last) for word in held):
            found.add(last)
        return found

    def is_shown(self, row_id: str, texts: Iterable[str]) -> bool:
        """Say whether a row of this id that shows these texts shows all that was looked for."""
        shown = list(texts)
        if len(self.text) >= SHORTEST_ID_PART and row_id.lower().startswith(self.text.lower()):
            return True
        found = self.words_among(word for text in shown for word in words_of(text))
        if any(any(_number_places(text, self.number_parts)) for text in shown):
            return found >= self.beside_number
        return bool(self.words) and len(found) == len(self.words)

    def pieces(self, text: str) -> list[Piece]:
        """Return a text in parts: what was found in it, and what stands between. Nothing is lost."""
        places = [
            (placed.start, placed.end) for placed in placed_words(text) if self.words_among([placed.word])
        ]
        return _cut_at(text, [*places, *_number_places(text, self.number_parts)])


def _number_places(text: str, parts: Sequence[str]) -> Iterator[tuple[int, int]]:
    for number in _NUMBERS.finditer(text) if parts else ():
        digits = [place for place in range(*number.span()) if text[place] in "0123456789"]
        shown = "".join(text[place] for place in digits)
        for part in parts:
            if (first := shown.find(part)) >= 0:
                yield digits[first], digits[first + len(part) - 1] + 1


def _cut_at(text: str, places: Sequence[tuple[int, int]]) -> list[Piece]:
    pieces: list[Piece] = []
    reached = 0
    # One may begin within another, as words of a number do: the first and longest counts.
    for start, end in sorted(places, key=lambda place: (place[0], -place[1])):
        if start >= reached:
            pieces += [Piece(text[reached:start], is_found=False), Piece(text[start:end], is_found=True)]
            reached = end
    pieces.append(Piece(text[reached:], is_found=False))
    return [piece for piece in pieces if piece.text]
