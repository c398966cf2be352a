"""Reconcile: what it proves, what it costs in requests, what it repairs, and what it leaves alone."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from django.utils import timezone

from sessions_app.mirror.connection import open_client
from sessions_app.mirror.leases import LeaseTaken, hold_lease
from sessions_app.mirror.pauses import take_up_again
from sessions_app.mirror.reconcile import asks_a_person, reconcile_stream
from sessions_app.mirror.reconcile_upstream import Upstream
from sessions_app.mirror.refetch import refetch_session
from sessions_app.mirror.sync import sync_organization, sync_stream
from sessions_app.mirror.writer import mirror_sessions
from sessions_app.models import (
    Chat,
    Coverage,
    ForgottenId,
    Organization,
    QuarantinedRecord,
    RetentionBoundary,
    Session,
    Watermark,
    WebhookEvent,
)
from sessions_app.models.requests import Purpose
from sessions_app.models.runs import RunKind, RunState, Stream
from sessions_app.vapi.answers import Fetched
from sessions_app.vapi.client import Listing
from sessions_app.vapi.reading import parse_results
from tests.mirror.truth import assert_mirror_equals
from tests.sandbox_process import SandboxProcess

pytestmark = pytest.mark.django_db


@pytest.fixture
def mirrored(sandbox: SandboxProcess, organization: Organization) -> Organization:
    sync_organization(organization)
    return organization


@pytest.fixture(autouse=True)
def lifted_budget(organization: Organization) -> None:
    Organization.objects.update(requests_per_second=10_000, concurrent_requests=100)
    organization.refresh_from_db()


@pytest.fixture
def proven(mirrored: Organization) -> Organization:
    run = reconcile_stream(mirrored, Stream.SESSIONS)
    assert (run.state, run.error) == ("succeeded", "")
    return mirrored


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """No waiting between tries."""
    monkeypatch.setattr("sessions_app.mirror.patience.time.sleep", lambda seconds: None)


def requests_since(sandbox: SandboxProcess, work: Callable[[], Any]) -> list[Any]:
    before = len(sandbox.journal())
    work()
    return sandbox.journal()[before:]


def states(stream: Stream = Stream.SESSIONS) -> set[str]:
    return set(Coverage.objects.filter(stream=stream).values_list("state", flat=True))


def middle(sandbox: SandboxProcess) -> dict[str, Any]:
    rows: list[dict[str, Any]] = sandbox.truth("sessions")
    return rows[len(rows) // 2]


def age_walks(**by: float) -> None:
    """Let every day have been read whole so long ago."""
    moment = timezone.now() - timedelta(**by)
    Watermark.objects.update(backfilled_at=moment)
    Coverage.objects.update(walked_at=moment)


def test_unchanged_days_are_proven_by_counting(sandbox: SandboxProcess, mirrored: Organization) -> None:
    asked = requests_since(sandbox, lambda: reconcile_stream(mirrored, Stream.SESSIONS))

    assert len(asked) <= 17
    assert {entry["path"] for entry in asked} == {"/session"}
    assert states() == {"proven"}
    assert Coverage.objects.filter(stream="sessions").count() >= 30
    assert sum(day.upstream_count for day in Coverage.objects.all()) == len(sandbox.truth("sessions"))


def test_a_deletion_is_found_and_stamped(sandbox: SandboxProcess, proven: Organization) -> None:
    gone = middle(sandbox)
    sandbox.change("sessions", gone["id"], delete=True)

    run = reconcile_stream(proven, Stream.SESSIONS)

    assert (run.kind, run.state, run.missing) == ("reconcile", "succeeded", 1)
    row = Session.objects.get(id=gone["id"])
    assert (row.missing_reason, row.missing_since is not None) == ("gone", True)
    assert Session.objects.filter(missing_since__isnull=False).count() == 1
    day = Coverage.objects.get(stream="sessions", day=gone["createdAt"][:10])
    assert (day.state, day.missing_count) == ("proven", 1)


@pytest.mark.parametrize("place", [0, 20], ids=["the oldest", "another"])
def test_a_page_asked_for_before_does_not_bring_back_what_was_stamped(
    sandbox: SandboxProcess, proven: Organization, place: int
) -> None:
    gone = sandbox.truth("sessions")[place]["id"]
    sandbox.change("sessions", gone, {"name": "updated, then deleted"})
    with open_client(proven, Purpose.INCREMENTAL) as client:
        page = client.list_sessions(Listing())
    sandbox.change("sessions", gone, delete=True)
    assert reconcile_stream(proven, Stream.SESSIONS).missing == 1

    records, _ = parse_results("session", page.results, [False] * len(page.results))
    mirror_sessions(proven, records, asked_at=page.asked_at)

    assert Session.objects.get(missing_since__isnull=False).id == gone


def test_a_row_that_came_again_after_its_404_is_not_stamped(
    sandbox: SandboxProcess, proven: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is given to somebody before another row of its day is asked for."""
    at = {"createdAt": middle(sandbox)["createdAt"]}
    again, gone = (sandbox.change("sessions", f"made-{number}", at) for number in (1, 2))
    sync_stream(proven, Stream.SESSIONS, full=True)
    for row in (again, gone):
        sandbox.change("sessions", row["id"], delete=True)
    get = Upstream.get

    def meanwhile(upstream: Upstream, remote_id: str) -> Fetched:
        try:
            return get(upstream, remote_id)
        finally:
            if remote_id == again["id"]:
                sandbox.change("sessions", remote_id, {**again, "name": "again"})
                refetch_session(proven, remote_id)

    monkeypatch.setattr(Upstream, "get", meanwhile)
    reconcile_stream(proven, Stream.SESSIONS)

    assert Session.objects.get(id=again["id"]).name == "again"
    assert Session.objects.get(missing_since__isnull=False).id == gone["id"]


