"""Owns exact US dollars: from a number as Vapi wrote it to Decimal and back to plain text; knows no rows."""

import re
from decimal import ROUND_HALF_EVEN, Context, Decimal

PICO_DOLLAR = Decimal("1e-12")
LARGEST_USD = Decimal("999999.999999999999")

_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,9})?", re.ASCII)
# Where an amount certainly does not fit; between this and the largest one, rounding decides.
_BEYOND_USD = LARGEST_USD + 1
# The context's own method takes a third of the time that the number's takes with a context.
_quantize = Context(prec=40, rounding=ROUND_HALF_EVEN).quantize


class BadMoney(ValueError):
    """What was given is no amount that a column of 18 digits, 12 of them after the point, can hold."""


def parse_usd(value: object) -> Decimal | None:
    """Exact dollars, rounded half-even to 1e-12 once; None for None.

    A float is refused: by the time there is one, the digits that were sent are lost.
    """
    if value is None:
        return None
    number = _to_decimal(value)
    # Not abs(): that rounds to the context's digits, and overflows.
    if not number.is_finite() or number.copy_abs() > _BEYOND_USD:
        raise BadMoney("not a finite amount below 1,000,000 dollars")
    rounded = _quantize(number, PICO_DOLLAR)
    if rounded.copy_abs() > LARGEST_USD:
        raise BadMoney("not a finite amount below 1,000,000 dollars")
    return rounded or rounded.copy_abs()


def _to_decimal(value: object) -> Decimal:
    if isinstance(value, Decimal):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return Decimal(value)
    if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        return Decimal(value.strip())
    raise BadMoney(f"not an amount: {type(value).__name__}")


def format_usd(usd: Decimal) -> str:
    """Plain digits: no exponent, no trailing zeros, no negative zero."""
    text = f"{usd:f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text == "-0" else text
