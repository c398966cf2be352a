"""Sync runs and quarantine in the browser."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoCaptureOnCommitCallbacks

from sessions_app.mirror.quarantine import quarantine
from sessions_app.models import Organization, QuarantinedRecord, SyncRun
from sessions_app.models.runs import RunKind, RunState, Stream


def test_sync_now_asks_for_every_stream_of_every_active_organization(
    ops_client: Client,
    organization: Organization,
    monkeypatch: pytest.MonkeyPatch,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    Organization.objects.create(slug="asleep", name="Asleep", is_sandbox=True, is_active=False)
    told: list[tuple[object, ...]] = []
    monkeypatch.setattr("sessions_app.tasks.enqueue", lambda task, *args: told.append(args))
    with django_capture_on_commit_callbacks(execute=True):
        ops_client.post("/admin/sessions_app/syncrun/sync/")
    assert [(args[0], args[1]) for args in told] == [
        (organization.pk, stream) for stream in ("names", "sessions", "chats")
    ]


def test_a_run_shows_how_far_it_is(ops_client: Client, organization: Organization) -> None:
    SyncRun.objects.create(
        organization=organization,
        stream=Stream.SESSIONS,
        kind=RunKind.BACKFILL,
        state=RunState.RUNNING,
        seen=250,
        total=1000,
        started_at=timezone.now() - timedelta(seconds=75),
    )
    page = ops_client.get("/admin/sessions_app/syncrun/").content.decode()
    for words in (
        "Sessions, full",
        "running",
        '<progress class="va-progress" max="1000" value="250">',
        "1 min 15 s",
    ):
        assert words in page
    assert 'hx-trigger="every 3s"' in page


def test_a_quarantined_record_says_why(ops_client: Client, organization: Organization) -> None:
    now = timezone.now()
    record = QuarantinedRecord.objects.create(
        organization=organization,
        stream=Stream.SESSIONS,
        remote_id="odd-1",
        reason="createdAt: not a time",
        payload_json='{"id":"odd-1","cost":0.10}',
        first_seen_at=now,
        last_seen_at=now,
    )
    page = ops_client.get("/admin/sessions_app/quarantinedrecord/").content.decode()
    assert "createdAt: not a time" in page
    page = ops_client.get(f"/admin/sessions_app/quarantinedrecord/{record.pk}/change/").content.decode()
    assert "&quot;cost&quot;: 0.10" in page


def test_a_record_without_an_id_is_settled_by_hand(
    ops_client: Client, viewer_client: Client, client: Client, organization: Organization
) -> None:
    quarantine(organization, Stream.SESSIONS, remote_id="", reason="no object but null")
    record = QuarantinedRecord.objects.get()
    address = f"/admin/sessions_app/quarantinedrecord/{record.pk}/settle/"
    assert ops_client.get(address).status_code == 405
    assert viewer_client.post(address).status_code == 403
    assert client.post(address).status_code == 302
    assert QuarantinedRecord.objects.get().resolved_at is None

    page = ops_client.post(address, follow=True).content.decode()

    assert "Settled. It comes back to this list when it is met again." in page
    assert "settled by ops" in page
    assert "Settle by hand" not in page
    assert "It was settled already." in ops_client.post(address, follow=True).content.decode()
    assert ops_client.post(f"{address[:-9]}9/settle/").status_code == 404
