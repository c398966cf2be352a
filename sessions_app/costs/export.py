"""A cost report as CSV: exact plain decimals, and text that no spreadsheet takes for a formula."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from sessions_app.costs.coverage import Coverage
from sessions_app.costs.report import INCLUDED, TOKENS, Report, Row
from sessions_app.vapi.money import format_usd
from sessions_app.vapi.times import format_time

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
_REPORTED = ("reported_usd", "difference_usd", "count", "without_cost_count")
_ITEMIZED = ("itemized_usd", "line_count", "lines_without_cost_count", *TOKENS)
_SHARED = ("first_day", "last_day", "time_zone", "source")


class _Echo:
    """A file for csv.writer that hands each line back."""

    def write(self, line: str) -> str:
        return line


def iter_csv(report: Report, coverage: Coverage) -> Iterator[str]:
    """Yield the report line by line, the header first.

    Each says in its last columns what is not included, up to when its stream is complete ('' for not yet), and on
    which day it begins.
    """
    writer = csv.writer(_Echo())
    yield writer.writerow(columns(report))
    for row in report.rows:
        stream = f"{row.source.value}s"
        as_of = coverage.complete_as_of[stream]
        begins_on = coverage.begins_on[stream]
        values = [*_values(report, row), format_time(as_of) if as_of else "", begins_on or ""]
        yield writer.writerow([as_cell(value) for value in values])


def columns(report: Report) -> list[str]:
    reported = _REPORTED if report.has_reported else ()
    return [
        *_SHARED,
        *_group_columns(report),
        *reported,
        *_ITEMIZED,
        "included",
        "complete_as_of",
        "begins_on",
    ]


def as_cell(value: object) -> str:
    """Return a value as a cell: text that would start a formula gets a quotation mark before it."""
    if isinstance(value, Decimal):
        return format_usd(value)
    if value is None or isinstance(value, int):
        return "" if value is None else str(value)
    text = str(value)
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else text


def _group_columns(report: Report) -> list[str]:
    names = [name for name in report.query.group_by if name != "source"]
    return [column for name in names for column in _columns_of(name)]


def _columns_of(name: str) -> tuple[str, ...]:
    """An id is followed by the name that people know it by."""
    return (name, f"{name.removesuffix('_id')}_name") if name.endswith("_id") else (name,)


def _values(report: Report, row: Row) -> Iterator[Any]:
    period = report.query.period
    yield from (period.first_day, period.last_day, " ".join(report.zones), row.source.value)
    for name in report.query.group_by:
        if name != "source":
            yield row.group[name]
            if name.endswith("_id"):
                yield row.names.get(name, "")
    if row.reported is not None:
        yield from (row.reported.cost_usd, row.difference_usd)
        yield from (row.reported.count, row.reported.without_cost_count)
    yield from (row.itemized.cost_usd, row.itemized.count, row.itemized.without_cost_count)
    yield from (getattr(row.itemized, name) for name in TOKENS)
    yield INCLUDED
