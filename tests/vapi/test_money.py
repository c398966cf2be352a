"""Amounts are exact from the text to the text."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sessions_app.models.fields import to_pico
from sessions_app.vapi.json import load_payload
from sessions_app.vapi.money import BadMoney, format_usd, parse_usd

# About as long as the places that are kept, and far longer.
near_places = st.builds(
    lambda digits, exponent: Decimal(digits).scaleb(exponent),
    st.integers(-(10**20), 10**20) | st.integers(-99, 99),
    st.integers(-34, -8),
)


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("0.0123", "0.0123"),
        ("1e-07", "0.0000001"),
        ("1E-12", "0.000000000001"),
        ("1e-13", "0"),
        ("-1e-13", "0"),
        ("5e-13", "0"),
        ("15e-13", "0.000000000002"),
        ("25e-13", "0.000000000002"),
        ("0.0000000000035", "0.000000000004"),
        ("-0.0000000000025", "-0.000000000002"),
        ("0.00000000000050000000000000000000000000001", "0.000000000001"),
        ("-3.5", "-3.5"),
        ("0", "0"),
        ("-0.0", "0"),
        ("12", "12"),
        ("1E+3", "1000"),
        ("0.1000", "0.1"),
        ("100", "100"),
        ("999999.999999999999", "999999.999999999999"),
        ("-999999.999999999999", "-999999.999999999999"),
    ],
)
def test_a_number_keeps_its_digits_to_the_twelfth_place(sent: str, kept: str) -> None:
    from_json = parse_usd(load_payload(f'{{"cost": {sent}}}')["cost"])

    assert from_json is not None
    assert format_usd(from_json) == kept
    assert parse_usd(sent) == from_json
    assert from_json.as_tuple().exponent == -12
    assert from_json or not from_json.is_signed()


def test_rounding_does_not_depend_on_how_many_digits_follow() -> None:
    assert parse_usd("0.1" + "0" * 11 + "5" + "0" * 400) == Decimal("0.1")
    assert parse_usd("0.1" + "0" * 11 + "5" + "0" * 400 + "1") == Decimal("0.100000000001")


def test_nothing_is_no_amount() -> None:
    assert parse_usd(None) is None


def test_a_million_small_amounts_add_up_exactly() -> None:
    tenth = parse_usd("0.1")
    assert tenth is not None
    assert sum([tenth] * 1000) == 100


@pytest.mark.parametrize(
    "sent",
    [
        True,
        False,
        0.1,
        float("nan"),
        [],
        {},
        "",
        " ",
        "abc",
        "NaN",
        "Infinity",
        "1_000",
        "\u0663",
        "0x10",
        "1,5",
        Decimal("NaN"),
        Decimal("sNaN"),
        Decimal("Infinity"),
        Decimal("-Infinity"),
        Decimal("1e999999"),
        "1e99999999",
        10**30,
        "1000000",
        "-1000000",
        "999999.9999999999996",
    ],
)
def test_what_is_no_amount_is_refused(sent: object) -> None:
    with pytest.raises(BadMoney):
        parse_usd(sent)


def test_plain_text_has_no_exponent() -> None:
    assert format_usd(Decimal("1E+5")) == "100000"
    assert format_usd(Decimal("1E-12")) == "0.000000000001"
    assert format_usd(Decimal("-0.00")) == "0"
    assert format_usd(Decimal(120)) == "120"


@settings(max_examples=500)
@given(
    st.decimals(allow_nan=False, allow_infinity=False, min_value=-1_000_001, max_value=1_000_001)
    | near_places
)
def test_every_amount_is_rounded_once_and_exactly(number: Decimal) -> None:
    whole = round(Fraction(number) * 10**12)  # half-even, without limits

    if abs(whole) >= 10**18:
        with pytest.raises(BadMoney):
            parse_usd(number)
    else:
        dollars = parse_usd(number)
        assert dollars is not None
        assert Fraction(dollars) * 10**12 == whole == to_pico(dollars)
