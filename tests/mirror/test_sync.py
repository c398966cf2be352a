"""Pulls against the simulated Vapi, judged by rows and by what reached it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs

import pytest
from django.db import OperationalError, connection

from sessions_app.mirror.leases import LeaseTaken, hold_lease
from sessions_app.mirror.refetch import Unstorable, refetch_session, stamp_missing
from sessions_app.mirror.sync import close_expired_runs, sync_organization, sync_stream
from sessions_app.mirror.writer import mirror_sessions
from sessions_app.models import (
    Chat,
    ChatPayload,
    Lease,
    Organization,
    QuarantinedRecord,
    RemoteName,
    Session,
    SessionPayload,
    SyncRun,
    SyncWindow,
    Watermark,
)
from sessions_app.models.mirrored import MissingReason
from sessions_app.models.runs import RunKind, RunState, Stream
from sessions_app.vapi.reading import parse_results
from tests.mirror.truth import assert_mirror_equals
from tests.sandbox_process import SandboxProcess

pytestmark = pytest.mark.django_db


def test_a_first_sync_mirrors_everything(sandbox: SandboxProcess, organization: Organization) -> None:
    runs = sync_organization(organization)

    assert [(run.stream, run.kind, run.state) for run in runs] == [
        ("names", "backfill", "succeeded"),
        ("sessions", "backfill", "succeeded"),
        ("chats", "backfill", "succeeded"),
    ]
    assert runs[1].seen == runs[1].created == len(sandbox.truth("sessions"))
    assert_mirror_equals(sandbox, organization)
    assert (
        RemoteName.objects.filter(organization=organization, kind="assistant").exclude(name="").count() >= 4
    )


def test_a_second_sync_writes_nothing(sandbox: SandboxProcess, organization: Organization) -> None:
    sync_organization(organization)
    before = list(Session.objects.order_by("id").values_list("id", "synced_at"))

    runs = sync_organization(organization)

    assert [run.kind for run in runs] == ["backfill", "incremental", "incremental"]
    assert [run.created + run.updated for run in runs] == [0, 0, 0]
    assert list(Session.objects.order_by("id").values_list("id", "synced_at")) == before


def test_an_incremental_sync_brings_what_is_new_and_changed(
    sandbox: SandboxProcess, organization: Organization
) -> None:
    sync_organization(organization)
    changed = sandbox.truth("sessions")[3]["id"]
    sandbox.change("sessions", changed, {"name": "renamed elsewhere"})
    sandbox.change("sessions", "", {"name": "brand new"})

    run = sync_stream(organization, Stream.SESSIONS)

    assert (run.kind, run.state, run.created, run.updated) == ("incremental", "succeeded", 1, 1)
    assert Session.objects.get(id=changed).name == "renamed elsewhere"
    assert_mirror_equals(sandbox, organization)


def test_a_change_without_a_newer_updated_at_is_seen(
    sandbox: SandboxProcess, organization: Organization
) -> None:
    sync_organization(organization)
    remote = sandbox.truth("sessions")[0]
    sandbox.change("sessions", remote["id"], {"name": "silently renamed"}, touch=False)

    sync_stream(organization, Stream.SESSIONS, full=True)

    assert Session.objects.get(id=remote["id"]).name == "silently renamed"


def test_a_full_sync_pages_through_one_created_at(
    sandbox: SandboxProcess, organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sessions_app.mirror.walk.MAX_LIMIT", 8)
    sandbox.change_many(
        "sessions", [{"fields": {"createdAt": "2026-01-20T10:00:00.000Z"}} for _ in range(30)]
    )

    run = sync_stream(organization, Stream.SESSIONS)

    assert run.seen == len(sandbox.truth("sessions"))
    assert Session.objects.filter(created_at=datetime(2026, 1, 20, 10, tzinfo=UTC)).count() >= 30


def test_several_windows_cover_everything(
    sandbox: SandboxProcess, organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sessions_app.mirror.windows.ROWS_PER_WINDOW", 6)

    run = sync_stream(organization, Stream.SESSIONS)

    windows = SyncWindow.objects.filter(organization=organization, stream=Stream.SESSIONS)
    assert windows.count() > 3
    assert not windows.filter(finished_at__isnull=True).exists()
    assert run.seen == Session.objects.count() == len(sandbox.truth("sessions"))


def test_an_interrupted_backfill_goes_on_where_it_was(
    sandbox: SandboxProcess, organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sessions_app.mirror.windows.ROWS_PER_WINDOW", 6)

    def stop(run: SyncRun) -> None:
        if run.seen > 15:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sync_stream(organization, Stream.SESSIONS, progress=stop)
    stopped = SyncRun.objects.get()
    assert (stopped.state, stopped.error) == ("failed", "interrupted")
    done = SyncWindow.objects.filter(finished_at__isnull=False).count()
    assert done > 0

    run = sync_stream(organization, Stream.SESSIONS)

    assert run.state == RunState.SUCCEEDED
    assert run.seen < len(sandbox.truth("sessions"))
    assert set(Session.objects.values_list("id", flat=True)) == {
        remote["id"] for remote in sandbox.truth("sessions")
    }


def test_the_watermark_is_vapis_own_time_and_moves_only_when_a_walk_finished(
    sandbox: SandboxProcess, organization: Organization
) -> None:
    sync_stream(organization, Stream.SESSIONS)
    before = Watermark.objects.get(stream=Stream.SESSIONS).updated_at
    assert before is not None
    assert abs(before - datetime.fromisoformat("2026-01-31T12:00:00Z")) < timedelta(hours=1)
    sandbox.fault("401:path=/session")

    run = sync_stream(organization, Stream.SESSIONS)

    assert run.state == RunState.FAILED
    assert "refused the API key" in run.error
    assert Watermark.objects.get(stream=Stream.SESSIONS).updated_at == before


@pytest.mark.parametrize(
    "spec", ["429:count=2,retry_after=0", "500:count=2", "html200:count=1", "truncated:count=1"]
)
def test_a_passing_fault_costs_no_row(sandbox: SandboxProcess, organization: Organization, spec: str) -> None:
    sandbox.fault(spec)

    runs = sync_organization(organization)

    assert {run.state for run in runs} == {"succeeded"}
    assert_mirror_equals(sandbox, organization)


def test_a_bad_record_is_kept_apart_and_its_page_is_stored(
    sandbox: SandboxProcess, organization: Organization
) -> None:
    bad = sandbox.change("sessions", "", {"name": "no time"})["id"]
    sandbox.change("sessions", bad, {"updatedAt": "yesterday"}, touch=False)

    run = sync_stream(organization, Stream.SESSIONS)

    assert (run.state, run.quarantined) == (RunState.PARTIAL, 1)
    assert run.created == len(sandbox.truth("sessions")) - 1
    kept = QuarantinedRecord.objects.get()
    assert (kept.remote_id, kept.reason) == (bad, "updatedAt: not a time")

    sandbox.change("sessions", bad, {"updatedAt": "2026-01-31T11:00:00.000Z"}, touch=False)
    sync_stream(organization, Stream.SESSIONS, full=True)
    assert QuarantinedRecord.objects.get().resolved_at is not None


def test_an_id_of_another_organization_is_never_overwritten(
    sandbox: SandboxProcess, organization: Organization, other_organization: Organization
) -> None:
    sync_organization(organization)
    taken = sandbox.truth("sessions")[0]
    sandbox.change("sessions", taken["id"], {"name": "thief"}, key=sandbox.keys[1])

    run = sync_stream(other_organization, Stream.SESSIONS)

    assert run.state == RunState.PARTIAL
    assert Session.objects.get(id=taken["id"]).organization == organization
    assert QuarantinedRecord.objects.get().reason == "id: belongs to another organization"


def test_a_key_of_another_organization_is_noticed(
    sandbox: SandboxProcess, organization: Organization
) -> None:
    sync_organization(organization)
    organization.api_key = sandbox.keys[1]
    organization.save()
    count = Session.objects.count()

    run = sync_stream(organization, Stream.SESSIONS, full=True)

    assert run.state == RunState.FAILED
    assert "another Vapi organization" in run.error
    assert Session.objects.count() == count


def test_a_taken_lease_says_who_holds_it(sandbox: SandboxProcess, organization: Organization) -> None:
    with (
        hold_lease(organization, Stream.SESSIONS, RunKind.BACKFILL),
        pytest.raises(LeaseTaken, match="holds"),
    ):
        sync_stream(organization, Stream.SESSIONS)
    assert not SyncRun.objects.exists()


def test_a_run_whose_worker_died_is_closed_as_failed(organization: Organization) -> None:
    run = SyncRun.objects.create(
        organization=organization,
        stream=Stream.SESSIONS,
        kind=RunKind.BACKFILL,
        lease_number=7,
        started_at=datetime(2026, 1, 1, tzinfo=UTC),
    )
    Lease.objects.create(
        organization=organization,
        stream=Stream.SESSIONS,
        kind=RunKind.BACKFILL,
        number=7,
        holder="gone",
        expires_at=datetime(2026, 1, 1, 0, 1, tzinfo=UTC),
    )

    assert close_expired_runs() == 1

    run.refresh_from_db()
    assert run.state == RunState.FAILED
    assert "died" in run.error


def test_a_worker_that_lost_its_lease_writes_no_checkpoint(
    sandbox: SandboxProcess, organization: Organization
) -> None:
    def steal(run: SyncRun) -> None:
        Lease.objects.update(number=99)

    run = sync_stream(organization, Stream.SESSIONS, progress=steal)

    assert run.state == RunState.FAILED
    assert "lease was lost" in run.error
    assert not SyncWindow.objects.filter(finished_at__isnull=False).exists()
    assert Watermark.objects.get().backfilled_at is None


def test_no_marked_secret_is_stored(sandbox: SandboxProcess, organization: Organization) -> None:
    assert "SANDBOX-SECRET" in json.dumps(sandbox.truth("sessions"))

    sync_organization(organization)

    stored = [
        *SessionPayload.objects.values_list("payload_json", flat=True),
        *ChatPayload.objects.values_list("payload_json", flat=True),
        *map(str, Session.objects.values()),
        *map(str, Chat.objects.values()),
        *map(str, RemoteName.objects.values()),
    ]
    assert not [text[:100] for text in stored if "SANDBOX-SECRET" in text]


def test_a_pull_sends_only_gets(sandbox: SandboxProcess, organization: Organization) -> None:
    sync_organization(organization)
    sync_organization(organization, full=True)
    assert {entry["method"] for entry in sandbox.journal()} == {"GET"}


def test_a_part_walked_again_does_not_pass_for_the_whole(
    sandbox: SandboxProcess, organization: Organization
) -> None:
    remote = sandbox.truth("sessions")
    since = datetime.fromisoformat(remote[30]["createdAt"])

    run = sync_stream(organization, Stream.SESSIONS, since=since)

    assert (run.state, run.kind, run.seen) == ("succeeded", "backfill", len(remote) - 30)
    assert not Watermark.objects.exists()
    assert sync_stream(organization, Stream.SESSIONS).seen == len(remote)


def test_an_error_of_ours_ends_the_run_as_failed_and_is_named(
    sandbox: SandboxProcess, organization: Organization
) -> None:
    def fail(run: SyncRun) -> None:
        raise ValueError("a customer's words")

    with pytest.raises(ValueError, match="words"):
        sync_stream(organization, Stream.SESSIONS, progress=fail)

    run = SyncRun.objects.get()
    assert run.state == RunState.FAILED
    assert run.error.startswith("ValueError at ")
    assert "words" not in run.error
    assert not Lease.objects.filter(expires_at__isnull=False).exists()


def test_a_run_that_was_closed_meanwhile_stays_closed(
    sandbox: SandboxProcess, organization: Organization
) -> None:
    def close(run: SyncRun) -> None:
        SyncRun.objects.update(state=RunState.FAILED, error="The worker died")

    run = sync_stream(organization, Stream.SESSIONS, progress=close)

    assert (run.state, run.error) == (RunState.FAILED, "The worker died")


@pytest.mark.django_db(transaction=True)
def test_a_broken_database_connection_leaves_no_run_open(
    sandbox: SandboxProcess, organization: Organization
) -> None:
    """The connection under us is gone, as after a restart of the database."""

    def cut(run: SyncRun) -> None:
        if connection.connection is not None and run.state == RunState.RUNNING:
            if connection.vendor == "postgresql":
                connection.connection.close()
            else:
                raise OperationalError("disk I/O error")

    run = sync_stream(organization, Stream.SESSIONS, progress=cut)

    assert SyncRun.objects.get().state == run.state == RunState.FAILED
    assert "Error" in run.error
    assert not Lease.objects.filter(expires_at__isnull=False).exists()


def test_an_idle_incremental_run_moves_the_watermark_to_vapis_time(
    sandbox: SandboxProcess, organization: Organization
) -> None:
    sync_organization(organization)
    sandbox.control("POST", "clock", {"ahead_seconds": 7200})

    run = sync_stream(organization, Stream.SESSIONS)

    assert (run.state, run.seen) == ("succeeded", 0)
    mark = Watermark.objects.get(stream=Stream.SESSIONS).updated_at
    assert mark is not None
    assert mark > datetime(2026, 1, 31, 13, 50, tzinfo=UTC)


def test_one_row_of_another_organization_pins_nothing(
    sandbox: SandboxProcess, organization: Organization
) -> None:
    ours = sandbox.truth("sessions")[5]["orgId"]
    sandbox.change("sessions", sandbox.truth("sessions")[0]["id"], {"orgId": "0"})

    run = sync_stream(organization, Stream.SESSIONS)

    organization.refresh_from_db()
    assert organization.vapi_org_id == ours
    assert (run.state, run.quarantined) == ("partial", 1)


def test_a_key_that_cannot_be_sent_ends_the_run_in_words(organization: Organization) -> None:
    organization.api_key = "two words"

    run = sync_stream(organization, Stream.SESSIONS)

    assert run.state == RunState.FAILED
    assert "one word of printable ASCII" in run.error


def test_a_listing_asked_for_before_does_not_lift_a_stamp(
    sandbox: SandboxProcess, organization: Organization
) -> None:
    sync_stream(organization, Stream.SESSIONS)
    remote = sandbox.truth("sessions")[0]
    asked_at = datetime.now(UTC)
    stamp_missing(organization, remote["id"], MissingReason.GONE)
    [listed], _ = parse_results("session", [remote], [False])

    mirror_sessions(organization, [listed], asked_at=asked_at)
    assert Session.objects.get(id=remote["id"]).missing_reason == "gone"

    sync_stream(organization, Stream.SESSIONS, full=True)
    assert Session.objects.get(id=remote["id"]).missing_since is None


def test_a_session_fetched_again_that_cannot_be_read_is_kept_apart(
    sandbox: SandboxProcess, organization: Organization
) -> None:
    sync_organization(organization)
    remote = sandbox.truth("sessions")[0]
    sandbox.change("sessions", remote["id"], {"updatedAt": "yesterday"}, touch=False)

    with pytest.raises(Unstorable):
        refetch_session(organization, remote["id"])

    assert QuarantinedRecord.objects.get().remote_id == remote["id"]
    assert Session.objects.get(id=remote["id"]).missing_since is None


def test_an_answer_too_long_to_be_read_is_asked_for_in_parts(
    sandbox: SandboxProcess, organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = sandbox.truth("sessions")
    longest = max(len(json.dumps(row).encode()) for row in rows)
    ceiling = longest * 4
    assert sum(len(json.dumps(row)) for row in rows) > ceiling * 2
    monkeypatch.setattr("sessions_app.vapi.transport.MOST_BODY_BYTES", ceiling)
    monkeypatch.setattr("time.sleep", lambda _: None)

    sync_stream(organization, Stream.SESSIONS)

    assert set(Session.objects.values_list("id", flat=True)) == {row["id"] for row in rows}
    listings = [parse_qs(entry["query"]) for entry in sandbox.journal() if entry["path"] == "/session"]
    asked = [int(query["limit"][0]) for query in listings]
    assert max(asked) == 1000
    assert len([limit for limit in asked if limit < 1000]) > 3
