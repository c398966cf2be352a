"""Counts what Vapi sends that vapi/schema.py does not name, as vapi/unknown.py finds it.

Looks at records that are news, once a page, and writes at most one statement a page.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.db import connection
from django.utils import timezone

from sessions_app.mirror.rows import adapted
from sessions_app.mirror.tables import Record
from sessions_app.models import Organization, SchemaDrift
from sessions_app.models.runs import Stream
from sessions_app.vapi.unknown import MOST_FOUND, Unknown, UnknownKind

# Of each kind and name, what was first seen and how often in all.
_Counted = dict[tuple[UnknownKind, str], Unknown]


def note_drift(organization: Organization, stream: Stream, records: Sequence[Record]) -> None:
    """Count what is unknown in these records, at most MOST_FOUND names of it."""
    counted: _Counted = {}
    for record in records:
        for each in record.unknown:
            first = counted.get(each[:2])
            if first is not None:
                counted[each[:2]] = first._replace(times=first.times + each.times)
            elif len(counted) < MOST_FOUND:
                counted[each[:2]] = each
    if counted:
        _store(organization, stream, counted, timezone.now())


def _store(organization: Organization, stream: Stream, counted: _Counted, now: datetime) -> None:
    """Add to what is noted already. Sorted, so that concurrent writers wait for each other in one order."""
    table = SchemaDrift._meta.db_table
    rows = [
        (*(organization.pk, stream.value, each.kind, each.name), each.shape, *(now, now, each.times))
        for _, each in sorted(counted.items())
    ]
    with connection.cursor() as cursor:
        cursor.executemany(
            f'INSERT INTO "{table}" AS t (organization_id, stream, kind, name, shape, first_seen_at,'  # noqa: S608 - a table of ours
            " last_seen_at, count) VALUES (%s, %s, %s, %s, %s, %s, %s, %s)"
            " ON CONFLICT (organization_id, stream, kind, name) DO UPDATE SET"
            " count = t.count + excluded.count, last_seen_at = excluded.last_seen_at",
            rows if connection.vendor == "postgresql" else adapted(rows),
        )
