"""Dollars become whole pico-dollars without a digit lost or made up."""

from decimal import ROUND_HALF_EVEN, Decimal

import pytest
from django.core.exceptions import ValidationError
from hypothesis import given
from hypothesis import strategies as st

from sessions_app.models.fields import MAX_USD, to_pico


@given(
    st.decimals(-MAX_USD, MAX_USD)
    | st.builds(Decimal, st.integers(-(10**18) + 1, 10**18 - 1)).map(lambda pico: pico.scaleb(-12))
    | st.decimals(-MAX_USD, MAX_USD, places=40)
)
def test_as_if_the_point_were_moved_by_twelve_places(dollars: Decimal) -> None:
    assert to_pico(dollars) == int(dollars.scaleb(12).to_integral_value(ROUND_HALF_EVEN))


@pytest.mark.parametrize("odd", ["NaN", "sNaN", "Infinity", "-Infinity", "1000000", "-1000000", "1e999"])
def test_what_a_column_cannot_hold_is_refused(odd: str) -> None:
    with pytest.raises(ValidationError):
        to_pico(Decimal(odd))
