"""Deliveries, by what reached a receiver, a mail box and the rows: forms, repeats, dead workers, dead receivers."""

from __future__ import annotations

import base64
import hmac
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.contrib.auth.models import User
from django.core import mail
from django.db import connection
from django.utils import timezone
from pytest_django import Settings

from sessions_app import tasks
from sessions_app.management.databases import database_url
from sessions_app.mirror.pruning import prune
from sessions_app.models import BulkEdit, Channel, Delivery, Edit, Notice, Organization
from sessions_app.models.edits import EditState
from sessions_app.notices.causes import make_test, note_bulk, note_edit, note_pause
from sessions_app.notices.delivering import MOST_ATTEMPTS, deliver, due_deliveries, try_again
from tests.edits.conftest import Queue, queue, session, use_broker
from tests.edits.test_tasks import messages
from tests.notices.conftest import Receiver
from tests.sandbox_process import SandboxProcess
from tests.worker_process import WorkerProcess, wait_until

__all__ = ["messages", "queue", "session", "use_broker"]

pytestmark = pytest.mark.django_db(transaction=True)

Make = Callable[..., Channel]
Work = Callable[[], list[str]]
ROOT = Path(__file__).parents[2]
PRIVATE = "Private words of a customer"


@pytest.fixture
def reject(organization: Organization, editor: User) -> Callable[[], Edit]:
    """reject(): an edit of the editor's was rejected, and it is noted."""

    def make() -> Edit:
        edit = Edit.objects.create(
            organization=organization,
            session_id="session-1",
            state=EditState.REJECTED,
            base={"name": PRIVATE},
            fields={"name": PRIVATE, "status": "completed"},
            reason=PRIVATE,
            error=PRIVATE,
            author=editor,
            attempts=1,
        )
        note_edit(edit, EditState.REJECTED, 400)
        return edit

    return make


# What arrives ----------------------------------------------------------------------------------------


def test_a_signed_webhook(
    receiver: Receiver, make_channel: Make, reject: Callable[[], Edit], deliver_all: Work
) -> None:
    channel = make_channel("webhook")
    edit = reject()

    assert deliver_all() == ["sent"]

    [request], [body] = receiver.requests, receiver.bodies
    notice = Notice.objects.get()
    assert body == {
        "type": "edit.rejected",
        "timestamp": notice.created_at.isoformat(),
        "data": {
            "notice": notice.pk,
            "title": f"Edit {edit.pk} was rejected (400)",
            "url": f"http://127.0.0.1:8000/admin/sessions_app/edit/{edit.pk}/change/",
            "organization": "sandbox",
            "edit": edit.pk,
            "bulk": None,
            "session_id": "session-1",
            "kind": "update",
            "fields": ["name", "status"],
            "author": "editor",
            "attempts": 1,
            "status": 400,
        },
    }
    moment, message_id = request.headers["webhook-timestamp"], request.headers["webhook-id"]
    assert abs(int(moment) - time.time()) < 60
    key = base64.b64decode(channel.secret.removeprefix("whsec_"))
    expected = hmac.digest(key, f"{message_id}.{moment}.".encode() + request.get_data(), "sha256")
    assert request.headers["webhook-signature"] == f"v1,{base64.b64encode(expected).decode()}"
    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.http_status, delivery.attempts) == ("sent", 200, 1)
    assert delivery.sent_at is not None


def test_slack(receiver: Receiver, make_channel: Make, reject: Callable[[], Edit], deliver_all: Work) -> None:
    Organization.objects.update(name="<!channel> & sons")
    make_channel("slack")
    edit = reject()
    deliver_all()
    [body] = receiver.bodies
    assert body.keys() == {"text"}
    assert body["text"].startswith(
        f"*Edit {edit.pk} was rejected (400)*\nOrganization: &lt;!channel&gt; &amp; sons\n"
    )
    assert body["text"].endswith(f"/admin/sessions_app/edit/{edit.pk}/change/|Open>")


def test_teams(receiver: Receiver, make_channel: Make, reject: Callable[[], Edit], deliver_all: Work) -> None:
    make_channel("teams")
    edit = reject()
    deliver_all()
    [body] = receiver.bodies
    assert body["type"] == "message"
    [attachment] = body["attachments"]
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    card = attachment["content"]
    assert (card["type"], card["version"]) == ("AdaptiveCard", "1.4")
    texts = [block["inlines"][0]["text"] for block in card["body"]]
    assert texts[:3] == [
        f"Edit {edit.pk} was rejected (400)",
        "Organization: Sandbox",
        "Fields: name, status",
    ]
    assert card["actions"][0]["url"].endswith(f"/edit/{edit.pk}/change/")


