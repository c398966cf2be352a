"""Lays proven days out as a calendar: weeks side by side, a square for each day. Knows no request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from math import ceil, sqrt

from django.urls import reverse
from django.utils.formats import date_format

from sessions_app.models import Coverage, Organization
from sessions_app.models.coverage import CoverageState
from sessions_app.models.runs import Stream

WEEKS = 53
_FEWEST_WEEKS = 13
_LEVELS = 4
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


@dataclass(frozen=True)
class Cell:
    """One day. `level` says how many rows it has, from 0 to 4, against the fullest day shown."""

    day: date
    state: str
    level: int
    url: str
    words: str
    has_missing: bool


@dataclass(frozen=True)
class Month:
    name: str
    weeks: int


@dataclass(frozen=True)
class Calendar:
    """`rows`: a weekday's name and its cells, week by week; None where a week reaches out of the time shown."""

    months: Sequence[Month]
    rows: Sequence[tuple[str, Sequence[Cell | None]]]
    first: date
    last: date


def lay_out(
    organization: Organization, stream: Stream, days: Mapping[date, Coverage], last: date
) -> Calendar:
    """Return the weeks up to `last`: as far back as there is anything, a year at most."""
    oldest = min(days, default=last)
    weeks = min(WEEKS, max(_FEWEST_WEEKS, _weeks_between(oldest, last)))
    monday = last - timedelta(days=last.weekday()) - timedelta(weeks=weeks - 1)
    most = max((row.mirrored_count for row in days.values()), default=0)

    def cell(day: date) -> Cell | None:
        return _cell(organization, stream, day, days.get(day), most) if day <= last else None

    rows = [
        (name, [cell(monday + timedelta(weeks=week, days=number)) for week in range(weeks)])
        for number, name in enumerate(WEEKDAYS)
    ]
    return Calendar(_months(monday, weeks), rows, monday, last)


def day_url(organization: Organization, stream: Stream | str, day: date) -> str:
    return reverse("admin:coverage_day", args=[organization.slug, str(stream), day.isoformat()])


def _weeks_between(first: date, last: date) -> int:
    monday = first - timedelta(days=first.weekday())
    return (last - monday).days // 7 + 1


def _months(monday: date, weeks: int) -> list[Month]:
    """A month stands above the weeks that begin in it."""
    months: list[Month] = []
    for week in range(weeks):
        start = monday + timedelta(weeks=week)
        name = date_format(start, "M Y" if start.month == 1 else "M")
        if months and (start - timedelta(weeks=1)).month == start.month:
            months[-1] = Month(months[-1].name, months[-1].weeks + 1)
        else:
            months.append(Month(name, 1))
    # A name is wider than a week, and would push the weeks apart.
    return [month if month.weeks > 1 else Month("", 1) for month in months]


def _cell(organization: Organization, stream: Stream, day: date, row: Coverage | None, most: int) -> Cell:
    if row is None:
        return Cell(day, "none", 0, "", f"{date_format(day, 'j M Y')}: nothing known", False)
    parts = [
        f"{date_format(day, 'j M Y')}: {CoverageState(row.state).label}",
        f"{row.upstream_count:,} at Vapi",
        f"{row.mirrored_count:,} here",
    ]
    if row.missing_count:
        parts.append(f"{row.missing_count:,} kept that Vapi no longer has")
    return Cell(
        day,
        row.state,
        # By the square root: a quiet night is told from a busy day and from none.
        ceil(_LEVELS * sqrt(row.mirrored_count / most)) if most else 0,
        day_url(organization, stream, day),
        ", ".join(parts),
        bool(row.missing_count),
    )
