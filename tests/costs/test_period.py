"""What a period is compared with."""

from __future__ import annotations

from datetime import date

import pytest

from sessions_app.costs.period import Period


def period(first: str, last: str) -> Period:
    return Period(date.fromisoformat(first), date.fromisoformat(last))


@pytest.mark.parametrize(
    ("shown", "earlier"),
    [
        # A month with the month before, however long.
        (("2026-03-01", "2026-03-31"), ("2026-02-01", "2026-02-28")),
        (("2026-01-01", "2026-01-31"), ("2025-12-01", "2025-12-31")),
        # The first days of a month with those of the month before, as far as it has them.
        (("2026-03-01", "2026-03-10"), ("2026-02-01", "2026-02-10")),
        (("2026-03-01", "2026-03-30"), ("2026-02-01", "2026-02-28")),
        (("2026-03-05", "2026-03-11"), ("2026-02-26", "2026-03-04")),
        (("2026-01-01", "2026-02-28"), ("2025-11-03", "2025-12-31")),
    ],
)
def test_the_period_before(shown: tuple[str, str], earlier: tuple[str, str]) -> None:
    assert period(*shown).before() == period(*earlier)


def test_nothing_is_before_the_first_day_that_can_be_asked_for() -> None:
    assert period("1970-01-01", "1970-01-31").before() is None
    assert period("1970-01-02", "1970-01-03").before() is None


def test_what_is_ahead_is_left_out() -> None:
    month = period("2026-03-01", "2026-03-31")
    assert month.until(date(2026, 3, 10)) == period("2026-03-01", "2026-03-10")
    assert month.until(date(2026, 5, 1)) == month
    assert month.until(date(2026, 2, 1)) == month
