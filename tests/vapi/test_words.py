"""Folding: a word is found however it is written, and as much of a text as there is room for."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sessions_app.vapi.words import WORD_LENGTH, _cut, _is_ideograph, _words, fold, placed_words, words_of


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("Hello, WORLD-2!", "hello world 2"),
        ("Über den Straßen", "uber den strassen"),
        ("\uff26\uff35\uff2c\uff2c \ufb01ne", "full fine"),
        ("İstanbul", "istanbul"),
        ("東京タワー", "東 京 タ ワ ー"),
        ("Привет, мир", "привет мир"),
        ("안녕 하세요", "안녕 하세요"),
        ("a\x00b", "a b"),
    ],
)
def test_folds_text_to_plain_words(text: str, folded: str) -> None:
    assert " ".join(fold(text).split()) == folded


def folded_at_once(text: str) -> str:
    """The text as a whole, step by step, with each character looked at anew."""
    decomposed = unicodedata.normalize("NFKD", text).casefold()
    return unicodedata.normalize("NFC", "".join(map(_kept, decomposed)))


def _kept(character: str) -> str:
    if unicodedata.combining(character):
        return ""
    if _is_ideograph(ord(character)):
        return f" {character} "
    is_kept = character.isalnum() or unicodedata.category(character) in {"Mn", "Mc"}
    return character if is_kept else " "


_CHARACTERS = st.characters() | st.sampled_from(
    "aA1 -\u0345\u0301\u0323\u1fb3\uac01\u11a8\u0bc6\u0bbe\u3042\ufdfa\u0130ß"
)


@settings(max_examples=500)
@given(st.text(_CHARACTERS, max_size=30))
def test_characters_one_by_one_fold_as_the_whole_text(text: str) -> None:
    assert fold(text) == folded_at_once(text)


@settings(max_examples=500)
@given(st.lists(st.text(_CHARACTERS, min_size=1, max_size=30), max_size=12), st.integers(0, 120))
def test_each_word_is_taken_once_the_plain_ones_first_as_many_as_fit(some: list[str], size: int) -> None:
    text = " ".join([*some, *some])
    words = dict.fromkeys(text.split())
    plain, others = filter(str.isascii, words), (word for word in words if not word.isascii())
    ordered = text if text.isascii() else f"{' '.join(plain)} {' '.join(others)}"
    expected = list(dict.fromkeys(_cut(folded_at_once(ordered), size).split()))

    assert list(_words(text, size)) == expected


@settings(max_examples=300)
@given(st.text())
def test_placed_words_are_the_words_and_stand_where_they_say(text: str) -> None:
    placed = list(placed_words(text))
    assert [each.word for each in placed] == words_of(text)
    for each in placed:
        # One character may be several words, as a fraction is.
        assert each.word in [word[:WORD_LENGTH] for word in words_of(text[each.start : each.end])]
    assert [each.start for each in placed] == sorted(each.start for each in placed)


def test_a_word_is_placed_with_its_diacritics() -> None:
    (word,) = placed_words(" Cafe\u0301!")
    assert (word.word, word.start, word.end) == ("cafe", 1, 6)
