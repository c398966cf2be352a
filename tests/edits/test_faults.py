"""Faults that nothing else here tries: long outages, deaths at each point, brokers that are away or emptied."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.db.models.functions import Now
from django.test import Client

from sessions_app import tasks
from sessions_app.edits.claims import due_edits
from sessions_app.edits.push import push_due, push_edit
from sessions_app.models import Edit, Organization, Session
from tests.edits.test_workers import ROOT
from tests.sandbox_process import SandboxProcess
from tests.worker_process import database_url, wait_until

pytestmark = pytest.mark.django_db(transaction=True)

Queue = Callable[..., Edit]
Remote = Callable[[], Any]
Do = Callable[[Edit], None]


def test_5xx_for_ten_minutes(sandbox: SandboxProcess, queue: Queue, remote: Remote, make_due: Do) -> None:
    edit = queue(name="After")
    sandbox.fault("503:method=PATCH")
    waited = 0.0
    while waited < 600:
        assert push_edit(edit.pk) == "queued"
        edit.refresh_from_db()
        wait = Edit.objects.filter(pk=edit.pk).values_list("next_attempt_at", flat=True).get()
        assert wait is not None
        waited += 5 * 2 ** min(edit.attempts - 1, 6)
        make_due(edit)
    sandbox.fault("")
    assert push_edit(edit.pk) == "applied"
    assert remote()["name"] == "After"


@pytest.mark.parametrize("message", ["one line", "first line"])
def test_400_with_its_words(sandbox: SandboxProcess, queue: Queue, message: str) -> None:
    edit = queue(name="After")
    sandbox.fault(f"400:method=PATCH,message={message}")
    assert push_edit(edit.pk) == "rejected"
    edit.refresh_from_db()
    assert edit.error == message


def test_what_changes_between_our_get_and_our_patch_cannot_be_seen(
    sandbox: SandboxProcess,
    session: Session,
    queue: Queue,
    remote: Remote,
    after_first_get: Callable[..., None],
) -> None:
    """Vapi knows no If-Match: the README says so. Another field is not touched, the same field is overwritten."""
    edit = queue(name="After")
    after_first_get(lambda: sandbox.change("sessions", session.pk, {"name": "Theirs", "status": "completed"}))
    assert push_edit(edit.pk) == "applied"
    assert (remote()["name"], remote()["status"]) == ("After", "completed")


def test_a_patch_that_is_applied_twice_changes_nothing(
    sandbox: SandboxProcess, session: Session, queue: Queue, remote: Remote, expire_claim: Do
) -> None:
    edit = queue(name="After")
    push_edit(edit.pk)
    Edit.objects.filter(pk=edit.pk).update(state="sending", claimed_until=Now() - timedelta(seconds=1))
    assert push_edit(edit.pk) == "applied"
    assert len(sandbox.journal("PATCH")) == 1 and remote()["name"] == "After"


@pytest.mark.parametrize("method", ["GET", "PATCH"])
def test_killed_while_a_request_is_under_way(
    sandbox: SandboxProcess, queue: Queue, remote: Remote, expire_claim: Do, method: str
) -> None:
    """Killed at the GET nothing was sent; killed at the PATCH it was made and not mirrored."""
    edit = queue(name="After")
    sandbox.fault(f"timeout:method={method},count=1,seconds=15")
    worker = subprocess.Popen(
        [sys.executable, "manage.py", "push_edits", "--json"],
        cwd=ROOT,
        env={**os.environ, "DATABASE_URL": database_url()},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until(lambda: Edit.objects.get(pk=edit.pk).state == "sending")
        if method == "PATCH":
            wait_until(lambda: remote()["name"] == "After")
        else:
            time.sleep(0.3)
    finally:
        worker.send_signal(signal.SIGKILL)
        worker.wait(10)
    sandbox.fault("")
    expire_claim(edit)
    assert push_edit(edit.pk) == "applied"
    assert remote()["name"] == "After"
    assert len(sandbox.journal("PATCH")) <= 1


def test_broker_down_when_the_form_is_saved(
    monkeypatch: pytest.MonkeyPatch, session: Session, editor_client: Client, remote: Remote
) -> None:
    monkeypatch.setattr(tasks.push_edit.app.conf, "broker_url", "redis://127.0.0.1:9/0")
    page = f"/admin/sessions_app/session/{session.pk}"
    form = editor_client.get(f"{page}/edit/").context["form"].initial
    started = time.monotonic()
    answer = editor_client.post(f"{page}/edit/", {**form, "expiration_seconds": "", "name": "After"})
    assert answer.status_code == 302 and time.monotonic() - started < 5
    assert push_due() == 1
    assert remote()["name"] == "After"


def test_what_an_emptied_broker_forgot_is_found_by_the_sweep(queue: Queue) -> None:
    edit = queue(name="After")
    assert due_edits() == [edit.pk], "the row is the queue"
    assert "sweep" in django_settings.CELERY_BEAT_SCHEDULE


@pytest.mark.parametrize("mode", ["off", "paused"])
def test_write_mode_turned_while_edits_are_queued(
    sandbox: SandboxProcess, organization: Organization, queue: Queue, remote: Remote, mode: str,
    after_first_get: Callable[..., None],
) -> None:  # fmt: skip
    """Also between our GET and our PATCH: the mode is read before every write."""
    edit = queue(name="After")
    after_first_get(lambda: Organization.objects.update(write_mode=mode))
    assert push_edit(edit.pk) == "queued"
    assert push_due() == 0 and sandbox.journal("PATCH") == []
    Organization.objects.update(write_mode="on")
    push_due()
    assert remote()["name"] == "After"
