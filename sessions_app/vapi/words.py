"""Owns the words by which a text is found: folded, so that every spelling of one finds it. Knows no index.

Both databases hold the same words, because text is folded here and neither database's own parser sees it.
"""

import unicodedata
from collections.abc import Collection, Iterable, Iterator
from itertools import filterfalse
from typing import NamedTuple

# A tsvector may have 1 MB, which folded text of this size cannot pass: a distinct word takes at most twice its
# bytes in there, but for the few of one byte.
SAID_BYTES = 500_000
LABEL_BYTES = 5_000
WORD_LENGTH = 200
# Most words of a language come again and again; what is longer than this is a sentence written without spaces.
_WORDS_KEPT = 20_000
_LONGEST_KEPT = 24


class Words(NamedTuple):
    """What something is found by: folded words, each once, apart by spaces."""

    labels: str
    said: str
    # Not all that was said has room.
    is_cut: bool


def index_of(labels: str, said: str) -> Words:
    """Return what a session or chat of these names, in which this was said, is found by."""
    return Words(" ".join(_words(labels, LABEL_BYTES)), " ".join(_words(said, SAID_BYTES)), _is_cut(said))


class _Folding(dict[int, str]):
    """Maps a character to what it is made of, in lower case: letters and digits, a space where words end, nothing
    for a diacritic. Learns as it goes.

    One by one is as good as the text at once: what depends on its neighbours is only the order of diacritics.
    """

    def __missing__(self, code: int) -> str:
        folded = "".join(map(_fold_character, unicodedata.normalize("NFKD", chr(code)).casefold()))
        self[code] = folded
        return folded


def _fold_character(character: str) -> str:
    if unicodedata.combining(character):
        return ""
    if _is_ideograph(ord(character)):
        return f" {character} "
    is_kept = character.isalnum() or unicodedata.category(character) in {"Mn", "Mc"}
    return character if is_kept else " "


def _is_ideograph(code: int) -> bool:
    """Kana and Han are written without spaces: each stands as a word."""
    return 0x3040 <= code <= 0x30FF or 0x3400 <= code <= 0x9FFF or 0x20000 <= code <= 0x3FFFF


_FOLDING = _Folding()
_ASCII = bytes(ord(chr(code).lower()) if chr(code).isalnum() else ord(" ") for code in range(128)).ljust(256)


def fold(text: str) -> str:
    """Return `text` as words apart by spaces: lower case, without diacritics, letters and digits only."""
    if text.isascii():
        return text.encode().translate(_ASCII).decode()
    return unicodedata.normalize("NFC", text.translate(_FOLDING))


class _Folded(dict[str, str]):
    """Words folded, those that may come again kept. A dictionary of its own finds them without a call."""

    def __missing__(self, word: str) -> str:
        folded = fold(word)
        if len(word) <= _LONGEST_KEPT:
            if len(self) >= _WORDS_KEPT:
                self.clear()
            self[word] = folded
        return folded


_FOLDED = _Folded()


def words_of(text: str) -> list[str]:
    """Return the folded words in their order, each cut to WORD_LENGTH."""
    return [word[:WORD_LENGTH] for word in fold(text).split()]


class PlacedWord(NamedTuple):
    """A folded word and where it stands in the text: text[start:end]."""

    word: str
    start: int
    end: int


def placed_words(text: str) -> Iterator[PlacedWord]:
    """The same words as `words_of`, each with its place. Character by character: for texts of some lines."""
    word, start, end = "", 0, 0
    for place, character in enumerate(text):
        parts = _FOLDING[ord(character)].split(" ")
        for number, part in enumerate(parts):
            if number and word:
                yield _placed(word, start, end)
                word = ""
            start = start if word else place
            word += part
            # A diacritic alone belongs to the word that it ends.
            end = place + 1 if part or len(parts) == 1 else end
    if word:
        yield _placed(word, start, end)


def _placed(folded: str, start: int, end: int) -> PlacedWord:
    return PlacedWord(unicodedata.normalize("NFC", folded)[:WORD_LENGTH], start, end)


def _is_cut(said: str) -> bool:
    """What was cut before it came here ends within one character of the limit."""
    return len(said) > SAID_BYTES // 4 - 4 and len(said.encode(errors="replace")) > SAID_BYTES - 4


def _cut(folded: str, size: int) -> str:
    if len(folded) <= size // 4:
        return folded
    return folded.encode(errors="replace")[:size].decode(errors="ignore")


def _words(text: str, size: int) -> Iterable[str]:
    """The folded words, each once and cut to WORD_LENGTH, as many as fit into `size` bytes."""
    folded = _cut(_fold_all(text, size), size)
    words = dict.fromkeys(folded.split())
    if len(folded) > WORD_LENGTH and max(map(len, words), default=0) > WORD_LENGTH:
        return dict.fromkeys(word[:WORD_LENGTH] for word in words)
    return words


def _fold_all(text: str, size: int) -> str:
    """Fold text that is a set of words: the plain ones first. Each is taken once where all do not fit into `size`."""
    if text.isascii():
        return fold(text)
    words = text.split()
    folded = _fold_words(words)
    return folded if len(folded) <= size // 4 else _fold_words(dict.fromkeys(words))


def _fold_words(words: Collection[str]) -> str:
    """What is not ASCII takes long."""
    others = map(_FOLDED.__getitem__, filterfalse(str.isascii, words))
    return " ".join((fold(" ".join(filter(str.isascii, words))), *others))