def test_e_mail(
    make_channel: Make, reject: Callable[[], Edit], deliver_all: Work, settings: Settings
) -> None:
    settings.EMAIL_IS_SET_UP = True
    make_channel("email", address="team@example.com")
    edit = reject()
    assert deliver_all() == ["sent"]
    [message] = mail.outbox
    assert (message.to, message.subject) == (
        ["team@example.com"],
        f"[vapiadmin] Edit {edit.pk} was rejected (400)",
    )
    assert "Fields: name, status\nSession: session-1\nMade by: editor" in message.body
    assert f"http://127.0.0.1:8000/admin/sessions_app/edit/{edit.pk}/change/" in message.body
    assert Delivery.objects.get().message_id.hex in message.extra_headers["Message-ID"]


def test_without_a_mail_server_nothing_is_sent(
    make_channel: Make, reject: Callable[[], Edit], deliver_all: Work
) -> None:
    make_channel("email")
    reject()
    assert deliver_all() == ["failed"]
    assert mail.outbox == []
    assert "EMAIL_URL" in Delivery.objects.get().error


def test_every_cause_has_words_and_none_of_a_customer(
    receiver: Receiver, make_channel: Make, organization: Organization, reject: Callable[[], Edit], deliver_all: Work,
    ops: User, settings: Settings, caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    caplog.set_level(logging.DEBUG)
    settings.EMAIL_IS_SET_UP = True
    for kind in ("webhook", "slack", "teams", "email"):
        make_channel(kind)
    edit = reject()
    for state in (EditState.CONFLICT, EditState.FAILED):
        note_edit(edit, state, 503)
    bulk = BulkEdit.objects.create(
        organization=organization, fields={"name": PRIVATE}, reason=PRIVATE, author=ops
    )
    note_bulk(bulk, {"failed": 150, "applied": 4850}, 7)
    Organization.objects.update(paused_reason=PRIVATE)
    note_pause(organization, 401)
    deliver_all()

    assert len(receiver.requests) == 15 and len(mail.outbox) == 5
    texts = [request.get_data().decode() for request in receiver.requests]
    texts += [f"{message.subject}\n{message.body}" for message in mail.outbox]
    for text in texts:
        assert PRIVATE not in text
    assert sum(f"Bulk edit {bulk.pk} ended: 4,850 applied, 150 failed" in text for text in texts) == 4
    assert sum("Sandbox is paused (401)" in text for text in texts) == 4
    # Nor is where it went: with Slack and Teams the address is the secret.
    logged = [str(record.__dict__) for record in caplog.records if record.name != "werkzeug"]
    assert logged
    for line in logged:
        assert "very-secret" not in line and "team@example.com" not in line
    assert not Delivery.objects.filter(error__contains="very-secret").exists()


# Again -----------------------------------------------------------------------------------------------


def test_what_fails_is_tried_again_under_the_same_id(
    receiver: Receiver, make_channel: Make, reject: Callable[[], Edit], deliver_all: Work,
    let_time_pass: Callable[[], None],
) -> None:  # fmt: skip
    make_channel()
    reject()
    receiver.status = 503
    assert deliver_all() == ["failed"]
    delivery = Delivery.objects.get()
    assert (delivery.http_status, delivery.error) == (503, "Answered 503.")
    assert due_deliveries() == [], "it waits"

    receiver.status = 204
    let_time_pass()
    assert deliver_all() == ["sent"]

    first, second = receiver.requests
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    delivery.refresh_from_db()
    assert (delivery.attempts, delivery.error, delivery.channel.rests_until) == (2, "", None)


def test_it_is_given_up_and_sent_again_when_asked(
    receiver: Receiver, make_channel: Make, reject: Callable[[], Edit], deliver_all: Work,
    let_time_pass: Callable[[], None],
) -> None:  # fmt: skip
    make_channel()
    reject()
    receiver.status = 500
    for _ in range(MOST_ATTEMPTS):
        let_time_pass()
        deliver_all()
    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.attempts) == ("gave_up", MOST_ATTEMPTS)
    assert delivery.error == f"Answered 500. Given up after {MOST_ATTEMPTS} attempts."
    assert len(receiver.requests) == MOST_ATTEMPTS
    let_time_pass()
    assert due_deliveries() == []

    receiver.status = 200
    assert try_again(delivery) and not try_again(delivery)
    assert deliver_all() == ["sent"]


