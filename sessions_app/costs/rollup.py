"""The daily rollup of costs: how the writer keeps it. Knows rows of amounts, not sessions, chats or Vapi."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from operator import sub
from zoneinfo import ZoneInfo

import orjson
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
_NOTHING_YET = list(_NOTHING)
_NO_WHAT = ("",) * 4
_ORGANIZATIONS = Organization._meta.db_table
_TABLE = CostRollup._meta.db_table
_COLUMNS = (*CostRollup.KEY, *CostRollup.MEASURES)
_SUMS = {name: f"{_TABLE}.{name} + excluded.{name}" for name in CostRollup.MEASURES}
# SQLite makes a sum of more than 64 bits a rough one: nothing then, which the column refuses.
_EXACT_SUMS = {name: f"CASE WHEN typeof({sum_}) = 'integer' THEN {sum_} END" for name, sum_ in _SUMS.items()}
_STATEMENT = (
    f"INSERT INTO {_TABLE} ({', '.join(_COLUMNS)}) {{rows}} "
    f"ON CONFLICT ({', '.join(CostRollup.KEY)}) DO UPDATE SET {{sums}}"
)
_TYPES = {"organization_id": "bigint", "day": "date", "is_itemized": "boolean"}
_TYPES |= dict.fromkeys(CostRollup.MEASURES, "bigint")
# Of jsonb, because json would be read anew from its start for each value.
_FROM_JSON = (
    "SELECT {values} FROM jsonb_array_elements(%s::jsonb) WITH ORDINALITY AS t (added, place) ORDER BY place"
)
_VALUES = ", ".join(f"(added->>{at})::{_TYPES.get(name, 'text')}" for at, name in enumerate(_COLUMNS))


def difference(zone: ZoneInfo, old: Iterable[AmountRow], new: Iterable[AmountRow]) -> dict[Key, Measures]:
    """Return what `new` minus `old` adds to the rollup. `zone` is the organization's report time zone."""
    sums = sum_rows(zone, new)
    for key, measures in sum_rows(zone, old).items():
        sums[key] = tuple(map(sub, sums.get(key, _NOTHING), measures))
    return sums


def add_sums(cursor: CursorWrapper, sums: Mapping[Key, Measures]) -> None:
    """Add `sums` to the rollup, inside the caller's transaction.

    Keys are written in sorted order, so that two writers lock them in the same order; all write the same ones, so that
    the last thing of a transaction is the best time. What comes to nothing stays as a row of zeros until the next
    rebuild.
    """
    changed = sorted((key, measures) for key, measures in sums.items() if any(measures))
    if changed:
        _add(cursor, changed)


def hold_report_zone(cursor: CursorWrapper, organization_id: int) -> ZoneInfo:
    """Return the report time zone and let nobody change it, or rebuild the rollup, before this transaction ends.

    For a writer to call before it locks anything else.
    """
    share = " FOR SHARE" if connection.vendor == "postgresql" else ""
    cursor.execute(f"SELECT report_time_zone FROM {_ORGANIZATIONS} WHERE id = %s{share}", [organization_id])  # noqa: S608 - names are our own
    return ZoneInfo(cursor.fetchone()[0])


def sum_rows(zone: ZoneInfo, rows: Iterable[AmountRow]) -> dict[Key, Measures]:
    """Return the sums of `rows` by rollup key."""
    sums: defaultdict[Key, list[int]] = defaultdict(_NOTHING_YET.copy)
    days: dict[datetime, date] = {}
    for row in rows:
        day = days.get(row.occurred_at)
        if day is None:
            day = days[row.occurred_at] = day_in(zone, row.occurred_at)
        if isinstance(row, LineRow):
            _count_line(sums, day, row)
        else:
            _count_reported(sums, day, row)
    return {key: tuple(measures) for key, measures in sums.items()}


def _count_line(sums: defaultdict[Key, list[int]], day: date, row: LineRow) -> None:
    # All at once: asked for by their names, so many values take far longer.
    _, organization, source, _, _, _, _, kind, analysis, provider, model, prompt, completion, cached, reasoning, \
        cost, _, assistant, squad, phone = row  # fmt: skip
    counted = sums[organization, day, source, True, kind, analysis, provider, model, assistant, squad, phone]
    counted[0] += cost or 0
    counted[1] += 1
    counted[2] += cost is None
    counted[3] += prompt or 0
    counted[4] += completion or 0
    counted[5] += cached or 0
    counted[6] += reasoning or 0


def _count_reported(sums: defaultdict[Key, list[int]], day: date, row: ReportedRow) -> None:
    who = (row.assistant_id, row.squad_id, row.phone_number_id)
    counted = sums[row.organization_id, day, row.source, False, *_NO_WHAT, *who]
    counted[0] += row.cost_pico or 0
    counted[1] += 1
    counted[2] += row.cost_pico is None


def day_in(zone: ZoneInfo, moment: datetime) -> date:
    """Return the day of `moment` in `zone`."""
    try:
        return moment.astimezone(zone).date()
    except OverflowError:  # The first or last hours of the calendar: there is no day beyond.
        return moment.date()


def _add(cursor: CursorWrapper, changes: list[tuple[Key, Measures]]) -> None:
    if connection.vendor == "postgresql":
        # One text of JSON: thousands of marks take psycopg longer than the database.
        cursor.execute(_statement(_FROM_JSON.format(values=_VALUES), _SUMS), [_as_json(changes)])
    else:
        rows = [(*_stored(key), *measures) for key, measures in changes]
        cursor.executemany(_statement(f"VALUES ({', '.join(['%s'] * len(_COLUMNS))})", _EXACT_SUMS), rows)


def _statement(rows: str, sums: Mapping[str, str]) -> str:
    return _STATEMENT.format(rows=rows, sums=", ".join(f"{name} = {sum_}" for name, sum_ in sums.items()))


def _as_json(changes: list[tuple[Key, Measures]]) -> str:
    rows = [key + measures for key, measures in changes]
    try:
        return orjson.dumps(rows).decode()
    except orjson.JSONEncodeError:
        # A sum of more than 64 bits: what becomes of it is for the database to say.
        return json.dumps(rows, default=date.isoformat)


def _stored(key: Key) -> tuple[int | str, ...]:
    """Return the key as SQLite takes it: a day as text."""
    return (key[0], key[1].isoformat(), *key[2:])
