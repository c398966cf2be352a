"""/metrics: who may read it, and that its figures are the rows'."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from django.db.models.functions import Now
from django.test import Client

from sessions_app.mirror import bucket, tallies
from sessions_app.mirror.sync import sync_organization
from sessions_app.models import Heartbeat, Organization, RequestTally, WebhookEvent
from sessions_app.models.requests import Purpose
from tests.api.conftest import MakeClient
from tests.sandbox_process import SandboxProcess

pytestmark = pytest.mark.django_db


def figures(client: Client) -> dict[str, float]:
    answer = client.get("/metrics")
    assert answer.status_code == 200
    lines = [line for line in answer.content.decode().splitlines() if not line.startswith("#")]
    pattern = re.compile(r"^vapiadmin_[a-z_]+\{[^{}]*\} [0-9.e+-]+$")
    assert [line for line in lines if not pattern.match(line)] == []
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}


def test_requests_queues_and_ages(sandbox: SandboxProcess, organization: Organization) -> None:
    sync_organization(organization)
    bucket.cool_down(organization.pk, 30)
    now = datetime.now(UTC)
    Heartbeat.objects.create(kind="worker", seen_at=now - timedelta(seconds=5))
    WebhookEvent.objects.create(organization=organization, digest="d", received_at=now)

    found = figures(Client())

    asked = {
        purpose: found[
            f'vapiadmin_requests_total{{organization="sandbox",purpose="{purpose}",outcome="2xx"}}'
        ]
        for purpose in ("backfill", "names")
    }
    assert sum(asked.values()) == len(sandbox.journal())
    assert found['vapiadmin_webhook_events_waiting{organization="sandbox"}'] == 1
    assert found['vapiadmin_windows_open{organization="sandbox",stream="sessions"}'] == 0
    assert 25 < found['vapiadmin_budget_cool_down_seconds{organization="sandbox"}'] <= 30
    assert found['vapiadmin_budget_slots_in_use{organization="sandbox"}'] == 0
    assert 5 <= found['vapiadmin_seen_seconds_ago{kind="worker"}'] < 60
    ages = [name for name in found if name.startswith("vapiadmin_data_age_seconds")]
    assert len(ages) == 3
    assert found["vapiadmin_edits_due{}"] == 0


def test_a_token_needs_the_scope(program: MakeClient, organization: Organization) -> None:
    assert program("runs:read").get("/metrics", REMOTE_ADDR="203.0.113.7").status_code == 200
    assert program("sessions:read").get("/metrics", REMOTE_ADDR="203.0.113.7").status_code == 403
    assert Client(headers={"Authorization": "Bearer x"}).get("/metrics").status_code == 401


def test_without_a_token_this_machine_alone(organization: Organization) -> None:
    assert Client().get("/metrics").status_code == 200
    assert Client().get("/metrics", REMOTE_ADDR="203.0.113.7").status_code == 403
    behind_a_proxy = Client(headers={"X-Forwarded-For": "203.0.113.7"})
    assert behind_a_proxy.get("/metrics").status_code == 403
    assert Client().post("/metrics").status_code == 405


def test_totals_do_not_shrink_when_old_minutes_are_folded(organization: Organization) -> None:
    bucket.look(organization.pk)
    for days in (5, 4, 1):
        RequestTally.objects.create(
            organization=organization,
            minute=Now() - timedelta(days=days),
            purpose=Purpose.NAMES,
            outcome="2xx",
            count=2,
        )
    before = figures(Client())

    tallies.fold_old()
    tallies.fold_old()

    assert RequestTally.objects.count() == 2
    name = 'vapiadmin_requests_total{organization="sandbox",purpose="names",outcome="2xx"}'
    assert figures(Client())[name] == before[name] == 6
