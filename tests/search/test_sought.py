"""What was searched for is marked in what is shown, as the search itself reads it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessions_app.search.sought import Sought


def marked(text: str, asked: str) -> str:
    return "".join(
        f"[{piece.text}]" if piece.is_found else piece.text for piece in Sought.of(asked).pieces(text)
    )


@pytest.mark.parametrize(
    ("text", "asked", "expected"),
    [
        ("The router blinks", "router", "The [router] blinks"),
        ("Two routers", "rout", "Two [routers]"),
        # Only the last word is a beginning.
        ("The routers blink red", "rout red", "The routers blink [red]"),
        ("Über CAFÉ", "cafe uber", "[Über] [CAFÉ]"),
        ("東京タワー", "東京", "[東][京]タワー"),
        ("+1 212-555-0259", "212", "+1 [212]-555-0259"),
        ("+1 212-555-0259", "12 555", "+1 2[12-555]-0259"),
        ("+49 30 123456", "030 1234", "+49 [30 1234]56"),
        ("Ada Byron · +1 212-555-0407", "ada 0407", "[Ada] Byron · +1 212-555-[0407]"),
        # Two numbers are not one.
        ("+1 212 · 555 apples", "2125", "+1 212 · 555 apples"),
        ("nothing", "router", "nothing"),
        ("", "router", ""),
        ("nothing", "", "nothing"),
    ],
)
def test_marks_what_was_found(text: str, asked: str, expected: str) -> None:
    assert marked(text, asked) == expected


@given(st.text(max_size=60), st.text(max_size=12))
def test_nothing_is_lost(text: str, asked: str) -> None:
    assert "".join(piece.text for piece in Sought.of(asked).pieces(text)) == text


@pytest.mark.parametrize(
    ("asked", "is_shown"),
    [
        ("ada", True),
        ("ada lamp", True),
        ("lamp flickers", False),
        ("flickers", False),
        ("1512", True),
        ("ada 1512", True),
        ("lamp 512 34", True),
        ("bob 1512", False),
        ("ada 999", False),
        ("0f3c", True),
        ("0F3C-44", True),
        ("0f", False),
    ],
)
def test_a_row_shows_it_or_not(asked: str, is_shown: bool) -> None:
    shown = ("Ada Byron", "+49 1512 345 · Broken lamp")
    assert Sought.of(asked).is_shown("0f3c-44", shown) is is_shown
