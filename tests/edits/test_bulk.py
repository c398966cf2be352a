"""Bulk edits: what was previewed is done, in portions that survive their worker, and people's edits come first."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import connection
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext

from sessions_app import tasks
from sessions_app.edits import bulk as bulks
from sessions_app.edits import settle, trail
from sessions_app.edits.bulk import portions
from sessions_app.edits.claims import due_edits
from sessions_app.edits.push import push_edit
from sessions_app.edits.queue import queue_edit, shown_values
from sessions_app.edits.standing import describe_standing
from sessions_app.mirror.refetch import refetch_session
from sessions_app.mirror.sync import sync_stream
from sessions_app.models import BulkEdit, Edit, Organization, Session
from sessions_app.models.runs import Stream
from tests.edits.bulk_work import work
from tests.sandbox_process import SandboxProcess

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def chosen(sandbox: SandboxProcess, organization: Organization) -> list[str]:
    """Sixty mirrored sessions, named "Before"."""
    ids = [f"bulk-{number:02}" for number in range(60)]
    sandbox.change_many("sessions", [{"id": found, "fields": {"name": "Before"}} for found in ids])
    sync_stream(organization, Stream.SESSIONS, full=True)
    assert Session.objects.filter(pk__in=ids, name="Before").count() == 60
    sandbox.control("DELETE", "journal")
    return ids


@pytest.fixture
def make(chosen: list[str], organization: Organization, editor: User) -> Callable[..., BulkEdit]:
    """make(name="After"): a bulk of the chosen sessions that has begun."""

    def begin(**fields: object) -> BulkEdit:
        found = bulks.preview(organization, chosen, fields, editor)
        bulks.confirm(found, editor, "Tidy up")
        return found

    return begin


def names(sandbox: SandboxProcess, ids: list[str]) -> set[str]:
    return {row["name"] for row in sandbox.truth() if row["id"] in ids}


def test_three_of_sixty_fail_are_tried_again_and_all_is_undone(
    sandbox: SandboxProcess, chosen: list[str], make: Callable[..., BulkEdit], editor: User
) -> None:
    for found in chosen[:3]:
        sandbox.fault(f"400:method=PATCH,path=/session/{found}", add=True)
    bulk = make(name="After")
    work(bulk)

    assert bulks.count_states(bulk) == {"applied": 57, "rejected": 3}
    assert (bulk.state, bulk.finished_at is None) == ("done", False)
    assert len(sandbox.journal()) == 2 * 60  # a GET and a PATCH for each, whatever came of it

    sandbox.fault("")
    assert bulks.retry_failed(bulk, editor) == 3
    work(bulk)
    assert bulks.count_states(bulk) == {"applied": 60}
    assert names(sandbox, chosen) == {"After"}

    back = bulks.undo(bulk, editor, "Wrong name")
    with pytest.raises(ValidationError):
        bulks.undo(bulk, editor, "Twice")
    work(back)
    assert bulks.count_states(back) == {"applied": 60} and back.state == "done"
    assert names(sandbox, chosen) == {"Before"}


def test_a_second_try_overwrites_nothing_that_changed_since(
    sandbox: SandboxProcess,
    organization: Organization,
    chosen: list[str],
    make: Callable[..., BulkEdit],
    editor: User,
) -> None:
    sandbox.fault("400:method=PATCH")
    bulk = make(name="After")
    work(bulk)
    sandbox.fault("")
    sandbox.change("sessions", chosen[0], {"name": "Theirs"})
    refetch_session(organization, chosen[0])

    bulks.retry_failed(bulk, editor)
    work(bulk)

    assert bulks.count_states(bulk) == {"applied": 59, "conflict": 1}
    assert names(sandbox, chosen) == {"After", "Theirs"}


def test_a_second_try_deletes_nothing_that_went_on_since(
    sandbox: SandboxProcess, organization: Organization, chosen: list[str], administrator: User
) -> None:
    Organization.objects.update(bulk_delete_needs_approval=False)
    organization.refresh_from_db()
    sandbox.fault("400:method=DELETE")
    bulk = bulks.preview(organization, chosen[:2], {"delete": True}, administrator)
    bulks.confirm(bulk, administrator, "Tests")
    work(bulk)
    assert bulks.count_states(bulk) == {"rejected": 2}
    sandbox.fault("")
    sandbox.change("sessions", chosen[0], {"messages": [{"role": "user", "content": "Wait!"}]})
    refetch_session(organization, chosen[0])

    bulks.retry_failed(bulk, administrator)
    work(bulk)

    assert bulks.count_states(bulk) == {"applied": 1, "conflict": 1}
    assert names(sandbox, chosen[:2]) == {"Before"}


def test_a_paused_bulk_sends_nothing_until_it_goes_on(
    sandbox: SandboxProcess, make: Callable[..., BulkEdit]
) -> None:
    bulk = make(name="After")
    bulks.advance(bulk.pk)
    bulks.pause(bulk)
    work(bulk)
    assert due_edits() == [] and sandbox.journal("PATCH") == []
    assert push_edit(Edit.objects.filter(bulk=bulk).earliest("pk").pk) == "queued"

    bulks.go_on(bulk)
    work(bulk)
    assert bulks.count_states(bulk) == {"applied": 60}


def test_cancelling_withdraws_what_is_not_sent(
    sandbox: SandboxProcess, make: Callable[..., BulkEdit]
) -> None:
    bulk = make(name="After")
    bulks.advance(bulk.pk)
    for edit_id in due_edits(limit=5):
        push_edit(edit_id)
    bulks.cancel(bulk)
    assert due_edits() == []
    work(bulk)

    assert bulks.count_states(bulk) == {"applied": 5, "withdrawn": 55}
    assert (bulk.state, bulk.finished_at is None) == ("cancelled", False)
    assert len(sandbox.journal("PATCH")) == 5
    with pytest.raises(bulks.BulkMoved):
        bulks.go_on(bulk)


@pytest.fixture
def collided(sandbox: SandboxProcess, make: Callable[..., BulkEdit], chosen: list[str]) -> BulkEdit:
    """A bulk of which the first edit is in conflict and the second was given up; the others wait."""
    bulk = make(name="After")
    bulks.advance(bulk.pk)
    sandbox.change("sessions", chosen[0], {"name": "Theirs"})
    assert push_edit(Edit.objects.get(session_id=chosen[0]).pk) == "conflict"
    Edit.objects.filter(session_id=chosen[1]).update(state="failed")
    return bulk


@pytest.mark.parametrize("is_ended", [True, False])
def test_what_people_decide_of_a_cancelled_bulks_edits_is_sent(
    sandbox: SandboxProcess, collided: BulkEdit, chosen: list[str], editor: User, is_ended: bool
) -> None:
    bulks.cancel(collided)
    if is_ended:
        work(collided)
    conflict, failed = (Edit.objects.get(session_id=found) for found in chosen[:2])

    new = settle.resolve_conflict(conflict, {"name": "mine"}, editor)
    again = settle.retry(failed, editor)
    work(collided)

    assert due_edits() == [new.pk, again.pk]
    assert push_edit(new.pk) == push_edit(again.pk) == "applied"
    assert sandbox.journal("PATCH") and names(sandbox, chosen[:2]) == {"After"}
    assert collided.finished_at and bulks.count_states(collided) == {"superseded": 2, "withdrawn": 58}


def test_what_was_decided_while_a_bulk_was_cancelled_is_sent_once_it_has_ended(
    collided: BulkEdit, chosen: list[str], editor: User
) -> None:
    new = settle.resolve_conflict(Edit.objects.get(session_id=chosen[0]), {"name": "mine"}, editor)
    Edit.objects.filter(state="queued").exclude(pk=new.pk).update(state="withdrawn")
    BulkEdit.objects.update(state="cancelled", finished_at=Now())
    assert push_edit(new.pk) == "applied"


@pytest.mark.parametrize("stop", [bulks.pause, bulks.cancel])
def test_what_a_stopped_bulk_left_holds_up_only_its_own_fields(
    collided: BulkEdit, chosen: list[str], editor: User, stop: Callable[[BulkEdit], None]
) -> None:
    stop(collided)
    session = Session.objects.select_related("organization").get(pk=chosen[2])

    def queue(**fields: object) -> Edit:
        shown = shown_values(session)
        return queue_edit(session=session, base=shown, fields=fields, source="admin", author=editor)

    free, behind = queue(status="completed"), queue(expirationSeconds=600)
    Edit.objects.filter(pk=behind.pk).update(fields={"name": "Person"})
    assert due_edits(chosen[2]) == [free.pk]
    assert push_edit(free.pk) == "applied" and push_edit(behind.pk) == "queued"
    assert describe_standing(behind) == "Waiting for an earlier edit of this session."


def test_an_edit_says_that_its_bulk_is_paused(collided: BulkEdit, chosen: list[str]) -> None:
    bulks.pause(collided)
    assert describe_standing(Edit.objects.get(session_id=chosen[2])) == "Waiting: its bulk edit is paused."


def test_a_worker_killed_while_it_queues_leaves_no_half_portion(
    make: Callable[..., BulkEdit], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(portions, "PORTION", 20)
    bulk = make(name="After")
    assert bulks.advance(bulk.pk)
    with monkeypatch.context() as patched:

        def die(*_: object) -> None:
            raise SystemExit

        patched.setattr(trail, "record_many", die)
        with pytest.raises(SystemExit):
            bulks.advance(bulk.pk)
    assert Edit.objects.filter(bulk=bulk).count() == 20
    assert bulks.due_bulks() == []  # until the killed worker's time is over
    BulkEdit.objects.update(next_attempt_at=None)
    assert bulks.due_bulks() == [bulk.pk]

    work(bulk)
    assert bulks.count_states(bulk) == {"applied": 60}
    assert Edit.objects.filter(bulk=bulk).count() == 60


def test_a_persons_edit_comes_first(
    sandbox: SandboxProcess, organization: Organization, make: Callable[..., BulkEdit], chosen: list[str]
) -> None:
    bulk = make(name="After")
    bulks.advance(bulk.pk)
    other = Session.objects.exclude(pk__in=chosen).earliest("pk")
    edit = queue_edit(session=other, base=shown_values(other), fields={"name": "Person"}, source="admin")
    assert due_edits(limit=2)[0] == edit.pk
    assert due_edits(only=bulks.NOT_IN_LANES) == [edit.pk]


def test_the_dry_run_says_what_changes_and_what_cannot(
    organization: Organization, chosen: list[str], editor: User
) -> None:
    Session.objects.filter(pk=chosen[0]).update(missing_since="2026-01-01T00:00Z")
    Session.objects.filter(pk=chosen[1]).update(name="After")
    bulk = bulks.preview(organization, [*chosen, "not-there"], {"name": "After"}, editor)

    found = bulks.dry_run(bulk)

    assert (found.changing, found.already) == (58, 1)
    assert found.refused == {"It is missing at Vapi.": 1, "It is not mirrored any more.": 1}
    assert found.example is not None and found.example.fields == {"name": "After"}
    bulks.confirm(bulk, editor, "Tidy up")
    assert not bulks.advance(bulk.pk)
    bulk.refresh_from_db()
    assert Edit.objects.filter(bulk=bulk).count() == 58 and len(bulk.skipped) == 3


def test_the_dry_run_costs_the_same_for_more_sessions(
    organization: Organization, chosen: list[str], editor: User
) -> None:
    def queries(count: int) -> int:
        bulk = bulks.preview(organization, chosen[:count], {"name": "After"}, editor)
        with CaptureQueriesContext(connection) as captured:
            bulks.dry_run(bulk)
        return len(captured)

    assert queries(2) == queries(60) == 2


def test_a_lifetime_is_extended_from_what_each_has(
    sandbox: SandboxProcess, make: Callable[..., BulkEdit], chosen: list[str]
) -> None:
    Session.objects.filter(pk=chosen[0]).update(expiration_seconds=2_592_000)
    before = {row["id"]: row.get("expirationSeconds") or 86_400 for row in sandbox.truth()}
    bulk = make(extendSeconds=3600)
    bulks.advance(bulk.pk)
    edit = Edit.objects.get(bulk=bulk, session_id=chosen[5])
    assert edit.fields == {"expirationSeconds": before[chosen[5]] + 3600}
    bulk.refresh_from_db()
    assert [entry["id"] for entry in bulk.skipped] == [chosen[0]]


@pytest.mark.parametrize(
    "fields", [{"name": "n" * 41}, {"status": "gone"}, {"extendSeconds": 0}, {"customerId": "c"}, {}]
)
def test_what_vapi_would_not_take_is_not_kept(
    organization: Organization, editor: User, fields: dict[str, object]
) -> None:
    with pytest.raises(ValidationError):
        bulks.preview(organization, ["s1"], fields, editor)
    assert not BulkEdit.objects.exists()


def test_a_bulk_begins_once_and_says_why(organization: Organization, editor: User) -> None:
    bulk = bulks.preview(organization, ["s1"], {"name": "After"}, editor)
    with pytest.raises(ValidationError):
        bulks.confirm(bulk, editor, " ")
    bulks.confirm(bulk, editor, "Because")
    with pytest.raises(bulks.BulkMoved):
        bulks.confirm(bulk, editor, "Because")


def test_the_tasks_bring_a_bulk_to_its_end(
    make: Callable[..., BulkEdit], monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting: list[tuple[Any, tuple[object, ...]]] = []
    monkeypatch.setattr(tasks, "enqueue", lambda task, *args: waiting.append((task, args)))
    bulk = make(name="After")
    tasks.sweep()
    while waiting:
        task, args = waiting.pop(0)
        task(*args)
    bulk.refresh_from_db()
    assert bulk.state == "done" and bulks.count_states(bulk) == {"applied": 60}