def test_a_row_that_vapi_shows_again_comes_back(sandbox: SandboxProcess, proven: Organization) -> None:
    shown = middle(sandbox)
    Session.objects.filter(id=shown["id"]).update(missing_since=timezone.now(), missing_reason="gone")

    reconcile_stream(proven, Stream.SESSIONS)

    row = Session.objects.get(id=shown["id"])
    assert (row.missing_since, row.missing_reason) == (None, "")
    assert_mirror_equals(sandbox, proven)


def test_a_row_that_we_lack_is_mirrored(sandbox: SandboxProcess, proven: Organization) -> None:
    lost = middle(sandbox)
    Session.objects.filter(id=lost["id"]).delete()

    run = reconcile_stream(proven, Stream.SESSIONS)

    assert (run.state, run.created) == ("succeeded", 1)
    assert_mirror_equals(sandbox, proven)


def test_one_lost_and_one_deleted_are_found_within_a_week(
    sandbox: SandboxProcess, proven: Organization
) -> None:
    deleted, lost = next(
        pair
        for pair in pairwise(sandbox.truth("sessions"))
        if len({row["createdAt"][:10] for row in pair}) == 1
    )
    sandbox.change("sessions", deleted["id"], delete=True)
    Session.objects.filter(id=lost["id"]).delete()
    assert reconcile_stream(proven, Stream.SESSIONS).missing == 0
    age_walks(days=8)

    run = reconcile_stream(proven, Stream.SESSIONS)

    assert (run.missing, run.created) == (1, 1)
    assert_rows_equal(sandbox)


def assert_rows_equal(sandbox: SandboxProcess) -> None:
    live = Session.objects.filter(missing_since__isnull=True)
    assert set(live.values_list("id", flat=True)) == {row["id"] for row in sandbox.truth("sessions")}


def test_a_change_that_shows_nowhere_is_found_by_content(
    sandbox: SandboxProcess, proven: Organization
) -> None:
    changed = middle(sandbox)
    sandbox.change("sessions", changed["id"], {"metadata": {"ticket": 7}}, touch=False)
    age_walks(days=8)

    assert reconcile_stream(proven, Stream.SESSIONS).updated == 1
    assert_mirror_equals(sandbox, proven)


def test_every_day_has_its_turn_within_a_week(sandbox: SandboxProcess, mirrored: Organization) -> None:
    age_walks(days=2)

    reconcile_stream(mirrored, Stream.SESSIONS)

    walked = Coverage.objects.filter(walked_at__isnull=False)
    days = Coverage.objects.count()
    assert days // 7 <= walked.count() <= days // 7 + 1
    assert reconcile_stream(mirrored, Stream.SESSIONS).seen == 0


def test_a_day_whose_rows_disappeared_is_walked(sandbox: SandboxProcess, proven: Organization) -> None:
    gone = middle(sandbox)
    sandbox.change("sessions", gone["id"], delete=True)
    Session.objects.filter(id=gone["id"]).update(missing_since=timezone.now(), missing_reason="deleted")

    run = reconcile_stream(proven, Stream.SESSIONS)

    day = Coverage.objects.get(stream="sessions", day=gone["createdAt"][:10])
    assert day.walked_at is not None
    assert (run.seen, run.missing, day.state) == (day.upstream_count, 0, "proven")
    assert reconcile_stream(proven, Stream.SESSIONS).seen == 0


