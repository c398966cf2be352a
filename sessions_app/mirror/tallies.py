"""Counts requests by minute: gathered in the process, written at most once a second and when a client is closed.

A killed process loses a second's counts at most; the budget itself is never counted here.
"""

from __future__ import annotations

import logging
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import DatabaseError, connection, transaction
from django.db.models import F
from django.db.models.functions import Now

from sessions_app.models.requests import Budget, Purpose, RequestSlot, RequestTally

log = logging.getLogger(__name__)

FLUSH_EVERY_SECONDS = 1.0
# Minutes older than this are added up in one row, so that totals only ever grow.
KEEP = timedelta(days=3)
LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)

_Key = tuple[int, str, str]
_MINUTE = {
    "postgresql": "date_trunc('minute', statement_timestamp(), 'UTC')",
    "sqlite": "strftime('%%Y-%%m-%%d %%H:%%M:00', 'now')",
}
_ADD = """
INSERT INTO {table} (organization_id, minute, purpose, outcome, count, waited_milliseconds, took_milliseconds)
VALUES (%s, {minute}, %s, %s, %s, %s, %s)
ON CONFLICT (organization_id, minute, purpose, outcome) DO UPDATE SET
  count = {table}.count + excluded.count,
  waited_milliseconds = {table}.waited_milliseconds + excluded.waited_milliseconds,
  took_milliseconds = {table}.took_milliseconds + excluded.took_milliseconds
"""


class Tallies:
    """What one process has counted and not written yet."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[_Key, list[float]] = {}
        self._flushed_at = time.monotonic()

    def add(
        self, organization_id: int, purpose: Purpose, outcome: str, waited_ms: float, took_ms: float
    ) -> None:
        self._put((organization_id, purpose.value, outcome), (1, waited_ms, took_ms))
        if time.monotonic() - self._flushed_at >= FLUSH_EVERY_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Write what was counted. A database that is away gets it later."""
        with self._lock:
            counts, self._counts = self._counts, {}
            self._flushed_at = time.monotonic()
        if not counts:
            return
        try:
            _write(counts)
        except DatabaseError:
            log.warning("requests were not counted yet: the database is away")
            for key, numbers in counts.items():
                self._put(key, (numbers[0], numbers[1], numbers[2]))

    def _put(self, key: _Key, numbers: tuple[float, float, float]) -> None:
        with self._lock:
            sums = self._counts.setdefault(key, [0, 0, 0])
            for place, number in enumerate(numbers):
                sums[place] += number


def _write(counts: dict[_Key, list[float]]) -> None:
    table = RequestTally._meta.db_table
    statement = _ADD.format(table=table, minute=_MINUTE[connection.vendor])
    # In one order, so that two processes never wait for each other.
    rows: list[list[int | str]] = [
        [*key, *(round(number) for number in counts[key])] for key in sorted(counts)
    ]
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.executemany(statement, rows)


TALLIES = Tallies()


def fold_old() -> None:
    """Add minutes older than KEEP up in one row of the year 1970, and let slots go that ran out long ago."""
    RequestSlot.objects.filter(expires_at__lt=Now() - timedelta(days=1)).delete()
    old = RequestTally.objects.filter(minute__gt=LONG_AGO, minute__lt=Now() - KEEP)
    with transaction.atomic():
        # The organizations' rows are locked first, so that two who fold at once add nothing up twice.
        list(Budget.objects.select_for_update().order_by("pk").values_list("pk"))
        rows = list(old.order_by("pk"))
        for row in rows:
            key: dict[str, Any] = {
                "organization_id": row.organization_id,
                "purpose": row.purpose,
                "outcome": row.outcome,
            }
            RequestTally.objects.get_or_create(minute=LONG_AGO, **key)
            RequestTally.objects.filter(minute=LONG_AGO, **key).update(
                count=F("count") + row.count,
                waited_milliseconds=F("waited_milliseconds") + row.waited_milliseconds,
                took_milliseconds=F("took_milliseconds") + row.took_milliseconds,
            )
        RequestTally.objects.filter(pk__in=[row.pk for row in rows]).delete()
