"""How the cost page writes figures: rounded on screen, exact on hover, each a link to its rows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal

from django.http import HttpRequest
from django.urls import reverse

from sessions_app.costs.report import Itemized, Reported
from sessions_app.models.costs import Source
from sessions_app.vapi.money import format_usd

_LISTS = {
    Source.SESSION: ("sessions_app_session_changelist", "sessions_app.view_session"),
    Source.CHAT: ("sessions_app_chat_changelist", "sessions_app.view_chat"),
}
MINUS = "\N{MINUS SIGN}"
_LINES = "sessions_app_costline_changelist"


@dataclass(frozen=True)
class Figure:
    text: str
    # The exact value, where `text` is rounded.
    exact: str = ""
    href: str = ""
    # Of the column's sum, in percent.
    share: str = ""
    # Against the period before: "+12%", and what it was.
    change: str = ""
    was: str = ""


class Lists:
    """Addresses of the lists that this person may open."""

    def __init__(self, request: HttpRequest) -> None:
        self.parents = {
            source: reverse(f"admin:{name}") if request.user.has_perm(permission) else ""
            for source, (name, permission) in _LISTS.items()
        }
        self.lines = reverse(f"admin:{_LINES}")

    def reported(self, source: Source, reported: Reported) -> str:
        address = self.parents[source]
        return f"{address}?{reported.query}" if address and reported.query else ""

    def itemized(self, itemized: Itemized) -> str:
        return f"{self.lines}?{itemized.query}" if itemized.query else ""


def dollars(value: Decimal, places: int) -> str:
    """Write dollars rounded to `places`; what would be rounded to nothing says that it is something."""
    smallest = Decimal(1).scaleb(-places)
    rounded = value.quantize(smallest, ROUND_HALF_EVEN)
    sign = MINUS if value < 0 else ""
    if value and not rounded:
        return f"{f'> {MINUS}' if value < 0 else '< '}${smallest:f}"
    return f"{sign}${abs(rounded):,f}"


def places_for(amounts: Iterable[Decimal]) -> int:
    """Cents are enough where the amounts of a column are large."""
    return 2 if max((abs(amount) for amount in amounts), default=Decimal(0)) >= 100 else 4


def amount(value: Decimal, places: int, href: str = "", whole: Decimal | None = None) -> Figure:
    share = _percent(value, whole) if whole and 0 <= value <= whole else ""
    exact = f"{MINUS if value < 0 else ''}${format_usd(abs(value))}"
    return Figure(dollars(value, places), exact, href, share)


def _percent(part: Decimal, whole: Decimal) -> str:
    percent = 100 * part / whole
    return "< 1%" if 0 < percent < 1 else f"{percent.quantize(Decimal(1))}%"


def count_of(count: int, word: str) -> str:
    return f"{count:,} {word}{'' if count == 1 else 's'}"


def number(value: int, href: str = "") -> Figure:
    return Figure(f"{value:,}", href=href)