def test_chats_are_proven_too(sandbox: SandboxProcess, mirrored: Organization) -> None:
    gone = sandbox.truth("chats")[30]
    sandbox.change("chats", gone["id"], delete=True)

    run = reconcile_stream(mirrored, Stream.CHATS)

    assert (run.state, run.missing) == ("succeeded", 1)
    assert Chat.objects.get(missing_since__isnull=False).id == gone["id"]
    assert states(Stream.CHATS) == {"proven"}


# Too much ----------------------------------------------------------------------------------------


@pytest.fixture
def crowded(sandbox: SandboxProcess, organization: Organization) -> list[str]:
    """A day of its own with 60 sessions, mirrored and proven."""
    at = datetime(2026, 1, 15, 12, tzinfo=UTC)
    made = sandbox.change_many(
        "sessions", [{"fields": {"createdAt": (at + timedelta(seconds=n)).isoformat()}} for n in range(60)]
    )
    sync_organization(organization)
    reconcile_stream(organization, Stream.SESSIONS)
    return [row["id"] for row in made]


def test_too_much_at_once_asks_a_person(
    sandbox: SandboxProcess, organization: Organization, crowded: list[str]
) -> None:
    for remote_id in crowded[:25]:
        sandbox.change("sessions", remote_id, delete=True)

    run = reconcile_stream(organization, Stream.SESSIONS)

    assert (run.state, run.missing) == ("partial", 0)
    assert run.error.startswith("A person has to agree: Vapi no longer lists 25 sessions")
    assert not Session.objects.filter(missing_since__isnull=False).exists()
    assert Coverage.objects.get(stream="sessions", day="2026-01-15").state == "differs"
    assert asks_a_person([organization.pk]) == [run]

    agreed = reconcile_stream(organization, Stream.SESSIONS, stamp_anyway=True)

    assert (agreed.state, agreed.missing) == ("succeeded", 25)
    assert states() == {"proven"}
    assert asks_a_person([organization.pk]) == []


def test_a_vapi_that_lost_everything_is_not_asked_for_each_row(
    sandbox: SandboxProcess, organization: Organization, crowded: list[str]
) -> None:
    for row in sandbox.truth("sessions"):
        sandbox.change("sessions", row["id"], delete=True)

    asked = requests_since(sandbox, lambda: reconcile_stream(organization, Stream.SESSIONS))

    assert sum(1 for entry in asked if entry["path"] != "/session") <= 21
    assert not Session.objects.filter(missing_since__isnull=False).exists()
    assert asks_a_person([organization.pk])


def test_many_small_losses_are_too_much_together(sandbox: SandboxProcess, proven: Organization) -> None:
    for row in sandbox.truth("sessions")[5:30]:
        sandbox.change("sessions", row["id"], delete=True)

    run = reconcile_stream(proven, Stream.SESSIONS)

    assert (run.state, run.missing) == ("partial", 0)
    assert not Session.objects.filter(missing_since__isnull=False).exists()


# Retention ---------------------------------------------------------------------------------------


def forget_the_oldest(sandbox: SandboxProcess, number: int) -> list[str]:
    ids = [row["id"] for row in sandbox.truth("sessions")[:number]]
    for remote_id in ids:
        sandbox.change("sessions", remote_id, delete=True)
    return ids


def test_rows_beyond_retention_are_stamped_in_bulk_after_a_sample(
    sandbox: SandboxProcess, proven: Organization
) -> None:
    ids = forget_the_oldest(sandbox, 24)
    sandbox.control("POST", "retention", {"itemsBeyondRetention": True})

    asked = requests_since(sandbox, lambda: reconcile_stream(proven, Stream.SESSIONS))

    assert sum(1 for entry in asked if entry["path"] != "/session") == 5
    stamped = Session.objects.filter(missing_reason="beyond_retention")
    assert set(stamped.values_list("id", flat=True)) == set(ids)
    boundary = RetentionBoundary.objects.get(stream="sessions")
    assert boundary.is_announced
    assert boundary.confirmed_at is not None
    assert boundary.oldest_listed_at == datetime.fromisoformat(sandbox.truth("sessions")[0]["createdAt"])
    assert "beyond_retention" in states()
    assert "differs" not in states()


