"""The daily rollup of costs: how the writer keeps it. Knows rows of amounts, not sessions, chats or Vapi."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from operator import add, sub
from zoneinfo import ZoneInfo

from django.db import connection
from django.db.backends.utils import CursorWrapper

from sessions_app.costs.lines import LineRow, ReportedRow
from sessions_app.models.costs import CostRollup
from sessions_app.models.organizations import Organization

# (organization_id, day, source, is_itemized, ...) as in CostRollup.KEY.
Key = tuple[int, date, str, bool, str, str, str, str, str, str, str]
# As in CostRollup.MEASURES; dollars are whole pico-dollars.
Measures = tuple[int, ...]
AmountRow = LineRow | ReportedRow

_NOTHING: Measures = (0,) * len(CostRollup.MEASURES)
_ORGANIZATIONS = Organization._meta.db_table
_TABLE = CostRollup._meta.db_table
# 18 values a row: far below the 32,766 that SQLite takes in one statement.
_ROWS_A_STATEMENT = 500


def change_rollup(
    cursor: CursorWrapper, zone: ZoneInfo, old: Iterable[AmountRow], new: Iterable[AmountRow]
) -> None:
    """Add `new` minus `old` to the rollup, inside the caller's transaction.

    `zone` is the organization's report time zone. Keys are written in sorted order, so that two writers lock
    them in the same order. What comes to nothing stays as a row of zeros until the next rebuild.
    """
    difference = sum_rows(zone, new)
    for key, measures in sum_rows(zone, old).items():
        difference[key] = tuple(map(sub, difference[key], measures))
    add_sums(cursor, difference)


def add_sums(cursor: CursorWrapper, sums: Mapping[Key, Measures]) -> None:
    """Add `sums` to the rollup, keys sorted."""
    changed = sorted((key, measures) for key, measures in sums.items() if any(measures))
    for start in range(0, len(changed), _ROWS_A_STATEMENT):
        _add(cursor, changed[start : start + _ROWS_A_STATEMENT])


def hold_report_zone(cursor: CursorWrapper, organization_id: int) -> ZoneInfo:
    """Return the report time zone and let nobody change it, or rebuild the rollup, before this transaction ends.

    For a writer to call before it locks anything else.
    """
    share = " FOR SHARE" if connection.vendor == "postgresql" else ""
    cursor.execute(f"SELECT report_time_zone FROM {_ORGANIZATIONS} WHERE id = %s{share}", [organization_id])  # noqa: S608 - names are our own
    return ZoneInfo(cursor.fetchone()[0])


def sum_rows(zone: ZoneInfo, rows: Iterable[AmountRow]) -> defaultdict[Key, Measures]:
    """Return the sums of `rows` by rollup key; a key without rows is all zeros."""
    sums: defaultdict[Key, Measures] = defaultdict(lambda: _NOTHING)
    for row in rows:
        key = _key(zone, row)
        sums[key] = tuple(map(add, sums[key], _measures(row)))
    return sums


def _key(zone: ZoneInfo, row: AmountRow) -> Key:
    itemized = isinstance(row, LineRow)
    what = (row.kind, row.analysis_type, row.provider, row.model) if isinstance(row, LineRow) else ("",) * 4
    return (
        row.organization_id,
        day_in(zone, row.occurred_at),
        row.source,
        itemized,
        *what,
        row.assistant_id,
        row.squad_id,
        row.phone_number_id,
    )


def day_in(zone: ZoneInfo, moment: datetime) -> date:
    """Return the day of `moment` in `zone`."""
    try:
        return moment.astimezone(zone).date()
    except OverflowError:  # The first or last hours of the calendar: there is no day beyond.
        return moment.date()


def _measures(row: AmountRow) -> Measures:
    cost = (row.cost_pico or 0, 1, int(row.cost_pico is None))
    if not isinstance(row, LineRow):
        return (*cost, 0, 0, 0, 0)
    return (
        *cost,
        row.prompt_tokens or 0,
        row.completion_tokens or 0,
        row.cached_prompt_tokens or 0,
        row.reasoning_tokens or 0,
    )


def _add(cursor: CursorWrapper, changes: list[tuple[Key, Measures]]) -> None:
    columns = (*CostRollup.KEY, *CostRollup.MEASURES)
    row = f"({', '.join(['%s'] * len(columns))})"
    sums = ", ".join(f"{name} = {_TABLE}.{name} + excluded.{name}" for name in CostRollup.MEASURES)
    cursor.execute(
        f"INSERT INTO {_TABLE} ({', '.join(columns)}) VALUES {', '.join([row] * len(changes))} "  # noqa: S608 - names are our own columns
        f"ON CONFLICT ({', '.join(CostRollup.KEY)}) DO UPDATE SET {sums}",
        [value for key, measures in changes for value in (*_stored(key), *measures)],
    )


def _stored(key: Key) -> tuple[int | str, ...]:
    """Return the key as both databases take it: a day as text."""
    return (key[0], key[1].isoformat(), *key[2:])
