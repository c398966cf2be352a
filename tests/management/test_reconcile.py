"""`manage.py reconcile`, and what beat starts at night."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from sessions_app import tasks
from sessions_app.mirror.leases import hold_lease
from sessions_app.mirror.sync import sync_organization
from sessions_app.models import Coverage, Organization, Session, SyncRun
from sessions_app.models.runs import RunKind, Stream
from tests.sandbox_process import SandboxProcess


@pytest.fixture
def mirrored(sandbox: SandboxProcess, organization: Organization) -> Organization:
    sync_organization(organization)
    return organization


def _reconcile(*arguments: str) -> dict[str, Any]:
    out = io.StringIO()
    try:
        call_command("reconcile", *arguments, "--json", stdout=out, stderr=io.StringIO())
    finally:
        told: dict[str, Any] = json.loads(out.getvalue() or "{}")
    return told


def test_proves_everything_and_prints_one_object(mirrored: Organization, sandbox: SandboxProcess) -> None:
    gone = sandbox.truth()[20]["id"]
    sandbox.change(id_=gone, delete=True)

    told = _reconcile()

    assert [(run["stream"], run["kind"], run["state"], run["missing"]) for run in told["runs"]] == [
        ("sessions", "reconcile", "succeeded", 1),
        ("chats", "reconcile", "succeeded", 0),
    ]
    assert Session.objects.get(missing_since__isnull=False).pk == gone
    assert set(Coverage.objects.values_list("stream", flat=True)) == {"sessions", "chats"}
    assert {entry["method"] for entry in sandbox.journal()} == {"GET"}


def test_full_reads_every_day(mirrored: Organization) -> None:
    (run,) = _reconcile("--stream", "sessions", "--full")["runs"]
    assert run["seen"] == run["unchanged"] == Session.objects.count()


def test_asks_before_it_marks_many_and_exits_1(mirrored: Organization, sandbox: SandboxProcess) -> None:
    for row in sandbox.truth()[5:30]:
        sandbox.change(id_=row["id"], delete=True)

    with pytest.raises(CommandError) as refused:
        _reconcile("--stream", "sessions")
    assert refused.value.returncode == 1
    assert not Session.objects.filter(missing_since__isnull=False).exists()

    (run,) = _reconcile("--stream", "sessions", "--stamp-anyway")["runs"]
    assert (run["state"], run["missing"]) == ("succeeded", 25)


def test_a_taken_lease_exits_75(mirrored: Organization) -> None:
    with (
        hold_lease(mirrored, Stream.SESSIONS, RunKind.RECONCILE),
        pytest.raises(CommandError) as taken,
    ):
        _reconcile("--stream", "sessions")
    assert taken.value.returncode == 75


def test_an_unknown_organization_exits_2(mirrored: Organization) -> None:
    with pytest.raises(CommandError) as unknown:
        _reconcile("--organization", "nobody")
    assert unknown.value.returncode == 2


def test_every_night_each_stream_that_was_read_whole_is_proven(
    mirrored: Organization, monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any
) -> None:
    monkeypatch.setattr(tasks, "send_now", lambda task, *arguments: task(*arguments))
    Organization.objects.create(slug="new", name="New", base_url="http://127.0.0.1:9", is_sandbox=True)

    with django_capture_on_commit_callbacks(execute=True):
        tasks.reconcile_all()

    runs = SyncRun.objects.filter(kind="reconcile").values_list("organization__slug", "stream", "state")
    assert set(runs) == {("sandbox", "sessions", "succeeded"), ("sandbox", "chats", "succeeded")}
