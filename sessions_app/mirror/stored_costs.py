"""What a written record costs: its lines and reported cost, replaced, and the rollup moved by the difference."""

from __future__ import annotations

from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from django.db.backends.utils import CursorWrapper

from sessions_app.costs.lines import LineRow, ReportedRow
from sessions_app.costs.rollup import Key, Measures, difference
from sessions_app.mirror.rows import delete_rows, insert_rows, select_rows, stored_time
from sessions_app.mirror.tables import MirrorTable, Record, line_rows, reported_row
from sessions_app.models import CostLine, ReportedCost

_Row = TypeVar("_Row", LineRow, ReportedRow)
_LINES, _REPORTED = CostLine._meta.db_table, ReportedCost._meta.db_table
_LINE_COLUMNS = tuple("cost_usd" if name == "cost_pico" else name for name in LineRow._fields)
_REPORTED_COLUMNS = tuple("cost_usd" if name == "cost_pico" else name for name in ReportedRow._fields)


def replace_costs(
    cursor: CursorWrapper,
    table: MirrorTable,
    organization_id: int,
    records: list[Record],
    zone: ZoneInfo,
    *,
    are_new: bool,
) -> dict[Key, Measures]:
    """Store the lines and reported costs of records whose rows are locked. Returns by what the rollup is to be moved.

    Those that `are_new` have none stored yet.
    """
    lines = [line for record in records for line in line_rows(table, record, organization_id)]
    reported = [reported_row(table, record, organization_id) for record in records]
    old = [] if are_new else _take_costs(cursor, table, records)
    insert_rows(cursor, _LINES, _LINE_COLUMNS, lines)
    insert_rows(cursor, _REPORTED, _REPORTED_COLUMNS, reported)
    return difference(zone, old, [*lines, *reported])


def _take_costs(
    cursor: CursorWrapper, table: MirrorTable, records: list[Record]
) -> list[LineRow | ReportedRow]:
    """Delete the stored lines and reported costs. Returns them."""
    ids = [record.id for record in records]
    keys = [f"{table.source.value}:{record_id}" for record_id in ids]
    source = f" AND source = '{table.source.value}'"
    lines = select_rows(cursor, _LINES, _LINE_COLUMNS, "parent_id", ids, source)
    reported = select_rows(cursor, _REPORTED, _REPORTED_COLUMNS, "id", keys)
    if lines or reported:
        delete_rows(cursor, _LINES, "parent_id", ids, source)
        delete_rows(cursor, _REPORTED, "id", keys)
    return [*_old_rows(LineRow, lines), *_old_rows(ReportedRow, reported)]


def _old_rows(kind: type[_Row], stored: list[tuple[Any, ...]]) -> list[_Row]:
    rows = [kind(*values) for values in stored]
    return [row._replace(occurred_at=stored_time(row.occurred_at)) for row in rows]
