"""What Vapi and the way to it may do to a sync: each ends with the truth, or with words that say why it did not."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta

import pytest

from sessions_app import tasks
from sessions_app.mirror.pauses import take_up_again
from sessions_app.mirror.quarantine import settle
from sessions_app.mirror.reconcile import reconcile_stream
from sessions_app.mirror.refetch import Unstorable, refetch_session
from sessions_app.mirror.sync import sync_stream
from sessions_app.models import (
    Chat,
    Coverage,
    Organization,
    QuarantinedRecord,
    RetentionBoundary,
    Session,
    SyncRun,
    Watermark,
)
from sessions_app.models.runs import RunState, Stream
from sessions_app.vapi.client import VapiClient
from tests.mirror.truth import assert_mirror_equals
from tests.sandbox_process import SandboxProcess

pytestmark = pytest.mark.django_db
BOTH = (Stream.SESSIONS, Stream.CHATS)
TIED_AT = "2026-01-29T10:00:00.000Z"


@pytest.fixture(scope="module")
def small_process() -> Iterator[SandboxProcess]:
    process = SandboxProcess(sessions=10, seed="faults", days=4)
    yield process
    process.stop()


@pytest.fixture
def vapi(
    small_process: SandboxProcess,
    ask_freely: Callable[[SandboxProcess], None],
    monkeypatch: pytest.MonkeyPatch,
) -> SandboxProcess:
    """A simulated Vapi of ten sessions, in pages of eight; nobody sleeps."""
    ask_freely(small_process)
    monkeypatch.setattr("sessions_app.mirror.walk.MAX_LIMIT", 8)
    return small_process


def tie(vapi: SandboxProcess, count: int = 20, kind: str = "sessions") -> None:
    """More rows of one createdAt than a page holds."""
    vapi.change_many(kind, [{"fields": {"createdAt": TIED_AT}} for _ in range(count)])


def assert_complete(vapi: SandboxProcess, organization: Organization) -> None:
    """The mirror equals the truth, to the last digit, and every day is proven."""
    assert_mirror_equals(vapi, organization)
    for stream in BOTH:
        run = reconcile_stream(organization, stream)
        assert (run.state, run.error) == (RunState.SUCCEEDED, "")
    assert set(Coverage.objects.values_list("state", flat=True)) == {"proven"}
    assert_mirror_equals(vapi, organization)


PASSING = {
    "429 with Retry-After in seconds": "429:count=4,retry_after=0.1",
    "429 with Retry-After as a date": "429:count=1,date=1,retry_after=1",
    "429 without Retry-After": "429:count=1,none=1",
    "500 in bursts": "500:count=9;500:skip=14,count=6",
    "502 in bursts": "502:count=9;502:skip=14,count=6",
    "503 in bursts": "503:count=9;503:skip=14,count=6",
    "HTML with 200": "html200:count=3;html200:skip=7,count=2",
    "HTML with 502": "html:count=7;html:skip=11,count=5",
    "truncated JSON": "truncated:count=3;truncated:skip=7,count=2",
    "a connection reset in the middle of a body": "reset:count=3;reset:skip=7,count=2",
    "an answer that never comes": "lost:count=3;lost:skip=7,count=2",
    "answers slower than the time-out": "timeout:count=3,seconds=1",
    "a limit silently capped": "capped:limit=3",
    "a limit capped half-way": "capped:limit=2,skip=4",
    "rows repeated on the next page": "repeated:rows=2",
    "a count that is wrong": "miscount:by=7",
    "no metadata": "metadata",
    "metadata that is null": "metadata:how=null",
    "metadata that is wrong": "metadata:how=wrong",
    "metadata that has no end": "metadata:how=endless",
    "a cursor": "cursor",
    "a cursor that is not taken": "cursor:how=refused",
    "a cursor that changes nothing": "cursor:how=ignored",
    "a cursor that names itself": "cursor:how=stuck",
    "a cursor without an end": "cursor:how=endless",
    "a cursor that loses a row": "cursor:how=skips",
}


@pytest.mark.parametrize("fault", PASSING)
def test_no_row_is_lost_to(
    fault: str, vapi: SandboxProcess, organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(VapiClient.__init__.__kwdefaults__ or {}, "timeout", (5, 0.3))
    tie(vapi)
    vapi.fault(PASSING[fault])

    runs = [sync_stream(organization, stream) for stream in BOTH]

    assert [(run.state, run.error) for run in runs] == [("succeeded", "")] * 2
    assert any(entry["fault"] for entry in vapi.journal())
    assert_complete(vapi, organization)


def test_a_cursor_is_followed_among_rows_of_one_created_at(
    vapi: SandboxProcess, organization: Organization
) -> None:
    tie(vapi, 30)
    vapi.fault("cursor")

    sync_stream(organization, Stream.SESSIONS)

    followed = [entry for entry in vapi.journal() if "cursor=" in entry["query"]]
    assert len(followed) >= 3
    assert {entry["status"] for entry in followed} == {200}


def test_1500_sessions_with_one_created_at(
    vapi: SandboxProcess, organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sessions_app.mirror.walk.MAX_LIMIT", 1000)
    tie(vapi, 1500)

    assert sync_stream(organization, Stream.SESSIONS).state == RunState.SUCCEEDED

    assert set(Session.objects.values_list("id", flat=True)) == {row["id"] for row in vapi.truth()}


def test_a_limit_silently_capped_at_100(
    vapi: SandboxProcess, organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sessions_app.mirror.walk.MAX_LIMIT", 1000)
    tie(vapi, 250)
    vapi.fault("capped:limit=100")

    assert sync_stream(organization, Stream.SESSIONS).state == RunState.SUCCEEDED

    assert set(Session.objects.values_list("id", flat=True)) == {row["id"] for row in vapi.truth()}


# The key -------------------------------------------------------------------------------------------


def test_a_key_revoked_half_way_pauses_and_goes_on_with_a_new_one(
    vapi: SandboxProcess, organization: Organization
) -> None:
    vapi.fault("401:skip=2")

    run = sync_stream(organization, Stream.SESSIONS)

    assert (run.state, run.seen > 0) == (RunState.FAILED, True)
    assert "refused the API key" in run.error
    organization.refresh_from_db()
    assert organization.paused_at is not None
    assert Watermark.objects.get().backfilled_at is None
    assert not Session.objects.filter(missing_since__isnull=False).exists()
    asked = len(vapi.journal())
    assert sync_stream(organization, Stream.SESSIONS).state == RunState.FAILED
    assert len(vapi.journal()) == asked

    vapi.fault("")
    take_up_again(organization)
    organization.refresh_from_db()
    for stream in BOTH:
        sync_stream(organization, stream)
    assert_complete(vapi, organization)


def test_one_changed_row_of_another_organization_does_not_condemn_the_key(
    vapi: SandboxProcess, organization: Organization
) -> None:
    sync_stream(organization, Stream.SESSIONS)
    odd = vapi.truth()[4]["id"]
    vapi.control("POST", "clock", {"ahead_seconds": 7200})
    sync_stream(organization, Stream.SESSIONS)
    vapi.change("sessions", odd, {"orgId": "somebody else's"})

    run = sync_stream(organization, Stream.SESSIONS)

    assert (run.kind, run.seen, run.state, run.error) == ("incremental", 1, "partial", "")
    assert QuarantinedRecord.objects.get().remote_id == odd


def test_the_key_of_another_organization_is_told_by_its_rows(
    vapi: SandboxProcess, organization: Organization
) -> None:
    sync_stream(organization, Stream.SESSIONS)
    Organization.objects.update(api_key=vapi.keys[1])
    organization.refresh_from_db()
    before = list(Session.objects.order_by("id").values())
    vapi.change("sessions", "", {"name": "theirs"}, key=vapi.keys[1])

    run = sync_stream(organization, Stream.SESSIONS)

    assert run.state == RunState.FAILED
    assert "another Vapi organization" in run.error
    assert list(Session.objects.order_by("id").values()) == before


def test_a_wait_of_an_hour_ends_the_run_and_holds_the_next_ones(
    vapi: SandboxProcess, organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    vapi.fault("429:retry_after=1800")

    run = sync_stream(organization, Stream.SESSIONS)

    assert run.state == RunState.FAILED
    assert run.error.startswith("Vapi asks to be left alone until ")
    assert sum(slept) < 60
    vapi.fault("")
    asked = len(vapi.journal())
    for stream in BOTH:
        tasks.sync_stream(organization.pk, stream)
        tasks.reconcile_stream(organization.pk, stream)
    assert len(vapi.journal()) == asked
    assert SyncRun.objects.count() == 1


# Rows that come and go while they are read ---------------------------------------------------------


def create(vapi: SandboxProcess, position: int) -> None:
    made = vapi.change("sessions", "", {"createdAt": vapi.truth()[position]["createdAt"]})
    vapi.change("sessions", made["id"], {"name": "meanwhile"})
    vapi.change("sessions", "", {"name": "at the end"})


def update(vapi: SandboxProcess, position: int) -> None:
    vapi.change("sessions", vapi.truth()[position]["id"], {"name": "meanwhile"})


def delete(vapi: SandboxProcess, position: int) -> None:
    vapi.change("sessions", vapi.truth()[position]["id"], delete=True)


@pytest.mark.parametrize("happens", [create, update, delete])
@pytest.mark.parametrize("is_incremental", [False, True], ids=["full", "incremental"])
def test_a_session_that_changes_while_pages_are_read_at_every_position(
    happens: Callable[[SandboxProcess, int], None],
    is_incremental: bool,
    vapi: SandboxProcess,
    organization: Organization,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sessions_app.mirror.walk.MAX_LIMIT", 3)
    for position in range(0, 10, 2 if is_incremental else 1):
        for at_step in (1, 3):
            listed = vapi.truth()
            steps = 0

            def meanwhile(run: SyncRun, at_step: int = at_step, position: int = position) -> None:
                nonlocal steps
                steps += 1
                if steps == at_step and run.state == RunState.RUNNING:
                    happens(vapi, position)

            vapi.change_many(
                "sessions",
                [{"id": row["id"], "fields": {"name": f"round {position} {at_step}"}} for row in listed],
            )
            sync_stream(organization, Stream.SESSIONS, full=not is_incremental, progress=meanwhile)
            sync_stream(organization, Stream.SESSIONS)
            assert_sessions_equal(vapi)
            for row in listed[10:]:
                vapi.change("sessions", row["id"], delete=True)
            if len(listed) < 12:
                vapi.change("sessions", "", {"createdAt": listed[position]["createdAt"]})


def assert_sessions_equal(vapi: SandboxProcess) -> None:
    """Every session of Vapi's stands here as there; what it deleted may still stand here too."""
    there = {row["id"]: row.get("name") or "" for row in vapi.truth()}
    here = dict(Session.objects.values_list("id", "name"))
    assert {key: here.get(key) for key in there} == there


