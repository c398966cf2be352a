"""Faults that nothing else here tries: long outages, deaths at each point, brokers that are away or emptied."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from sessions_app import tasks
from sessions_app.edits.message_edits import queue_messages
from sessions_app.edits.push import push_due, push_edit
from sessions_app.edits.queue import Making, queue_edit, shown_values
from sessions_app.edits.standing import describe_standing
from sessions_app.edits.turns import WITHHELD
from sessions_app.mirror.refetch import refetch_session
from sessions_app.models import Edit, Organization, Session
from sessions_app.models.access import Scope
from sessions_app.tokens import make_token
from sessions_app.vapi import VapiClient
from tests.edits.test_workers import side_by_side
from tests.sandbox_process import SandboxProcess

pytestmark = pytest.mark.django_db(transaction=True)

Queue = Callable[..., Edit]
Remote = Callable[[], Any]
Do = Callable[[Edit], None]
SAID = [{"role": "user", "content": "I am Ada."}, {"role": "assistant", "content": "Hello."}]


@pytest.fixture
def talk(sandbox: SandboxProcess, organization: Organization, session: Session) -> Session:
    sandbox.change("sessions", session.pk, {"messages": SAID})
    found = refetch_session(organization, session.pk)
    assert found is not None
    return found


def test_5xx_for_ten_minutes(sandbox: SandboxProcess, queue: Queue, remote: Remote, make_due: Do) -> None:
    edit = queue(name="After")
    sandbox.fault("503:method=PATCH")
    waited = timedelta(0)
    while waited < timedelta(minutes=10):
        assert push_edit(edit.pk) == "queued"
        waited += waits_for(edit)
        make_due(edit)
    assert len(sandbox.journal("PATCH")) < 12, "ever longer waits"
    sandbox.fault("")
    assert push_edit(edit.pk) == "applied"
    assert remote()["name"] == "After"


def waits_for(edit: Edit) -> timedelta:
    edit.refresh_from_db()
    assert edit.next_attempt_at is not None
    return edit.next_attempt_at - timezone.now()


def test_a_429_with_an_hour_holds_back_everybody_and_says_until_when(
    sandbox: SandboxProcess, organization: Organization, queue: Queue, make_due: Do
) -> None:
    first = queue(name="After")
    other = refetch_session(organization, sandbox.truth()[1]["id"])
    assert other is not None
    second = queue_edit(session=other, base=shown_values(other), fields={"name": "Also"}, source="admin")
    sandbox.fault("429:method=PATCH,count=1,retry_after=3600")
    assert push_edit(first.pk) == "queued"
    asked = len(sandbox.journal())

    assert push_edit(second.pk) == "queued"

    assert len(sandbox.journal()) == asked, "others of the organization do not ask either"
    for edit in (first, second):
        assert timedelta(minutes=59) < waits_for(edit) <= timedelta(hours=1)
        assert edit.next_attempt_at is not None
        assert f"Next try at {edit.next_attempt_at:%H:%M:%S} UTC" in describe_standing(edit)
    make_due(first)
    assert push_edit(first.pk) == "applied"


def test_a_patch_that_is_carried_out_twice(
    sandbox: SandboxProcess, session: Session, queue: Queue, remote: Remote
) -> None:
    edit = queue(name="After")
    sandbox.fault("twice:method=PATCH,count=1")
    assert push_edit(edit.pk) == "applied"
    session.refresh_from_db()
    assert remote()["name"] == session.name == "After"


def test_messages_that_are_patched_twice(sandbox: SandboxProcess, talk: Session, remote: Remote) -> None:
    edit = queue_messages(talk, [{"do": "remove", "position": 0}], Making("admin"))
    sandbox.fault("twice:method=PATCH,count=1")
    assert push_edit(edit.pk) == "applied"
    assert [turn["content"] for turn in remote()["messages"]] == ["Hello."]


def test_a_400_with_one_message(sandbox: SandboxProcess, queue: Queue, editor_client: Client) -> None:
    edit = queue(name="After")
    sandbox.fault("400:method=PATCH,message=name is not liked today")
    assert push_edit(edit.pk) == "rejected"
    beside, others = refusal_on_page(editor_client, edit)
    assert beside == {"Name": "name is not liked today"} and "not liked" not in others


def test_a_400_with_several_messages(sandbox: SandboxProcess, queue: Queue, editor_client: Client) -> None:
    """What names a field stands beside it, what names another field or none above all."""
    edit = queue(name="After", status="completed")
    Edit.objects.filter(pk=edit.pk).update(
        base={"status": "active", "name": "Before"}, fields={"status": "dormant", "name": "x" * 41, "cost": 5}
    )
    assert push_edit(edit.pk) == "rejected"
    beside, others = refusal_on_page(editor_client, edit)
    assert beside == {
        "Status": "status must be one of the following values: active, completed",
        "Name": "name must be shorter than or equal to 40 characters",
    }
    assert "property cost should not exist" in others


def refusal_on_page(client: Client, edit: Edit) -> tuple[dict[str, str], str]:
    context = client.get(f"/admin/sessions_app/edit/{edit.pk}/change/").context
    shown = {change.label: change.refusal for change in context["changes"] if change.refusal}
    return shown, context["standing"]


def test_gone_between_look_and_patch(
    sandbox: SandboxProcess, session: Session, queue: Queue, after_first_get: Callable[..., None]
) -> None:
    edit = queue(name="After")
    after_first_get(lambda: sandbox.change("sessions", session.pk, delete=True))
    assert push_edit(edit.pk) == "rejected"
    session.refresh_from_db()
    edit.refresh_from_db()
    assert session.missing_reason == "gone" and "gone" in edit.error


@pytest.mark.parametrize(
    ("shown", "there", "name"),
    [
        ({"expirationSeconds": 86_400}, {}, "expirationSeconds"),
        ({"expirationSeconds": 86_400}, {"expirationSeconds": None}, "expirationSeconds"),
        ({"expirationSeconds": None}, {"expirationSeconds": 86_400}, "expirationSeconds"),
        ({"name": ""}, {}, "name"),
        ({"name": None}, {"name": ""}, "name"),
        ({"name": ""}, {"name": None}, "name"),
    ],
)
def test_null_absent_and_default_never_collide(
    sandbox: SandboxProcess,
    session: Session,
    queue: Queue,
    remote: Remote,
    shown: dict[str, object],
    there: dict[str, object],
    name: str,
) -> None:
    value: object = 600 if name == "expirationSeconds" else "After"
    sandbox.change("sessions", session.pk, there, unset=[name] if not there else [])
    edit = queue(base=shown, **{name: value})
    assert push_edit(edit.pk) == "applied"
    assert remote()[name] == value


def test_a_turn_that_comes_between_our_get_and_our_patch_cannot_be_seen(
    sandbox: SandboxProcess, talk: Session, remote: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PATCH takes the whole array: the README says so. One that came before our GET stays."""
    edit = queue_messages(talk, [{"do": "redact", "position": 0}], Making("admin"))
    get = VapiClient.get_session_unredacted

    def get_then_more_is_said(client: VapiClient, session_id: str) -> Any:
        found = get(client, session_id)
        sandbox.change("sessions", talk.pk, {"messages": [*SAID, {"role": "user", "content": "Late."}]})
        return found

    sandbox.change("sessions", talk.pk, {"messages": [*SAID, {"role": "user", "content": "In time."}]})
    monkeypatch.setattr(VapiClient, "get_session_unredacted", get_then_more_is_said)
    assert push_edit(edit.pk) == "applied"
    assert [turn["content"] for turn in remote()["messages"]] == [WITHHELD, "Hello.", "In time."]


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


