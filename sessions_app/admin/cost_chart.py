"""What the chart of the cost page draws: a bar for each source and day, or month of a long period."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.utils.formats import date_format

from sessions_app.admin.cost_figures import Lists, count_of, dollars, places_for
from sessions_app.admin.cost_months import bucket_of, by_month, join_months
from sessions_app.costs.period import Period
from sessions_app.costs.report import Report, Row
from sessions_app.models.costs import Source


def describe_chart(report: Report, lists: Lists) -> dict[str, Any]:
    """Return the bars as JSON for the script. Heights are floats, for drawing alone; words are exact."""
    rows = join_months(report) if by_month(report) else report.rows
    found = {(bucket_of(report, row.group["day"]), row.source): row for row in rows}
    buckets = list(dict.fromkeys(bucket_of(report, day) for day in report.query.period.days()))
    sources = [source for source in Source if any(key[1] == source for key in found)]
    return {
        # What the bars can show; without `reported` where that cannot be told apart.
        "measures": ["reported", "itemized"] if report.has_reported else ["itemized"],
        "labels": [_label(report, bucket) for bucket in buckets],
        "titles": [_title(report, bucket) for bucket in buckets],
        "series": [
            {
                "source": source.value,
                "name": str(source.label).capitalize(),
                "reported": [_bar(lists, found.get((bucket, source)), "reported") for bucket in buckets],
                "itemized": [_bar(lists, found.get((bucket, source)), "itemized") for bucket in buckets],
            }
            for source in sources
        ],
    }


def _bar(lists: Lists, row: Row | None, measure: str) -> dict[str, Any]:
    if row and measure == "itemized":
        value, href = row.itemized.cost_usd, lists.itemized(row.itemized)
        count = count_of(row.itemized.count, "line")
    elif row and row.reported:
        value, href = row.reported.cost_usd, lists.reported(row.source, row.reported)
        count = count_of(row.reported.count, row.source.value)
    else:
        return {"usd": 0, "text": "$0", "href": ""}
    return {"usd": float(value), "text": f"{dollars(value, _places(value))} · {count}", "href": href}


def _places(value: Decimal) -> int:
    return places_for([value])


def _label(report: Report, bucket: Period) -> str:
    return date_format(bucket.first_day, "M Y" if by_month(report) else "j M")


def _title(report: Report, bucket: Period) -> str:
    if by_month(report):
        return f"{date_format(bucket.first_day, 'j M Y')} to {date_format(bucket.last_day, 'j M Y')}"
    return date_format(bucket.first_day, "l, j F Y")
