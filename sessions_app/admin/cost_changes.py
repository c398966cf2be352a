"""What the cost page compares a period with: the one before, where both are here whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from django.contrib.auth.models import AnonymousUser, User
from django.utils.formats import date_format

from sessions_app.admin.cost_figures import MINUS
from sessions_app.costs.coverage import Coverage
from sessions_app.costs.period import Period
from sessions_app.costs.query import CostQuery
from sessions_app.costs.report import Report, Row, summarize_costs
from sessions_app.models.costs import Source
from sessions_app.models.organizations import Organization

_DOUBLE = 2
_TIMES = "\N{MULTIPLICATION SIGN}"
Key = tuple[Any, ...]


@dataclass(frozen=True)
class Earlier:
    """What was reported in the period before, by group and source; nothing of a source that is not here so long."""

    period: Period
    reported: Mapping[tuple[Key, Source], Decimal]
    sources: tuple[Source, ...]

    def change(self, row: Row) -> str:
        """Say how a row's reported cost has changed; '' where that cannot be said."""
        if row.reported is None or row.source not in self.sources:
            return ""
        return describe_change(row.reported.cost_usd, self.cost_of(row))

    def cost_of(self, row: Row) -> Decimal:
        return self.reported.get((group_key(row), row.source), Decimal(0))

    @property
    def words(self) -> str:
        first, last = self.period.first_day, self.period.last_day
        return f"{date_format(first, 'j M Y')} to {date_format(last, 'j M Y')}"


@dataclass(frozen=True)
class Comparison:
    """Asks for the sums of the period before that of a query."""

    who: User | AnonymousUser
    query: CostQuery
    organizations: Sequence[Organization]
    coverage: Coverage
    today: date

    def of(self, *group_by: str) -> Earlier | None:
        """Two queries, and one for names. None where the period before is too early or is not here whole."""
        period = self.query.period.until(self.today).before()
        sources = () if period is None else tuple(source for source in Source if self._has(source, period))
        if period is None or not sources or self.query.period.first_day > self.today:
            return None
        query = replace(self.query.grouped_by(*group_by), period=period, period_name="")
        return Earlier(period, _reported(summarize_costs(self.who, query, self.organizations)), sources)

    def _has(self, source: Source, period: Period) -> bool:
        begins_on = self.coverage.begins_on[f"{source.value}s"]
        return begins_on is not None and begins_on <= period.first_day


def group_key(row: Row) -> Key:
    return tuple(value for name, value in row.group.items() if name != "source")


def describe_change(now: Decimal, then: Decimal) -> str:
    """Write a change as people say it: by percent, from twice on by times, and "new" where there was nothing."""
    if then <= 0 or now < 0:
        return "new" if now > 0 and not then else ""
    ratio = now / then
    if ratio >= _DOUBLE:
        return f"{_TIMES}{ratio.quantize(Decimal('0.1'), ROUND_HALF_EVEN).normalize():f}"
    percent = (100 * (ratio - 1)).quantize(Decimal(1), ROUND_HALF_EVEN)
    if not percent:
        return "±0%"
    return f"{MINUS if percent < 0 else '+'}{abs(percent)}%"


def _reported(report: Report) -> dict[tuple[Key, Source], Decimal]:
    return {(group_key(row), row.source): row.reported.cost_usd for row in report.rows if row.reported}
