"""/healthz and /readyz."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import DatabaseError, connection
from django.db.migrations.recorder import MigrationRecorder
from django.test import Client
from django.utils import timezone

from sessions_app.heartbeats import stamp
from sessions_app.models import Heartbeat


def test_alive_without_a_database(client: Client) -> None:
    answer = client.get("/healthz")
    assert (answer.status_code, answer.content) == (200, b"ok\n")


@pytest.mark.django_db
def test_ready_while_worker_and_beat_are_seen(client: Client) -> None:
    stamp("worker")
    stamp("beat")
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()) == (200, {"ready": True, "problems": []})
    assert "no-store" in answer["Cache-Control"]


@pytest.mark.django_db
def test_says_who_is_missing(client: Client) -> None:
    stamp("worker")
    Heartbeat.objects.create(kind="beat", seen_at=timezone.now() - timedelta(minutes=3))
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["problems"] == ["No beat was seen for two minutes: nothing is synced or sent."]


@pytest.mark.django_db
def test_says_that_migrations_are_missing(client: Client) -> None:
    MigrationRecorder(connection).record_unapplied("axes", "0001_initial")
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["problems"] == ["1 migrations are not applied: run `manage.py migrate`."]


@pytest.mark.django_db
def test_says_that_the_database_is_away(client: Client) -> None:
    def refuse(*args: object) -> None:
        raise DatabaseError("a row's words")

    with connection.execute_wrapper(refuse):
        answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["problems"] == ["The database does not answer."]


def test_changes_by_post_are_refused(client: Client) -> None:
    assert client.post("/healthz").status_code == 405