def test_an_impatient_click_on_the_form_is_one_edit(
    sandbox: SandboxProcess, session: Session, editor: User, sign_in: Callable[[User], Client]
) -> None:
    """Both requests at once, and both are shown the same page after."""
    page = f"/admin/sessions_app/session/{session.pk}"
    first, second = sign_in(editor), sign_in(editor)
    form = {**first.get(f"{page}/edit/").context["form"].initial, "expiration_seconds": "", "name": "After"}
    answers: list[str] = []

    def click(client: Client) -> Callable[[], object]:
        return lambda: answers.append(client.post(f"{page}/edit/", form)["Location"])

    side_by_side(click(first), click(second))

    assert answers == [f"{page}/change/"] * 2
    push_due()
    assert Edit.objects.count() == len(sandbox.journal("PATCH")) == 1


def test_a_request_sent_twice_over_rest_is_one_edit(sandbox: SandboxProcess, session: Session) -> None:
    _, text = make_token("test", [Scope.SESSIONS_READ, Scope.SESSIONS_WRITE])
    path = f"/api/v1/sessions/{session.pk}/"
    client = Client(headers={"Authorization": f"Bearer {text}"})
    headers = {"If-Match": client.get(path)["ETag"], "Idempotency-Key": str(uuid4())}
    numbers: list[int] = []

    def send() -> None:
        numbers.append(
            client.patch(path, {"name": "After"}, "application/json", headers=headers).json()["id"]
        )

    side_by_side(send, send)

    assert len(numbers) == 2 and len(set(numbers)) == 1
    push_due()
    assert Edit.objects.count() == len(sandbox.journal("PATCH")) == 1
