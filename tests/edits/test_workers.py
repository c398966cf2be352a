"""Several workers, slow ones and dead ones: each change reaches Vapi once, in order, and no outcome is lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.db.models import F, Q
from django.db.models.functions import Now

from sessions_app.edits import states
from sessions_app.edits.push import push_due, push_edit
from sessions_app.edits.queue import queue_edit, shown_values
from sessions_app.management.databases import database_url
from sessions_app.models import Edit, Session
from sessions_app.models.edits import EditState
from tests.sandbox_process import SandboxProcess
from tests.worker_process import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

Queue = Callable[..., Edit]
Remote = Callable[[], Any]
Do = Callable[[Edit], None]
ROOT = Path(__file__).parents[2]


def side_by_side(*works: Callable[[], object]) -> None:
    """Run each in a thread with a connection of its own; an error of any fails the test."""
    errors: list[BaseException] = []
    start = threading.Barrier(len(works))

    def run(work: Callable[[], object]) -> None:
        try:
            start.wait(10)
            work()
        except BaseException as error:
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not errors


def state_of(edit: Edit) -> str:
    return Edit.objects.get(pk=edit.pk).state


def test_two_workers_with_one_edit_send_one_patch(
    sandbox: SandboxProcess, queue: Queue, remote: Remote
) -> None:
    for number in range(8):
        edit = queue(name=f"After {number}")
        side_by_side(*[lambda edit=edit: push_edit(edit.pk)] * 3)
        assert state_of(edit) == "applied"
    assert [patch["body"] for patch in sandbox.journal("PATCH")] == [
        {"name": f"After {number}"} for number in range(8)
    ]


def test_edits_of_one_session_go_in_order(sandbox: SandboxProcess, queue: Queue, remote: Remote) -> None:
    first = queue(name="After")
    second = queue(status="completed")
    third = queue(expirationSeconds=600)

    assert push_edit(third.pk) == push_edit(second.pk) == "queued"
    assert sandbox.journal() == []

    assert push_due() == 3
    assert [state_of(edit) for edit in (first, second, third)] == ["applied"] * 3
    assert [patch["body"] for patch in sandbox.journal("PATCH")] == [
        {"name": "After"},
        {"status": "completed"},
        {"expirationSeconds": 600},
    ]


def test_many_workers_keep_the_order(sandbox: SandboxProcess, queue: Queue) -> None:
    edits = [
        queue(**fields) for fields in ({"name": "A"}, {"status": "completed"}, {"expirationSeconds": 90})
    ]

    side_by_side(*[lambda: [push_due() for _ in range(4)]] * 4)

    assert [state_of(edit) for edit in edits] == ["applied"] * 3
    assert [next(iter(patch["body"])) for patch in sandbox.journal("PATCH")] == [
        "name",
        "status",
        "expirationSeconds",
    ]


def test_edits_queued_while_workers_push(
    sandbox: SandboxProcess, session: Session, queue: Queue, remote: Remote
) -> None:
    ended = threading.Event()

    def correct() -> None:
        for number in range(25):
            queue(name=f"After {number}")
        ended.set()

    def work() -> None:
        while not ended.is_set():
            push_due()

    side_by_side(correct, work, work, work)
    push_due()

    applied = list(Edit.objects.filter(state="applied").order_by("pk").values_list("fields", flat=True))
    assert remote()["name"] == "After 24"
    assert [patch["body"] for patch in sandbox.journal("PATCH")] == applied
    assert Edit.objects.filter(state__in=["applied", "superseded"]).count() == 25


def test_a_later_edit_waits_for_one_that_is_tried_again(sandbox: SandboxProcess, queue: Queue) -> None:
    first, second = queue(name="After"), queue(status="completed")
    sandbox.fault("503:method=PATCH,count=1")

    push_due()

    assert [state_of(first), state_of(second)] == ["queued", "queued"]
    assert len(sandbox.journal("PATCH")) == 1


def test_a_claim_that_ran_out_is_taken_over(
    sandbox: SandboxProcess, queue: Queue, remote: Remote, expire_claim: Do
) -> None:
    edit = queue(name="After")
    claim_and_die(edit)
    assert push_edit(edit.pk) == "sending", "it is another worker's"
    assert sandbox.journal() == []

    expire_claim(edit)
    assert push_due() == 1
    assert state_of(edit) == "applied"
    assert remote()["name"] == "After"


def test_a_worker_that_died_after_its_patch(
    sandbox: SandboxProcess, session: Session, queue: Queue, expire_claim: Do
) -> None:
    edit = queue(name="After")
    claim_and_die(edit)
    Edit.objects.filter(pk=edit.pk).update(sent_at=Now())
    sandbox.change("sessions", session.pk, {"name": "After"})

    expire_claim(edit)
    assert push_edit(edit.pk) == "applied"

    session.refresh_from_db()
    assert session.name == "After"
    assert sandbox.journal("PATCH") == []


def test_a_worker_that_wakes_up_late_sends_and_writes_nothing(
    sandbox: SandboxProcess, queue: Queue, expire_claim: Do, after_first_get: Callable[..., None]
) -> None:
    edit = queue(name="After")

    def another_worker() -> None:
        expire_claim(edit)
        assert push_edit(edit.pk) == "applied"
        Edit.objects.filter(pk=edit.pk).update(error="as the other worker left it")

    after_first_get(another_worker)
    push_edit(edit.pk)

    assert len(sandbox.journal("PATCH")) == 1
    edit.refresh_from_db()
    assert (edit.state, edit.error, edit.claim_number) == ("applied", "as the other worker left it", 2)


def test_the_guard_looks_at_the_claims_number(queue: Queue) -> None:
    edit = queue(name="After")
    claim_and_die(edit)
    slow = Edit.objects.get(pk=edit.pk)
    Edit.objects.filter(pk=edit.pk).update(claim_number=F("claim_number") + 1)

    with pytest.raises(states.ClaimLost):
        states.settle(slow, EditState.REJECTED, error="late")
    with pytest.raises(states.ClaimLost):
        states.note_sending(slow)

    edit.refresh_from_db()
    assert (edit.state, edit.error, edit.sent_at) == ("sending", "", None)


def test_a_worker_killed_while_its_patch_is_under_way(
    sandbox: SandboxProcess, session: Session, queue: Queue, expire_claim: Do
) -> None:
    edit = queue(name="After")
    sandbox.fault("timeout:method=PATCH,count=1,seconds=20")
    worker = subprocess.Popen(
        [sys.executable, "manage.py", "push_edits", "--json"],
        cwd=ROOT,
        env={**os.environ, "DATABASE_URL": database_url()},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until(lambda: Edit.objects.get(pk=edit.pk).sent_at is not None)
        wait_until(lambda: any(row.get("name") == "After" for row in sandbox.truth()))
    finally:
        worker.send_signal(signal.SIGKILL)
        worker.wait(10)

    assert state_of(edit) == "sending"
    expire_claim(edit)
    assert push_edit(edit.pk) == "applied"

    session.refresh_from_db()
    assert session.name == "After"
    sandbox.fault("")
    assert len(sandbox.journal("PATCH")) <= 1


def claim_and_die(edit: Edit) -> None:
    assert states.claim(Edit.objects.get(pk=edit.pk), unless=Q(pk=0))


def test_an_impatient_double_click_is_one_edit(session: Session) -> None:
    submission: dict[str, Any] = {
        "session": session,
        "base": shown_values(session),
        "fields": {"name": "After"},
        "source": "admin",
        "submission_key": uuid4(),
    }

    side_by_side(*[lambda: queue_edit(**submission)] * 4)

    assert Edit.objects.count() == 1