def test_what_breaks_before_it_is_sent_is_a_failed_attempt_too(
    receiver: Receiver, make_channel: Make, reject: Callable[[], Edit], deliver_all: Work,
    let_time_pass: Callable[[], None], settings: Settings, caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    make_channel("slack")
    reject()
    keys, settings.FIELD_ENCRYPTION_KEYS = settings.FIELD_ENCRYPTION_KEYS, [Fernet.generate_key().decode()]

    assert deliver_all() == ["failed"]
    delivery = Delivery.objects.defer("channel").get()
    assert delivery.error == "Could not be tried (ValueError)." and delivery.next_attempt_at
    [told] = [record for record in caplog.records if record.levelname == "ERROR"]
    assert told.__dict__["kind"] == "ValueError" and told.exc_info is None

    settings.FIELD_ENCRYPTION_KEYS = keys
    let_time_pass()
    assert deliver_all() == ["sent"]


def test_a_receiver_asks_for_patience(
    receiver: Receiver, make_channel: Make, reject: Callable[[], Edit], deliver_all: Work
) -> None:
    make_channel("slack")
    reject()
    receiver.status, receiver.headers = 429, {"Retry-After": "900"}
    deliver_all()
    wait = Delivery.objects.get().next_attempt_at - timezone.now()  # type: ignore[operator]  # it waits
    assert timedelta(minutes=14) < wait <= timedelta(minutes=15)


def test_a_receiver_that_is_gone_for_good(
    receiver: Receiver, make_channel: Make, reject: Callable[[], Edit], deliver_all: Work
) -> None:
    make_channel()
    reject()
    receiver.status = 410
    assert deliver_all() == ["gave_up"]


def test_a_redirect_is_not_followed(
    receiver: Receiver, make_channel: Make, reject: Callable[[], Edit], deliver_all: Work
) -> None:
    make_channel()
    reject()
    receiver.status, receiver.headers = 302, {"Location": receiver.url}
    assert deliver_all() == ["failed"]
    assert len(receiver.requests) == 1
    assert "redirects are not followed" in Delivery.objects.get().error


def test_a_dead_receiver_is_asked_once_for_all_that_waits(
    receiver: Receiver, make_channel: Make, reject: Callable[[], Edit], deliver_all: Work,
    let_time_pass: Callable[[], None],
) -> None:  # fmt: skip
    make_channel(name="dead")
    make_channel("slack", name="living", address=receiver.url)
    for _ in range(5):
        reject()
    dead = Channel.objects.get(name="dead")
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        Channel.objects.filter(pk=dead.pk).update(address=f"http://127.0.0.1:{nobody.getsockname()[1]}/")
        assert sorted(deliver_all()) == ["failed", *["sent"] * 5]
    assert Delivery.objects.filter(channel=dead, attempts=0).count() == 4
    assert Delivery.objects.get(channel=dead, attempts=1).error == "Could not be reached."

    Channel.objects.filter(pk=dead.pk).update(address=receiver.url)
    let_time_pass()
    assert deliver_all() == ["sent"] * 5


def test_one_refused_notice_does_not_hold_back_the_next(
    receiver: Receiver, make_channel: Make, reject: Callable[[], Edit]
) -> None:
    make_channel()
    reject(), reject()
    receiver.status = 400
    first, second = Delivery.objects.order_by("pk")
    assert deliver(first.pk) is not None
    assert due_deliveries() == [second.pk]


@pytest.mark.parametrize(
    ("change", "words"),
    [({"is_enabled": False}, "switched off"), ({"removed_at": timezone.now()}, "removed")],
)
def test_a_channel_that_changed_meanwhile(
    receiver: Receiver, make_channel: Make, reject: Callable[[], Edit], deliver_all: Work, change: dict[str, Any],
    words: str,
) -> None:  # fmt: skip
    make_channel()
    reject()
    Channel.objects.update(**change)
    assert deliver_all() == ["gave_up"]
    assert words in Delivery.objects.get().error
    assert receiver.requests == []


def test_whoever_lost_the_permission_is_told_nothing_more(
    receiver: Receiver, make_channel: Make, reject: Callable[[], Edit], deliver_all: Work, editor: User
) -> None:
    make_channel(owner=editor)
    reject()
    editor.groups.clear()
    assert deliver_all() == ["gave_up"]
    assert receiver.requests == []


# Workers ---------------------------------------------------------------------------------------------


def test_two_workers_send_once(receiver: Receiver, make_channel: Make, reject: Callable[[], Edit]) -> None:
    make_channel()
    reject()
    [due] = due_deliveries()
    start = threading.Barrier(3)

    def work() -> None:
        start.wait(10)
        deliver(due)
        connection.close()

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(receiver.requests) == 1


@pytest.mark.parametrize("arrives", [False, True])
def test_a_worker_killed_between_claim_and_outcome(
    receiver: Receiver, make_channel: Make, reject: Callable[[], Edit], deliver_all: Work, arrives: bool,
    let_time_pass: Callable[[], None],
) -> None:  # fmt: skip
    """Before it is sent, or after: it arrives, at most twice, and under one id."""
    channel = make_channel()
    reject()
    [due] = due_deliveries()
    # A receiver that takes the connection and keeps the worker waiting.
    with socket.create_server(("127.0.0.1", 0)) as slow:
        Channel.objects.update(address=f"http://127.0.0.1:{slow.getsockname()[1]}/hook")
        script = (
            "import django; django.setup(); from sessions_app.notices.delivering import deliver; deliver({})"
        )
        worker = subprocess.Popen(
            [sys.executable, "-c", script.format(due)],
            cwd=ROOT,
            env={
                **os.environ,
                "DATABASE_URL": database_url(),
                "DJANGO_SETTINGS_MODULE": "vapiadmin.settings",
            },
        )
        peer, _ = slow.accept()
        peer.settimeout(20)
        came = peer.recv(65536).decode() if arrives else ""
        worker.send_signal(signal.SIGKILL)
        worker.wait(10)
        peer.close()
    delivery = Delivery.objects.get()
    assert delivery.state == "queued" and delivery.claimed_until is not None
    assert due_deliveries() == [], "it is the dead worker's until its claim runs out"

    Channel.objects.filter(pk=channel.pk).update(address=receiver.url)
    let_time_pass()
    assert deliver_all() == ["sent"]
    [request] = receiver.requests
    assert not arrives or f"webhook-id: {request.headers['webhook-id']}" in came


def test_a_worker_that_wakes_up_late_changes_nothing(
    receiver: Receiver, make_channel: Make, reject: Callable[[], Edit]
) -> None:
    make_channel()
    reject()
    [due] = due_deliveries()
    receiver.status = 503

    def meanwhile(request: Any) -> Any:
        Delivery.objects.update(state="failed", error="as the other left it", claim_number=99)
        connection.close()  # of the receiver's thread
        return receiver_answer(request)

    receiver_answer = receiver._answer
    receiver.server.clear()
    receiver.server.expect_request("/hook/very-secret").respond_with_handler(meanwhile)
    deliver(due)
    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.error, delivery.http_status) == ("failed", "as the other left it", None)


