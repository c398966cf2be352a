"""Long periods of the cost page: days added up by month, each sum linked to the rows of its month."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal

from sessions_app.costs.links import RowLinks
from sessions_app.costs.period import Period, month_of
from sessions_app.costs.report import Itemized, Report, Reported, Row
from sessions_app.models.costs import Source

# Beyond a quarter, the chart and the table by day show months.
MOST_DAYS = 92


def by_month(report: Report) -> bool:
    return report.query.period.day_count > MOST_DAYS


def bucket_of(report: Report, day: date) -> Period:
    """Return the day, or of a long period the part of its month, that a bar stands for."""
    if not by_month(report):
        return Period(day, day)
    month, period = month_of(day), report.query.period
    return Period(max(month.first_day, period.first_day), min(month.last_day, period.last_day))


def join_months(report: Report) -> list[Row]:
    """Return the report's rows by day added up by month, each linked to the rows of its month."""
    joined: dict[tuple[Period, Source], list[Row]] = {}
    for row in report.rows:
        joined.setdefault((bucket_of(report, row.group["day"]), row.source), []).append(row)
    return [_join(report, bucket, source, rows) for (bucket, source), rows in joined.items()]


def _join(report: Report, bucket: Period, source: Source, rows: list[Row]) -> Row:
    links = RowLinks(
        replace(report.query, period=bucket),
        {"source": source.value},
        {organization.pk: organization for organization in report.organizations},
    )
    reported = [row.reported for row in rows if row.reported]
    itemized = [row.itemized for row in rows]
    return Row(
        source,
        {"day": bucket.first_day},
        {},
        _join_reported(reported, links) if report.has_reported else None,
        Itemized(
            cost_usd=sum((each.cost_usd for each in itemized), Decimal(0)),
            count=sum(each.count for each in itemized),
            without_cost_count=sum(each.without_cost_count for each in itemized),
            prompt_tokens=sum(each.prompt_tokens for each in itemized),
            completion_tokens=sum(each.completion_tokens for each in itemized),
            cached_prompt_tokens=sum(each.cached_prompt_tokens for each in itemized),
            reasoning_tokens=sum(each.reasoning_tokens for each in itemized),
            query=links.lines(),
        ),
    )


def _join_reported(reported: Sequence[Reported], links: RowLinks) -> Reported:
    return Reported(
        sum((each.cost_usd for each in reported), Decimal(0)),
        sum(each.count for each in reported),
        sum(each.without_cost_count for each in reported),
        links.parents(),
    )