def test_retention_that_nobody_announced_asks_a_person_when_it_is_much(
    sandbox: SandboxProcess, proven: Organization
) -> None:
    forget_the_oldest(sandbox, 24)

    run = reconcile_stream(proven, Stream.SESSIONS)

    assert (run.state, run.missing) == ("partial", 0)
    assert reconcile_stream(proven, Stream.SESSIONS, stamp_anyway=True).missing == 24


def test_an_old_row_that_is_still_there_speaks_against_the_boundary(
    sandbox: SandboxProcess, proven: Organization
) -> None:
    """It is not shown first any more, as its createdAt moved, but it exists."""
    first = sandbox.truth("sessions")[0]
    sandbox.change("sessions", first["id"], {"createdAt": "2026-01-20T10:00:00.000Z"}, touch=False)
    sandbox.control("POST", "retention", {"itemsBeyondRetention": True})

    run = reconcile_stream(proven, Stream.SESSIONS)

    assert run.missing == 0
    assert Session.objects.get(id=first["id"]).missing_since is None


def test_a_deletion_that_a_message_told_of_is_called_so(
    sandbox: SandboxProcess, proven: Organization
) -> None:
    gone = middle(sandbox)
    sandbox.change("sessions", gone["id"], delete=True)
    WebhookEvent.objects.create(
        organization=proven, kind="session.deleted", remote_id=gone["id"], received_at=timezone.now()
    )

    reconcile_stream(proven, Stream.SESSIONS)

    assert Session.objects.get(id=gone["id"]).missing_reason == "deleted"


def test_many_deletions_that_messages_told_of_are_called_so(
    sandbox: SandboxProcess, organization: Organization, crowded: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sessions_app.mirror.reconcile._AT_ONCE", 3)
    for remote_id in crowded[:7]:
        sandbox.change("sessions", remote_id, delete=True)
        WebhookEvent.objects.create(
            organization=organization,
            kind="session.deleted",
            remote_id=remote_id,
            digest=remote_id,
            received_at=timezone.now(),
        )

    reconcile_stream(organization, Stream.SESSIONS)

    assert Session.objects.filter(missing_reason="deleted").count() == 7


# Faults ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "spec",
    [
        "403:path=/session",
        "429:path=/session,retry_after=0",
        "500:path=/session",
        "html200:path=/session",
        "truncated:path=/session",
        "401:path=/session,skip=3",
        # Only look-ups by id fail: a row that is not listed may not be stamped.
        "403:path=/session/",
        "500:path=/session/",
        "html:path=/session/,status=404",
        "lost:path=/session/",
    ],
)
def test_a_fault_stamps_nothing(
    sandbox: SandboxProcess, proven: Organization, impatient: None, spec: str
) -> None:
    sandbox.change("sessions", middle(sandbox)["id"], delete=True)
    sandbox.fault(spec)

    run = reconcile_stream(proven, Stream.SESSIONS)

    assert run.state == RunState.FAILED
    assert not Session.objects.filter(missing_since__isnull=False).exists()
    sandbox.fault("")
    if proven.paused_at:
        take_up_again(proven)
        proven.refresh_from_db()
    assert reconcile_stream(proven, Stream.SESSIONS).missing == 1


@pytest.mark.parametrize("spec", ["429:count=2,retry_after=0", "500:count=2", "capped:limit=3"])
def test_a_passing_fault_changes_nothing_either(
    sandbox: SandboxProcess, proven: Organization, impatient: None, spec: str
) -> None:
    gone = middle(sandbox)["id"]
    sandbox.change("sessions", gone, delete=True)
    age_walks(days=8)
    sandbox.fault(spec)

    assert reconcile_stream(proven, Stream.SESSIONS).state == RunState.SUCCEEDED
    assert_rows_equal(sandbox)
    assert Session.objects.get(missing_since__isnull=False).id == gone


def test_an_empty_listing_stamps_nothing(
    sandbox: SandboxProcess, proven: Organization, impatient: None
) -> None:
    """Counts and look-ups by id answer as ever: what the listing leaves out is there."""
    age_walks(days=8)
    sandbox.fault("empty:path=/session")

    run = reconcile_stream(proven, Stream.SESSIONS)

    assert run.state in {"failed", "partial"}
    assert not Session.objects.filter(missing_since__isnull=False).exists()


