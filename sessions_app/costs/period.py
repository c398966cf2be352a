"""Periods of whole days, and the moments at which they begin and end in a time zone."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

ONE_DAY = timedelta(days=1)
EARLIEST, LATEST = date(1970, 1, 1), date(2999, 12, 31)


@dataclass(frozen=True)
class Period:
    """The days from `first_day` to `last_day`, both inclusive, in an organization's report time zone."""

    first_day: date
    last_day: date

    def __post_init__(self) -> None:
        if self.last_day < self.first_day:
            raise ValueError("The last day is before the first.")
        if self.first_day < EARLIEST or self.last_day > LATEST:
            raise ValueError("Days must lie between 1970-01-01 and 2999-12-31.")

    @property
    def day_count(self) -> int:
        return (self.last_day - self.first_day).days + 1

    def days(self) -> Iterator[date]:
        for number in range(self.day_count):
            yield self.first_day + number * ONE_DAY

    def moments(self, zone: ZoneInfo) -> tuple[datetime, datetime]:
        """Return the half-open stretch of UTC time that the period is in `zone`."""
        return _midnight(self.first_day, zone), _midnight(self.last_day + ONE_DAY, zone)

    def until(self, today: date) -> Period:
        """Return the part that is not ahead of `today`; all of it where all is ahead."""
        return Period(self.first_day, min(self.last_day, today)) if self.first_day <= today else self

    def before(self) -> Period | None:
        """Return what to compare it with: the month before a month, the first days of that before the first days of
        one, else as many days just before. None: that would be too early."""
        last = self.first_day - ONE_DAY
        if last < EARLIEST:
            return None
        if self.first_day.day == 1 and self.last_day <= month_of(self.first_day).last_day:
            month = month_of(last)
            is_whole = self == month_of(self.first_day)
            first = month.first_day
            last = month.last_day if is_whole else min(month.last_day, first + (self.day_count - 1) * ONE_DAY)
        else:
            first = self.first_day - self.day_count * ONE_DAY
        return Period(first, last) if first >= EARLIEST else None


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time.min, zone).astimezone(UTC)


def last_days(today: date, count: int) -> Period:
    return Period(today - (count - 1) * ONE_DAY, today)


def month_of(day: date) -> Period:
    return Period(day.replace(day=1), day.replace(day=monthrange(day.year, day.month)[1]))


# Names of periods, as a page or a program asks for them.
NAMED: dict[str, Callable[[date], Period]] = {
    "last_7_days": lambda today: last_days(today, 7),
    "last_30_days": lambda today: last_days(today, 30),
    "this_month": month_of,
    "last_month": lambda today: month_of(today.replace(day=1) - ONE_DAY),
}
DEFAULT = "last_30_days"
