"""The rollup made anew from its rows, and compared with them. Safe beside writers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any
from zoneinfo import ZoneInfo

from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper
from django.db.models import Sum

from sessions_app.costs.lines import LineRow, ReportedRow
from sessions_app.costs.rollup import AmountRow, Key, Measures, add_sums, sum_rows
from sessions_app.models.chats import Chat
from sessions_app.models.costs import CostLine, CostRollup, ReportedCost, Source
from sessions_app.models.fields import to_pico
from sessions_app.models.organizations import Organization
from sessions_app.models.sessions import Session

_ROWS_AT_ONCE = 5000


@dataclass(frozen=True)
class Difference:
    """Something that does not equal the sum of its rows. `stored` and `found` are as JSON would show them."""

    # "rollup", "itemized" or "reported".
    what: str
    where: dict[str, str]
    stored: dict[str, int | None]
    found: dict[str, int | None]


def rebuild_rollup(organization: Organization) -> int:
    """Make the organization's rollup anew from its lines and reported costs; return how many rows it has.

    Also after its report time zone has changed: call it in the transaction that changes it.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        zone = _hold_writers(cursor, organization)
        CostRollup.objects.filter(organization=organization).delete()
        sums = sum_rows(zone, _stored_rows(organization))
        add_sums(cursor, sums)
    return len(sums)


def check_rollup(organization: Organization) -> list[Difference]:
    """Return where rollup, itemized sums and reported costs differ from the rows they stand for."""
    with transaction.atomic(), connection.cursor() as cursor:
        zone = _hold_writers(cursor, organization)
        return [
            *_rollup_differences(organization, zone),
            *chain.from_iterable(_parent_differences(organization, source) for source in Source),
        ]


def _hold_writers(cursor: CursorWrapper, organization: Organization) -> ZoneInfo:
    """Let writers that have begun finish, keep others waiting, and return the report time zone as it is now.

    A writer changes lines and rollup in one transaction, the rollup last. With the rollup locked, what others have
    committed is seen whole or not at all. SQLite has one writer at a time, which this transaction is.
    """
    # Not FOR UPDATE: it would keep writers from checking their foreign keys, and we would wait for each other.
    stored = Organization.objects.select_for_update(no_key=True).get(pk=organization.pk)
    if connection.vendor == "postgresql":
        cursor.execute(f'LOCK TABLE "{CostRollup._meta.db_table}" IN SHARE ROW EXCLUSIVE MODE')
    return ZoneInfo(stored.report_time_zone)


def _stored_rows(organization: Organization) -> Iterator[AmountRow]:
    lines = CostLine.objects.filter(organization=organization).order_by()
    yield from map(LineRow._make, _as_rows(lines, LineRow._fields))
    reported = ReportedCost.objects.filter(organization=organization).order_by()
    yield from map(ReportedRow._make, _as_rows(reported, ReportedRow._fields))


def _as_rows(rows: Any, fields: tuple[str, ...]) -> Iterator[list[Any]]:
    place = fields.index("cost_pico")
    names = ["cost_usd" if name == "cost_pico" else name for name in fields]
    for values in rows.values_list(*names).iterator(chunk_size=_ROWS_AT_ONCE):
        row = list(values)
        row[place] = None if row[place] is None else to_pico(row[place])
        yield row


def _rollup_differences(organization: Organization, zone: ZoneInfo) -> Iterator[Difference]:
    found = {key: sums for key, sums in sum_rows(zone, _stored_rows(organization)).items() if any(sums)}
    stored = dict(_stored_sums(organization))
    nothing: Measures = (0,) * len(CostRollup.MEASURES)
    for key in sorted(found.keys() | stored.keys()):
        ours, theirs = stored.get(key, nothing), found.get(key, nothing)
        if ours != theirs:
            where = {name: str(value) for name, value in zip(CostRollup.KEY[1:], key[1:], strict=True)}
            yield Difference("rollup", where, _named(ours), _named(theirs))


def _stored_sums(organization: Organization) -> Iterator[tuple[Key, Measures]]:
    width = len(CostRollup.KEY)
    rows = CostRollup.objects.filter(organization=organization).order_by()
    for row in rows.values_list(*CostRollup.KEY, *CostRollup.MEASURES).iterator(chunk_size=_ROWS_AT_ONCE):
        measures = (to_pico(row[width]), *row[width + 1 :])
        if any(measures):
            yield row[:width], measures


def _named(measures: Measures) -> dict[str, int | None]:
    names = ("cost_pico", *CostRollup.MEASURES[1:])
    return dict(zip(names, measures, strict=True))


def _parent_differences(organization: Organization, source: Source) -> Iterator[Difference]:
    """Compare each session (or chat) with the sum of its lines, and with its reported cost as it was counted."""
    lines = CostLine.objects.filter(organization=organization, source=source).order_by().values("parent_id")
    itemized = dict(lines.annotate(sum=Sum("cost_usd")).values_list("parent_id", "sum"))
    counted = ReportedCost.objects.filter(organization=organization, source=source)
    reported = dict(counted.values_list("parent_id", "cost_usd"))
    model: Any = Session if source == Source.SESSION else Chat
    parents = model.objects.filter(organization=organization).order_by()
    for remote_id, cost, own_sum in parents.values_list("id", "cost_usd", "itemized_cost_usd").iterator():
        pairs = (
            ("itemized", own_sum, itemized.pop(remote_id, None)),
            ("reported", cost, reported.pop(remote_id, _UNCOUNTED)),
        )
        yield from (
            _parent_difference(what, source, remote_id, stored, found)
            for what, stored, found in pairs
            if stored != found
        )
    for what, orphans in (("itemized", itemized), ("reported", reported)):
        for remote_id, found in orphans.items():
            yield _parent_difference(what, source, remote_id, None, found)


# A session or chat that the rollup has not counted at all differs from one that reports no cost.
_UNCOUNTED = object()


def _parent_difference(what: str, source: Source, remote_id: str, stored: Any, found: Any) -> Difference:
    return Difference(
        what,
        {"source": source.value, "id": remote_id},
        {"cost_pico": _pico(stored)},
        {"cost_pico": _pico(found)},
    )


def _pico(dollars: Any) -> int | None:
    return None if dollars is None or dollars is _UNCOUNTED else int(dollars.scaleb(12))
