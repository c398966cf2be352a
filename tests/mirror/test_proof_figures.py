"""How many requests a proof takes, on narrow rows put beside a simulated Vapi of many sessions.

PROOF_SESSIONS=1000000 measures at full size (on PostgreSQL, with about two chats for each session).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.utils import timezone

from sessions_app.mirror.reconcile import reconcile_stream
from sessions_app.mirror.rows import insert_rows
from sessions_app.mirror.tables import CHATS, SESSIONS, MirrorTable
from sessions_app.models import Coverage, Organization, Session, SyncRun, Watermark
from sessions_app.models.runs import Stream
from sessions_app.sandbox.clock import Clock
from sessions_app.sandbox.listing import SeededRows
from sessions_app.sandbox.options import Options, parse_now
from sessions_app.sandbox.organizations import make_organizations
from tests.sandbox_process import NOW, SandboxProcess

pytestmark = pytest.mark.django_db

SIZE = int(os.environ.get("PROOF_SESSIONS", "20000"))
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@pytest.fixture
def crowd(start_sandbox: Callable[..., SandboxProcess], organization: Organization) -> SandboxProcess:
    """A Vapi of SIZE sessions and their chats over 30 days, all of them here as narrow rows."""
    sandbox = start_sandbox(sessions=SIZE)
    now = parse_now(NOW)
    seeded = make_organizations(Options(sessions=SIZE, seed="tests", now=now), Clock(now))[sandbox.key]
    Organization.objects.update(
        base_url=sandbox.url, requests_per_second=10_000, concurrent_requests=100, vapi_org_id=seeded.org_id
    )
    organization.refresh_from_db()
    for table, rows in ((SESSIONS, seeded.sessions.rows), (CHATS, seeded.chats.rows)):
        put_here(organization, table, rows)
        Watermark.objects.create(
            organization=organization, stream=table.stream, updated_at=now, backfilled_at=timezone.now()
        )
    return sandbox


def put_here(organization: Organization, table: MirrorTable, rows: SeededRows) -> None:
    fields = {field.column: field for field in table.model._meta.concrete_fields}
    blank: dict[str, object] = {
        name: False if fields[name].get_internal_type() == "BooleanField" else "" for name in table.columns
    }
    blank |= dict.fromkeys(("message_count", "failed_tool_count"), 0)
    blank |= {name: None for name in table.columns if fields[name].null}

    def values(start: int) -> Iterator[tuple[object, ...]]:
        for index in range(start, min(start + 10_000, rows.size)):
            at = _EPOCH + timedelta(microseconds=rows.created_us(index))
            own = dict.fromkeys(("created_at", "updated_at", "asked_at", "synced_at"), at)
            own |= {name: at for name in ("expires_at", "idle_expires_at") if name in blank}
            row = {**blank, **own, "id": rows.id_of(index), "organization_id": organization.pk}
            yield tuple(row[name] for name in table.columns)

    with connection.cursor() as cursor:
        for start in range(0, rows.size, 10_000):
            insert_rows(cursor, table.name, table.columns, list(values(start)))


def measured(
    sandbox: SandboxProcess, organization: Organization, *streams: Stream
) -> tuple[int, list[SyncRun]]:
    before, began = len(sandbox.journal()), time.perf_counter()
    runs = [reconcile_stream(organization, stream) for stream in streams]
    asked = len(sandbox.journal()) - before
    print(f"{SIZE:,} sessions: {asked} requests, {time.perf_counter() - began:.1f} s")  # noqa: T201 - a figure
    return asked, runs


def test_thirty_unchanged_days_take_few_requests(crowd: SandboxProcess, organization: Organization) -> None:
    asked, runs = measured(crowd, organization, Stream.SESSIONS, Stream.CHATS)

    assert [(run.state, run.seen) for run in runs] == [("succeeded", 0), ("succeeded", 0)]
    # Of 200 that are allowed: the oldest row and 16 stretches for each stream.
    assert asked <= 34
    assert set(Coverage.objects.values_list("state", flat=True)) == {"proven"}
    assert Coverage.objects.filter(stream="sessions").count() == 31


def test_one_deletion_among_all_is_found_with_few_requests(
    crowd: SandboxProcess, organization: Organization
) -> None:
    gone = Session.objects.order_by("created_at")[SIZE * 2 // 3].pk
    crowd.change("sessions", gone, delete=True)

    asked, (run,) = measured(crowd, organization, Stream.SESSIONS)

    assert (run.state, run.missing) == ("succeeded", 1)
    assert Session.objects.get(missing_since__isnull=False).pk == gone
    assert asked <= 40