def test_a_store_that_shrinks_by_retention_while_it_is_read(
    vapi: SandboxProcess, organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sessions_app.mirror.walk.MAX_LIMIT", 3)
    for stream in BOTH:
        sync_stream(organization, stream)
    listed = vapi.truth()
    boundary = listed[4]["createdAt"]

    def shrink(run: SyncRun) -> None:
        if run.seen < 6:
            vapi.control("POST", "retention", {"itemsBeyondRetention": True, "before": boundary})

    assert sync_stream(organization, Stream.SESSIONS, full=True, progress=shrink).state == RunState.SUCCEEDED

    assert not Session.objects.filter(missing_since__isnull=False).exists()
    for stream in BOTH:
        assert reconcile_stream(organization, stream).state == RunState.SUCCEEDED
    gone = Session.objects.filter(created_at__lt=datetime.fromisoformat(boundary))
    assert set(gone.values_list("missing_reason", flat=True)) == {"beyond_retention"}
    assert gone.count() == 4
    assert RetentionBoundary.objects.get(stream="sessions").is_announced
    assert_mirror_equals(vapi, organization, apart=_ids_missing())


def _ids_missing() -> set[str]:
    missing = {"missing_since__isnull": False}
    return {
        *Session.objects.filter(**missing).values_list("id", flat=True),
        *Chat.objects.filter(**missing).values_list("id", flat=True),
    }


# Time ----------------------------------------------------------------------------------------------


def test_updated_at_equal_to_the_watermark(vapi: SandboxProcess, organization: Organization) -> None:
    for stream in BOTH:
        sync_stream(organization, stream)
    mark = Watermark.objects.get(stream=Stream.SESSIONS).updated_at
    assert mark is not None
    equal = mark.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    changed = vapi.truth()[2]["id"]
    vapi.change("sessions", changed, {"name": "at the mark", "updatedAt": equal})
    vapi.change("sessions", "", {"name": "new at the mark", "updatedAt": equal})

    run = sync_stream(organization, Stream.SESSIONS)

    assert (run.kind, run.created, run.updated) == ("incremental", 1, 1)
    assert_complete(vapi, organization)


@pytest.mark.parametrize("minutes", [-10, 10])
def test_our_clock_ten_minutes_off(minutes: int, vapi: SandboxProcess, organization: Organization) -> None:
    """Vapi's clock differs from ours by that much; what changes right before and after a sync is seen."""
    start = datetime.now(UTC) + timedelta(minutes=minutes)
    vapi.control("POST", "clock", {"now": start.isoformat()})
    for stream in BOTH:
        sync_stream(organization, stream)
    for minute in range(3):
        vapi.change("sessions", vapi.truth()[minute]["id"], {"name": f"minute {minute}"})
        vapi.change("chats", "", {"name": f"chat of minute {minute}"})
        vapi.control("POST", "clock", {"now": (start + timedelta(minutes=minute)).isoformat()})
        for stream in BOTH:
            assert sync_stream(organization, stream).kind == "incremental"
        assert_mirror_equals(vapi, organization)
    mark = Watermark.objects.get(stream=Stream.SESSIONS).updated_at
    assert mark is not None
    assert abs(mark - start) < timedelta(minutes=5)
    assert_complete(vapi, organization)


@pytest.mark.parametrize("when", ["full", "incremental", "reconcile"])
def test_one_date_of_the_future(when: str, vapi: SandboxProcess, organization: Organization) -> None:
    if when != "full":
        sync_stream(organization, Stream.SESSIONS)
    future = datetime.now(UTC) + timedelta(days=400)
    vapi.control("POST", "clock", {"now": future.isoformat()})
    if when == "reconcile":
        reconcile_stream(organization, Stream.SESSIONS)
    else:
        sync_stream(organization, Stream.SESSIONS)

    vapi.control("POST", "clock", {"now": datetime.now(UTC).isoformat()})
    changed = vapi.truth()[3]["id"]
    vapi.change("sessions", changed, {"name": "changed after it"})

    assert sync_stream(organization, Stream.SESSIONS).kind == "incremental"
    assert Session.objects.get(id=changed).name == "changed after it"
    assert not Coverage.objects.filter(day__gt=datetime.now(UTC) + timedelta(days=1)).exists()


def test_a_mark_of_the_future_is_laid_anew(vapi: SandboxProcess, organization: Organization) -> None:
    """Since when changes were not seen is not known, so that everything is read."""
    for stream in BOTH:
        sync_stream(organization, stream)
    Watermark.objects.update(updated_at=datetime.now(UTC) + timedelta(days=400))
    vapi.change("sessions", vapi.truth()[3]["id"], {"name": "not seen"})

    kinds = [sync_stream(organization, Stream.SESSIONS).kind for _ in range(2)]

    assert kinds == ["backfill", "incremental"]
    mark = Watermark.objects.get(stream=Stream.SESSIONS).updated_at
    assert mark is not None
    assert mark < datetime.now(UTC) + timedelta(hours=1)
    sync_stream(organization, Stream.CHATS)
    assert_complete(vapi, organization)


def test_a_change_without_a_newer_updated_at(vapi: SandboxProcess, organization: Organization) -> None:
    for stream in BOTH:
        sync_stream(organization, stream)
    for place, kind in enumerate(("sessions", "chats")):
        vapi.change(kind, vapi.truth(kind)[place]["id"], {"name": "silent", "cost": 1.5}, touch=False)

    for stream in BOTH:
        sync_stream(organization, stream, full=True)

    assert_complete(vapi, organization)


# A row that no answer can hold ---------------------------------------------------------------------


def test_a_row_that_cannot_be_had_is_kept_apart_by_id_where_we_know_it(
    vapi: SandboxProcess, organization: Organization
) -> None:
    for stream in BOTH:
        sync_stream(organization, stream)
    bad, other = vapi.truth()[4]["id"], vapi.truth()[6]["id"]
    vapi.change("sessions", bad, {"name": "not to be had"})
    vapi.change("sessions", other, {"name": "behind it"})
    vapi.fault(f"poison:id={bad}")

    run = sync_stream(organization, Stream.SESSIONS, full=True)

    assert (run.state, run.quarantined, run.error) == ("partial", 1, "")
    assert QuarantinedRecord.objects.get().remote_id == bad
    assert Session.objects.get(id=other).name == "behind it"
    assert Session.objects.get(id=bad).missing_since is None
    assert reconcile_stream(organization, Stream.SESSIONS, whole=True).state == RunState.PARTIAL
    assert Session.objects.get(id=bad).missing_since is None

    vapi.fault("")
    sync_stream(organization, Stream.SESSIONS, full=True)
    assert QuarantinedRecord.objects.get().resolved_at is not None
    assert_complete(vapi, organization)


@pytest.mark.parametrize("how", ["status=502", "how=nan"])
def test_a_row_that_cannot_be_had_and_that_nobody_knows(
    how: str, vapi: SandboxProcess, organization: Organization
) -> None:
    bad = vapi.truth()[4]["id"]
    vapi.fault(f"poison:id={bad},{how}")

    runs = [sync_stream(organization, stream) for stream in BOTH]

    assert [run.state for run in runs] == ["partial", "succeeded"]
    assert runs[0].seen == len(vapi.truth())
    [kept] = QuarantinedRecord.objects.all()
    assert (kept.remote_id, kept.reason.startswith("cannot be had (")) == ("", True)
    assert set(Session.objects.values_list("id", flat=True)) == {
        row["id"] for row in vapi.truth() if row["id"] != bad
    }

    vapi.fault("")
    sync_stream(organization, Stream.SESSIONS, full=True)
    kept.refresh_from_db()
    assert kept.resolution == "not met again when everything was read"
    assert_complete(vapi, organization)


@pytest.mark.parametrize("number", [1, 3])
def test_the_oldest_rows_cannot_be_had(number: int, vapi: SandboxProcess, organization: Organization) -> None:
    """What is asked for first of all, by a first sync and by every proof, is the oldest row."""
    poison(vapi, [row["id"] for row in vapi.truth()[:number]])

    run = sync_stream(organization, Stream.SESSIONS)

    assert (run.state, run.quarantined, run.error) == ("partial", number, "")
    assert Session.objects.count() == len(vapi.truth()) - number
    assert Watermark.objects.get().backfilled_at is not None
    for whole in (False, True):
        run = reconcile_stream(organization, Stream.SESSIONS, whole=whole)
        assert run.error.startswith("1 of "), run.error
    assert QuarantinedRecord.objects.filter(resolved_at=None).count() == number

    vapi.fault("")
    for stream in BOTH:
        sync_stream(organization, stream, full=True)
    assert_complete(vapi, organization)


def test_the_first_row_of_any_day_cannot_be_had(vapi: SandboxProcess, organization: Organization) -> None:
    """A row before it that Vapi no longer has is found all the same; what is there is not marked as missing."""
    sync_stream(organization, Stream.SESSIONS)
    gone, *left = vapi.truth()
    vapi.change("sessions", gone["id"], delete=True)
    firsts = {row["createdAt"][:10]: row["id"] for row in reversed(left)}

    for bad in firsts.values():
        poison(vapi, [bad])
        run = reconcile_stream(organization, Stream.SESSIONS)
        assert run.state != RunState.FAILED, run.error
        assert Coverage.objects.filter(stream=Stream.SESSIONS).exclude(proven_at=None).count() >= len(firsts)

    assert Session.objects.get(missing_since__isnull=False).id == gone["id"]


def poison(vapi: SandboxProcess, ids: Sequence[str]) -> None:
    vapi.fault(";".join(f"poison:id={remote_id}" for remote_id in ids))


def test_what_has_no_id_is_settled_by_hand_and_comes_back_when_it_is_met_again(
    vapi: SandboxProcess, organization: Organization
) -> None:
    vapi.fault(f"poison:id={vapi.truth()[4]['id']}")
    sync_stream(organization, Stream.SESSIONS)
    kept = QuarantinedRecord.objects.get()

    assert settle(kept, "ada")
    kept.refresh_from_db()
    assert (kept.resolution, kept.resolved_at is not None) == ("settled by ada", True)
    assert not settle(kept, "bob")

    sync_stream(organization, Stream.SESSIONS, full=True)
    kept.refresh_from_db()
    assert (kept.resolution, kept.resolved_at, kept.times_seen) == ("", None, 2)


def test_a_session_fetched_again_is_gone_or_cannot_be_stored(
    vapi: SandboxProcess, organization: Organization
) -> None:
    sync_stream(organization, Stream.SESSIONS)
    gone, odd, foreign = (row["id"] for row in vapi.truth()[:3])
    vapi.change("sessions", gone, delete=True)
    vapi.change("sessions", odd, {"updatedAt": "yesterday"})
    vapi.change("sessions", foreign, {"orgId": "somebody else's"})

    assert refetch_session(organization, gone) is None
    for unstorable in (odd, foreign):
        with pytest.raises(Unstorable):
            refetch_session(organization, unstorable)

    missing = Session.objects.filter(missing_since__isnull=False).values_list("id", flat=True)
    assert list(missing) == [gone]
    assert set(QuarantinedRecord.objects.values_list("remote_id", flat=True)) == {odd, foreign}
