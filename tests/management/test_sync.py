"""`manage.py sync`."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
from pytest_django import Settings

from sessions_app.mirror.leases import hold_lease
from sessions_app.models import Chat, Organization, RemoteName, Session, SyncRun
from sessions_app.models.runs import RunKind, Stream
from tests.sandbox_process import SandboxProcess


def _sync(*arguments: str) -> dict[str, Any]:
    out = io.StringIO()
    call_command("sync", *arguments, "--json", stdout=out, stderr=io.StringIO())
    told: dict[str, Any] = json.loads(out.getvalue())
    return told


def test_pulls_everything_and_prints_one_object(organization: Organization, sandbox: SandboxProcess) -> None:
    told = _sync()
    assert [(run["stream"], run["kind"], run["state"]) for run in told["runs"]] == [
        ("names", "backfill", "succeeded"),
        ("sessions", "backfill", "succeeded"),
        ("chats", "backfill", "succeeded"),
    ]
    sessions = told["runs"][1]
    assert sessions["seen"] == sessions["created"] == Session.objects.count() == len(sandbox.truth())
    assert Chat.objects.count() == len(sandbox.truth("chats"))
    assert RemoteName.objects.exists()
    assert {entry["method"] for entry in sandbox.journal()} == {"GET"}


def test_second_pull_of_one_stream_is_incremental(
    organization: Organization, sandbox: SandboxProcess
) -> None:
    _sync("--stream", "sessions")
    sandbox.change(id_=sandbox.truth()[0]["id"], fields={"name": "Renamed upstream"})
    (run,) = _sync("--stream", "sessions", "--organization", "sandbox")["runs"]
    assert (run["kind"], run["updated"]) == ("incremental", 1)
    assert Session.objects.filter(name="Renamed upstream").count() == 1


def test_full_walks_everything_again(organization: Organization, sandbox: SandboxProcess) -> None:
    _sync("--stream", "sessions")
    (run,) = _sync("--stream", "sessions", "--full")["runs"]
    assert (run["kind"], run["created"]) == ("backfill", 0)
    assert run["unchanged"] == run["seen"] == Session.objects.count()


def test_since_walks_what_was_created_from_then_on(
    organization: Organization, sandbox: SandboxProcess
) -> None:
    created = sorted(row["createdAt"] for row in sandbox.truth())
    (run,) = _sync("--stream", "sessions", "--since", created[10])["runs"]
    assert run["seen"] == len([at for at in created if at >= created[10]])


def test_prints_a_line_for_each_stream(organization: Organization, sandbox: SandboxProcess) -> None:
    out = io.StringIO()
    call_command("sync", stdout=out, stderr=io.StringIO())
    lines = out.getvalue().splitlines()
    assert [line.split(":")[0] for line in lines] == ["sandbox names", "sandbox sessions", "sandbox chats"]
    assert "succeeded" in lines[1]


def test_failure_is_exit_1_and_the_other_streams_are_pulled(
    organization: Organization, sandbox: SandboxProcess
) -> None:
    sandbox.fault("400:path=/session")
    with pytest.raises(CommandError) as ending:
        _sync()
    assert ending.value.returncode == 1
    states = dict(SyncRun.objects.values_list("stream", "state"))
    assert states == {"names": "succeeded", "sessions": "failed", "chats": "succeeded"}


@pytest.mark.django_db(transaction=True)
def test_taken_lease_is_exit_75_and_says_who_holds_it(
    organization: Organization, sandbox: SandboxProcess
) -> None:
    errors = io.StringIO()
    with (
        hold_lease(organization, Stream.SESSIONS, RunKind.BACKFILL),
        pytest.raises(CommandError) as ending,
    ):
        call_command("sync", "--stream", "sessions", stdout=io.StringIO(), stderr=errors)
    assert ending.value.returncode == 75
    assert "holds the lease" in errors.getvalue()
    assert not Session.objects.exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--organization", "nobody"], "no organization nobody"),
        (["--stream", "calls"], "invalid choice"),
        (["--since", "yesterday"], "no ISO 8601 time"),
    ],
)
def test_usage_is_exit_2(organization: Organization, arguments: list[str], words: str) -> None:
    with pytest.raises(CommandError, match=words) as ending:
        call_command("sync", *arguments)
    # From a shell argparse itself exits with 2; through call_command its errors carry Django's default.
    assert ending.value.returncode in {1, 2}


@pytest.mark.django_db
def test_nothing_to_pull_from_is_exit_2() -> None:
    with pytest.raises(CommandError, match="set VAPI_API_KEY") as ending:
        call_command("sync")
    assert ending.value.returncode == 2


@pytest.mark.django_db
def test_key_in_the_environment_makes_the_default_organization(
    sandbox: SandboxProcess, settings: Settings
) -> None:
    settings.VAPI_API_KEY, settings.VAPI_BASE_URL = sandbox.key, sandbox.url
    assert len(_sync()["runs"]) == 3
    default = Organization.objects.get()
    assert (default.slug, default.api_key, default.write_mode) == ("default", "", "off")


def test_database_that_is_not_migrated_is_one_line(organization: Organization) -> None:
    MigrationRecorder(connection).record_unapplied("axes", "0001_initial")
    with pytest.raises(CommandError, match=r"run `manage.py migrate`") as ending:
        call_command("sync")
    assert ending.value.returncode == 2
