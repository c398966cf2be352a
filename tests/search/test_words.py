"""Words and parts of numbers: what is indexed is found, alike on both databases."""

from __future__ import annotations

import pytest
from django.db import connection, transaction

from sessions_app.models import NumberSuffix, Organization, SearchText
from sessions_app.search.words import (
    index_numbers,
    index_words,
    matching,
    matching_session_ids,
    next_prefix,
    numbers_with,
)
from sessions_app.vapi.words import SAID_BYTES
from tests.search.rows import index, words_row


@pytest.fixture
def indexed(organization: Organization) -> Organization:
    index(
        organization, words_row("session", "s1", "s1", "Ann Müller", "Ich hätte gern ein Zimmer, Code 1e5abc")
    )
    index(
        organization,
        words_row("session", "s2", "s2", "Zimmermann", "the quick 'brown' fox \\ : & | ! 東京タワー"),
    )
    # Apart by their vowels alone, which are signs and no letters.
    index(organization, words_row("session", "s4", "s4", "", "काम"))
    index(organization, words_row("session", "s5", "s5", "", "कीम"))
    index(organization, words_row("chat", "c1", "s3", "", "a quick question"))
    index(organization, words_row("chat", "c2", "", "", "quick and alone"))
    return organization


@pytest.mark.parametrize(
    ("query", "names_too", "found"),
    [
        ("zimmer", False, {"s1"}),
        ("काम", False, {"s4"}),
        ("की", False, {"s5"}),
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
    index(indexed, words_row("session", "s1", "s1", "Ann", "entirely different"))
    assert not matching("zimmer", names_too=False).exists()
    assert set(matching_session_ids("different")) == {"s1"}
    assert SearchText.objects.filter(parent_id="s1").count() == 1


def test_many_rows_are_indexed_in_one_go(organization: Organization) -> None:
    rows = [words_row("session", f"s{i}", f"s{i}", "", f"shared only{i}x") for i in range(2000)]
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
    index(organization, words_row("session", "s1", "s1", said[:100_000], f"first {said}"))
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