def test_a_worker_delivers_on_a_sweep(
    receiver: Receiver,
    make_channel: Make,
    reject: Callable[[], Edit],
    start_worker: Callable[[], WorkerProcess],
) -> None:
    make_channel()
    for _ in range(3):
        reject()
    start_worker().send("sweep")
    wait_until(lambda: Delivery.objects.filter(state="sent").count() == 3)
    assert [body["data"]["edit"] for body in receiver.bodies] == sorted(
        body["data"]["edit"] for body in receiver.bodies
    )


def test_what_vapi_refuses_is_told_at_once_and_one_after_another(
    sandbox: SandboxProcess,
    queue: Queue,
    messages: Callable[[], list[Any]],
    make_channel: Make,
    receiver: Receiver,
) -> None:
    make_channel()
    sandbox.fault("400:method=PATCH")
    first, second = queue(name="After"), queue(status="completed")
    tasks.push_edit(first.pk)
    [told] = Delivery.objects.all()
    assert messages() == [("deliver_notice", [told.pk]), ("push_edit", [second.pk])]

    tasks.push_edit(second.pk)
    messages()
    tasks.deliver_notice(told.pk)
    [other] = Delivery.objects.exclude(pk=told.pk)
    assert messages() == [("deliver_notice", [other.pk])]
    tasks.deliver_notice(told.pk)
    assert [body["data"]["edit"] for body in receiver.bodies] == [first.pk]


def test_a_task_for_a_delivery_that_is_no_more() -> None:
    tasks.deliver_notice(4711)


# Age -------------------------------------------------------------------------------------------------


def test_old_notices_go_with_their_deliveries(make_channel: Make, reject: Callable[[], Edit]) -> None:
    make_channel()
    old, young = reject(), reject()
    Organization.objects.update(notice_retention_days=10)
    Notice.objects.filter(edit=old).update(created_at=timezone.now() - timedelta(days=11))
    assert prune().notices == 1
    assert Delivery.objects.get().notice.edit == young


def test_a_test_is_tried_once(receiver: Receiver, make_channel: Make) -> None:
    channel = make_channel("slack", name="Room", topics=[])
    receiver.status = 404
    delivery = deliver(make_test(channel).pk)
    assert delivery is not None
    assert (delivery.state, delivery.error) == ("gave_up", "Answered 404.")
    assert "Test of the channel Room" in receiver.bodies[0]["text"]
