"""Words and parts of numbers: what is indexed is found, alike on both databases."""

from __future__ import annotations

import unicodedata

import pytest
from django.db import connection, transaction
from hypothesis import given, settings
from hypothesis import strategies as st

from sessions_app.models import NumberSuffix, Organization, SearchText
from sessions_app.search.words import (
    SAID_BYTES,
    WordsRow,
    _cut,
    _is_ideograph,
    _words,
    fold,
    index_numbers,
    index_words,
    matching,
    matching_session_ids,
    next_prefix,
    numbers_with,
)
from tests.search.rows import index


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


@pytest.fixture
def indexed(organization: Organization) -> Organization:
    index(
        organization, WordsRow("session", "s1", "s1", "Ann Müller", "Ich hätte gern ein Zimmer, Code 1e5abc")
    )
    index(
        organization,
        WordsRow("session", "s2", "s2", "Zimmermann", "the quick 'brown' fox \\ : & | ! 東京タワー"),
    )
    index(organization, WordsRow("chat", "c1", "s3", "", "a quick question"))
    index(organization, WordsRow("chat", "c2", "", "", "quick and alone"))
    return organization


@pytest.mark.parametrize(
    ("query", "names_too", "found"),
    [
        ("zimmer", False, {"s1"}),
        ("ZIMM", False, {"s1"}),
        ("zimm", True, {"s1", "s2"}),
        ("hatte zimmer", False, {"s1"}),
        ("hätte fox", False, set()),
        ("zimm hatte", False, set()),
        ("muller", False, set()),
        ("müller hätte", True, {"s1"}),
        ("quick", False, {"s2", "s3"}),
        ("1e5abc", False, {"s1"}),
        ("東京", False, {"s2"}),
        ("brown' & fox", False, {"s2"}),
        ('"brown" OR fox*', False, set()),
        ("   ?!", True, set()),
        ("", True, set()),
    ],
)
def test_finds_sessions_by_words(indexed: Organization, query: str, names_too: bool, found: set[str]) -> None:
    assert set(matching_session_ids(query, names_too=names_too)) == found


def test_indexing_again_replaces_what_is_found(indexed: Organization) -> None:
    index(indexed, WordsRow("session", "s1", "s1", "Ann", "entirely different"))
    assert not matching("zimmer", names_too=False).exists()
    assert set(matching_session_ids("different")) == {"s1"}
    assert SearchText.objects.filter(parent_id="s1").count() == 1


def test_many_rows_are_indexed_in_one_go(organization: Organization) -> None:
    rows = [WordsRow("session", f"s{i}", f"s{i}", "", f"shared only{i}x") for i in range(2000)]
    with transaction.atomic(), connection.cursor() as cursor:
        index_words(cursor, organization.pk, rows)
    assert matching("shared", names_too=False).count() == 2000
    assert set(matching_session_ids("only1234x")) == {"s1234"}


_GREEK = [chr(0x3B1 + i) for i in range(25)]


@pytest.mark.parametrize(
    "said",
    [
        "x" * 600_000,
        "a " * 400_000,
        " ".join(f"{i:x}" for i in range(150_000)),
        " ".join(a + b + c + d for a in _GREEK for b in _GREEK for c in _GREEK for d in _GREEK[:8]),
        " ".join(chr(0xAC00 + i) for i in range(11_000)) * 20,
        "".join(chr(0x4E00 + i) for i in range(20_000)) * 20,
    ],
    ids=["one word", "one letter", "hex", "greek", "korean", "han"],
)
def test_no_text_is_too_long_or_too_rich(organization: Organization, said: str) -> None:
    index(organization, WordsRow("session", "s1", "s1", said[:100_000], f"first {said}"))
    assert set(matching_session_ids("first")) == {"s1"}
    assert SearchText.objects.get().is_cut is (len(said.encode()) > SAID_BYTES)


def test_parts_of_a_number_find_it(organization: Organization) -> None:
    with connection.cursor() as cursor:
        index_numbers(cursor, ["4915123456", "15123", "15", ""])
        index_numbers(cursor, ["4915123456"])
    assert set(numbers_with("151")) == {"4915123456", "15123"}
    assert set(numbers_with("2345")) == {"4915123456"}
    assert set(numbers_with("4915123456")) == {"4915123456"}
    assert not numbers_with("999").exists()
    assert NumberSuffix.objects.filter(digits="4915123456").count() == 8


@pytest.mark.parametrize(
    ("prefix", "following"),
    [("a", "b"), ("az", "a{"), ("\ud7ff", "\ue000"), ("a\U0010ffff", "b")],
)
def test_a_prefix_is_a_range(prefix: str, following: str) -> None:
    assert next_prefix(prefix) == following