@pytest.mark.parametrize("by", [1, -1])
def test_a_count_that_does_not_hold_is_not_trusted_that_night(
    sandbox: SandboxProcess, proven: Organization, by: int
) -> None:
    gone = middle(sandbox)["id"]
    sandbox.change("sessions", gone, delete=True)
    sandbox.fault(f"miscount:by={by}")

    run = reconcile_stream(proven, Stream.SESSIONS)

    assert (run.state, run.missing) == ("succeeded", 1)
    assert run.seen >= len(sandbox.truth("sessions"))
    assert Coverage.objects.filter(note__startswith="Vapi's count does not hold").count() == 1
    assert states() == {"proven"}
    assert sum(day.upstream_count for day in Coverage.objects.all()) == len(sandbox.truth("sessions"))
    sandbox.fault("")
    again = reconcile_stream(proven, Stream.SESSIONS)
    assert again.seen == len(sandbox.truth("sessions"))


def test_another_organizations_key_changes_nothing(sandbox: SandboxProcess, proven: Organization) -> None:
    proven.api_key = sandbox.keys[1]
    proven.save()

    run = reconcile_stream(proven, Stream.SESSIONS)

    assert run.state == RunState.FAILED
    assert "another Vapi organization" in run.error
    assert not Session.objects.filter(missing_since__isnull=False).exists()


def test_what_cannot_be_stored_keeps_its_day_open(sandbox: SandboxProcess, proven: Organization) -> None:
    bad = middle(sandbox)["id"]
    sandbox.change("sessions", bad, {"updatedAt": "yesterday"}, touch=False)
    Session.objects.filter(id=bad).delete()

    run = reconcile_stream(proven, Stream.SESSIONS)

    assert (run.state, run.quarantined) == ("partial", 1)
    assert QuarantinedRecord.objects.get().remote_id == bad
    day = Coverage.objects.get(stream="sessions", state="differs")
    assert "could not be stored" in day.note


def test_ids_that_we_let_go_are_counted_apart(sandbox: SandboxProcess, proven: Organization) -> None:
    day = Coverage.objects.filter(stream="sessions", upstream_count__gt=1).latest("day")
    Coverage.objects.filter(pk=day.pk).update(forgotten_count=1, upstream_count=day.upstream_count + 1)
    ForgottenId.objects.create(
        organization=proven,
        stream="sessions",
        digest="d",
        reason="pruned",
        created_day=day.day,
        forgotten_at=timezone.now(),
    )

    reconcile_stream(proven, Stream.SESSIONS)

    day.refresh_from_db()
    # The id that we let go is at Vapi no more either: the walk saw that.
    assert (day.state, day.forgotten_count) == ("proven", 0)


def test_nothing_is_proven_before_the_first_full_sync(
    sandbox: SandboxProcess, organization: Organization
) -> None:
    run = reconcile_stream(organization, Stream.SESSIONS)

    assert run.state == RunState.PARTIAL
    assert "first full sync" in run.error
    assert not Coverage.objects.exists()


def test_a_second_reconcile_says_who_is_at_work(mirrored: Organization) -> None:
    with (
        hold_lease(mirrored, Stream.SESSIONS, RunKind.RECONCILE),
        pytest.raises(LeaseTaken, match="reconcile"),
    ):
        reconcile_stream(mirrored, Stream.SESSIONS)


# Figures -----------------------------------------------------------------------------------------


@pytest.fixture
def large(start_sandbox: Callable[..., SandboxProcess], organization: Organization) -> SandboxProcess:
    sandbox = start_sandbox(sessions=3000)
    organization.base_url = sandbox.url
    organization.save()
    sync_stream(organization, Stream.SESSIONS)
    return sandbox


def test_figure_thirty_unchanged_days(large: SandboxProcess, organization: Organization) -> None:
    sync_stream(organization, Stream.CHATS)

    def prove() -> None:
        for stream in (Stream.SESSIONS, Stream.CHATS):
            assert reconcile_stream(organization, stream).state == RunState.SUCCEEDED

    asked = requests_since(large, prove)

    # One for the oldest row and at most 16 stretches, for each stream.
    assert len(asked) <= 34
    assert Coverage.objects.filter(state="proven").count() >= 60


def test_figure_one_deletion_among_many(large: SandboxProcess, organization: Organization) -> None:
    gone = large.truth("sessions")[1700]["id"]
    large.change("sessions", gone, delete=True)

    asked = requests_since(large, lambda: reconcile_stream(organization, Stream.SESSIONS))

    assert len(asked) <= 25
    assert Session.objects.get(missing_since__isnull=False).id == gone
