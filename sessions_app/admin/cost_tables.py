"""How the cost page writes figures: rounded on screen, exact on hover, each a link to its rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from django.http import HttpRequest
from django.urls import reverse
from django.utils.formats import date_format

from sessions_app.costs.links import RowLinks
from sessions_app.costs.period import Period, month_of
from sessions_app.costs.report import Itemized, Report, Reported, Row
from sessions_app.models.costs import Source
from sessions_app.vapi.money import format_usd

# A longer table ends in one row for all the others; the CSV has every row.
SHOWN_ROWS = 50
# Beyond a quarter, the chart and the table by day show months.
MOST_DAYS = 92
_LISTS = {
    Source.SESSION: ("sessions_app_session_changelist", "sessions_app.view_session"),
    Source.CHAT: ("sessions_app_chat_changelist", "sessions_app.view_chat"),
}
MINUS = "\N{MINUS SIGN}"
_NO_DOLLARS = Decimal(0)
_LINES = "sessions_app_costline_changelist"


@dataclass(frozen=True)
class Figure:
    text: str
    # The exact value, where `text` is rounded.
    exact: str = ""
    href: str = ""
    # Of the column's sum, in percent.
    share: str = ""


@dataclass(frozen=True)
class TableRow:
    title: str
    note: str
    figures: list[Figure]


@dataclass
class Table:
    # What the CSV is grouped by.
    name: str
    title: str
    first_column: str
    columns_a_source: int
    columns: list[str]
    sources: list[Source]
    rows: list[TableRow] = field(default_factory=list)
    sums: list[Figure] = field(default_factory=list)


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


@dataclass(frozen=True)
class _Column:
    title: str
    read: Callable[[Row], Decimal | int]
    link: Callable[[Lists, Row], str]
    # What a sum begins with: dollars or a count.
    zero: Decimal | int = 0
    has_share: bool = False


def _reported(read: Callable[[Reported], Decimal | int]) -> Callable[[Row], Decimal | int]:
    return lambda row: read(row.reported) if row.reported else 0


def _to_parents(lists: Lists, row: Row) -> str:
    return lists.reported(row.source, row.reported) if row.reported else ""


def _to_lines(lists: Lists, row: Row) -> str:
    return lists.itemized(row.itemized)


def _nowhere(_lists: Lists, _row: Row) -> str:
    return ""


_PARENTS = [
    _Column("Count", _reported(lambda reported: reported.count), _nowhere),
    _Column(
        "Reported", _reported(lambda reported: reported.cost_usd), _to_parents, _NO_DOLLARS, has_share=True
    ),
    _Column("Itemized", lambda row: row.itemized.cost_usd, _to_lines, _NO_DOLLARS),
]
_KINDS = [
    _Column("Lines", lambda row: row.itemized.count, _nowhere),
    _Column("Itemized", lambda row: row.itemized.cost_usd, _to_lines, _NO_DOLLARS, has_share=True),
]
_MODELS = [
    _Column("Prompt tokens", lambda row: row.itemized.prompt_tokens, _nowhere),
    _Column("Completion tokens", lambda row: row.itemized.completion_tokens, _nowhere),
    _KINDS[1],
]


def assistant_table(report: Report, lists: Lists) -> Table:
    def name(row: Row) -> tuple[str, str]:
        remote_id = row.group["assistant_id"]
        title = row.names.get("assistant_id", "")
        return (title or remote_id or "No assistant"), (remote_id if title else "")

    return _table("assistant_id", "By assistant", report, lists, _PARENTS, name)


def kind_table(report: Report, lists: Lists) -> Table:
    def name(row: Row) -> tuple[str, str]:
        return row.group["kind"] or "No kind", row.group["analysis_type"]

    return _table("kind,analysis_type", "By kind", report, lists, _KINDS, name)


def model_table(report: Report, lists: Lists) -> Table:
    def name(row: Row) -> tuple[str, str]:
        return row.group["model"] or "No model", row.group["provider"]

    return _table("provider,model", "By model", report, lists, _MODELS, name)


def day_table(report: Report, lists: Lists) -> Table:
    """The table by day, or by month of a long period."""

    def name(row: Row) -> tuple[str, str]:
        day = row.group["day"]
        return (date_format(day, "F Y"), "") if by_month(report) else (date_format(day, "D j M Y"), "")

    columns = [replace(column, has_share=False) for column in _PARENTS]
    title = "By month" if by_month(report) else "By day"
    rows = join_months(report) if by_month(report) else report.rows
    return _table("day", title, replace(report, rows=tuple(rows)), lists, columns, name, limit=1000)


def _table(
    name: str,
    title: str,
    report: Report,
    lists: Lists,
    columns: Sequence[_Column],
    read_name: Callable[[Row], tuple[str, str]],
    limit: int = SHOWN_ROWS,
) -> Table:
    groups: dict[tuple[Any, ...], dict[Source, Row]] = {}
    for row in report.rows:
        key = tuple(value for group, value in row.group.items() if group != "source")
        groups.setdefault(key, {})[row.source] = row
    sources = [source for source in Source if any(source in group for group in groups.values())]
    headings = [column.title for _ in sources for column in columns]
    table = Table(name, title, title.removeprefix("By ").capitalize(), len(columns), headings, sources)
    cells = _Cells(lists, sources, columns, list(groups.values()))
    shown = limit if len(groups) > limit + 1 else len(groups)
    for group in list(groups.values())[:shown]:
        table.rows.append(TableRow(*read_name(next(iter(group.values()))), cells.of(group)))
    if rest := list(groups.values())[shown:]:
        table.rows.append(TableRow(f"{len(rest):,} others", "in the CSV", cells.sums_of(rest)))
    table.sums = cells.sums_of(list(groups.values()))
    return table


@dataclass
class _Cells:
    lists: Lists
    sources: Sequence[Source]
    columns: Sequence[_Column]
    groups: list[dict[Source, Row]]

    def __post_init__(self) -> None:
        self.wholes = {
            (source, column.title): self._sum(self.groups, source, column)
            for source in self.sources
            for column in self.columns
        }
        amounts = [value for value in self.wholes.values() if isinstance(value, Decimal)]
        self.places = places_for(amounts)

    def of(self, group: dict[Source, Row]) -> list[Figure]:
        return [
            self._figure(source, column, group[source]) if source in group else Figure("")
            for source in self.sources
            for column in self.columns
        ]

    def sums_of(self, groups: list[dict[Source, Row]]) -> list[Figure]:
        return [
            self._write(self._sum(groups, source, column))
            for source in self.sources
            for column in self.columns
        ]

    def _figure(self, source: Source, column: _Column, row: Row) -> Figure:
        whole = self.wholes[source, column.title]
        return self._write(
            column.read(row), column.link(self.lists, row), Decimal(whole) if column.has_share else None
        )

    def _write(self, value: Decimal | int, href: str = "", whole: Decimal | None = None) -> Figure:
        if isinstance(value, Decimal):
            return amount(value, self.places, href, whole)
        return number(value, href)

    def _sum(self, groups: list[dict[Source, Row]], source: Source, column: _Column) -> Decimal | int:
        return sum((column.read(group[source]) for group in groups if source in group), start=column.zero)


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
        Reported(
            sum((each.cost_usd for each in reported), Decimal(0)),
            sum(each.count for each in reported),
            sum(each.without_cost_count for each in reported),
            links.parents(),
        ),
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
