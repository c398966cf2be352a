"""The tables of the cost page: by day, assistant, kind and model, beside what sessions and chats report."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from django.utils.formats import date_format

from sessions_app.admin.cost_changes import Earlier, group_key
from sessions_app.admin.cost_figures import Figure, Lists, amount, dollars, number, places_for
from sessions_app.admin.cost_months import by_month, join_months
from sessions_app.costs.query import NONE
from sessions_app.costs.report import Report, Reported, Row
from sessions_app.models.costs import Source

# A longer table ends in one row for all the others; the CSV has every row.
SHOWN_ROWS = 50
_NO_DOLLARS = Decimal(0)
# Returns the address of the page with these filters as well.
Narrow = Callable[[Mapping[str, str]], str]


@dataclass(frozen=True)
class TableRow:
    title: str
    note: str
    figures: list[Figure]
    # The page of this row alone.
    href: str = ""


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


@dataclass(frozen=True)
class _Column:
    title: str
    read: Callable[[Row], Decimal | int]
    link: Callable[[Lists, Row], str]
    # What a sum begins with: dollars or a count.
    zero: Decimal | int = 0
    has_share: bool = False
    has_change: bool = False


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


def assistant_table(report: Report, lists: Lists, earlier: Earlier | None, narrow: Narrow) -> Table:
    """By assistant and, where there is none, by squad; each leads to its own page."""

    def name(row: Row) -> tuple[str, str]:
        assistant, squad = row.group["assistant_id"], row.group["squad_id"]
        found = row.names.get("assistant_id" if assistant else "squad_id", "")
        in_squad = f"in squad {row.names.get('squad_id', squad)}" if assistant and squad else ""
        what = "Squad" if squad and not assistant else ""
        notes = (what, in_squad, (assistant or squad) if found else "")
        return found or assistant or squad or "No assistant", " · ".join(filter(None, notes))

    def href(row: Row) -> str:
        assistant, squad = row.group["assistant_id"], row.group["squad_id"]
        if assistant and not squad:
            return narrow({"assistant_id": assistant})
        return narrow({"assistant_id": assistant or NONE, "squad_id": squad or NONE})

    columns = [replace(column, has_change=column.has_share) for column in _columns_of(report)]
    title = "By assistant or squad"
    return _table("assistant_id,squad_id", title, report, lists, columns, name, earlier=earlier, href=href)


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

    columns = [replace(column, has_share=False) for column in _columns_of(report)]
    title = "By month" if by_month(report) else "By day"
    rows = join_months(report) if by_month(report) else report.rows
    return _table("day", title, replace(report, rows=tuple(rows)), lists, columns, name, limit=1000)


def _columns_of(report: Report) -> list[_Column]:
    return _PARENTS if report.has_reported else _KINDS


def _table(
    name: str,
    title: str,
    report: Report,
    lists: Lists,
    columns: Sequence[_Column],
    read_name: Callable[[Row], tuple[str, str]],
    limit: int = SHOWN_ROWS,
    *,
    earlier: Earlier | None = None,
    href: Callable[[Row], str] = lambda row: "",
) -> Table:
    groups: dict[tuple[Any, ...], dict[Source, Row]] = {}
    for row in report.rows:
        groups.setdefault(group_key(row), {})[row.source] = row
    sources = [source for source in Source if any(source in group for group in groups.values())]
    headings = [column.title for _ in sources for column in columns]
    table = Table(name, title, title.removeprefix("By ").capitalize(), len(columns), headings, sources)
    cells = _Cells(lists, sources, columns, list(groups.values()), earlier)
    shown = limit if len(groups) > limit + 1 else len(groups)
    for group in list(groups.values())[:shown]:
        any_row = next(iter(group.values()))
        table.rows.append(TableRow(*read_name(any_row), cells.of(group), href(any_row)))
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
    earlier: Earlier | None = None

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
        figure = self._write(
            column.read(row), column.link(self.lists, row), Decimal(whole) if column.has_share else None
        )
        if not (column.has_change and self.earlier):
            return figure
        was = dollars(self.earlier.cost_of(row), self.places)
        return replace(figure, change=self.earlier.change(row), was=f"{was} from {self.earlier.words}")

    def _write(self, value: Decimal | int, href: str = "", whole: Decimal | None = None) -> Figure:
        if isinstance(value, Decimal):
            return amount(value, self.places, href, whole)
        return number(value, href)

    def _sum(self, groups: list[dict[Source, Row]], source: Source, column: _Column) -> Decimal | int:
        return sum((column.read(group[source]) for group in groups if source in group), start=column.zero)
