"""Up to when costs are complete: as far as Vapi was read whole, not as far as something has changed there."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from sessions_app.costs.coverage import read_coverage
from sessions_app.mirror.sync import sync_stream
from sessions_app.models import Organization, SyncRun, Watermark
from sessions_app.models.runs import RunKind, RunState, Stream
from tests.costs.amounts import NOON, make_organization
from tests.sandbox_process import SandboxProcess

FRIDAY, SUNDAY = NOON, NOON + timedelta(days=2)


@pytest.fixture
def acme(db: None) -> Organization:
    """Synced whole, and nothing has changed at Vapi since Friday."""
    acme = make_organization()
    for stream in (Stream.SESSIONS, Stream.CHATS):
        Watermark.objects.create(
            organization=acme, stream=stream, updated_at=FRIDAY, backfilled_at=timezone.now()
        )
    return acme


def run_on_sunday(
    organization: Organization, state: RunState = RunState.SUCCEEDED, kind: RunKind = RunKind.INCREMENTAL
) -> None:
    SyncRun.objects.create(
        organization=organization, stream=Stream.SESSIONS, kind=kind, state=state, started_at=SUNDAY
    )


def test_a_quiet_weekend_is_complete_too(acme: Organization, admin: User) -> None:
    run_on_sunday(acme)
    assert read_coverage(admin, [acme]).complete_as_of == {"sessions": SUNDAY, "chats": FRIDAY}


@pytest.mark.parametrize(
    ("state", "kind", "moves"),
    [
        (RunState.PARTIAL, RunKind.INCREMENTAL, True),
        (RunState.FAILED, RunKind.INCREMENTAL, False),
        (RunState.RUNNING, RunKind.INCREMENTAL, False),
        # Of a part, or one that went on where another began days ago.
        (RunState.SUCCEEDED, RunKind.BACKFILL, False),
    ],
)
def test_only_what_was_read_whole_counts(
    acme: Organization, admin: User, state: RunState, kind: RunKind, moves: bool
) -> None:
    run_on_sunday(acme, state, kind)
    assert read_coverage(admin, [acme]).complete_as_of["sessions"] == (SUNDAY if moves else FRIDAY)


def test_every_sync_moves_it_though_nothing_changes(
    sandbox: SandboxProcess, organization: Organization, admin: User
) -> None:
    seen = []
    for _ in range(3):
        sync_stream(organization, Stream.SESSIONS)
        seen.append(read_coverage(admin, [organization]).complete_as_of["sessions"])
    first, second, third = (moment or NOON for moment in seen)
    assert first < second < third


def test_the_least_of_several_organizations_counts(acme: Organization, admin: User) -> None:
    other = make_organization("other")
    Watermark.objects.create(
        organization=other, stream=Stream.SESSIONS, updated_at=SUNDAY, backfilled_at=SUNDAY
    )
    coverage = read_coverage(admin, [acme, other])
    assert coverage.complete_as_of == {"sessions": FRIDAY, "chats": None}


def test_who_is_not_complete_is_named(acme: Organization, ops_client: Client, admin: User) -> None:
    globex = make_organization("globex")
    Watermark.objects.create(organization=globex, stream=Stream.SESSIONS, updated_at=SUNDAY)
    run_on_sunday(globex)
    streams = read_coverage(admin, [acme, globex]).streams
    assert [found.waiting_for for found in streams.values()] == [(globex,), (globex,)]
    words = ops_client.get("/admin/costs/").content.decode()
    assert "Sessions not complete: Globex: no full sync has finished yet" in words
    assert "complete as of" in ops_client.get("/admin/costs/?organization=acme").content.decode()
