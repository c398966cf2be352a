"""What people and programs do to sessions: complete, extend, delete, correct a message, create; stale pages; pause."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client

from sessions_app.edits.push import push_due, push_edit
from sessions_app.mirror.refetch import refetch_session
from sessions_app.models import Edit, Organization, Session, WriteModeChange
from sessions_app.models.access import Scope
from sessions_app.tokens import make_token
from tests.sandbox_process import SandboxProcess

pytestmark = pytest.mark.django_db(transaction=True)

Queue = Callable[..., Edit]
Remote = Callable[[], Any]
SAID = [{"role": "user", "content": "I am Ada."}, {"role": "assistant", "content": "Hello Ada."}]


@pytest.fixture
def page(session: Session) -> str:
    return f"/admin/sessions_app/session/{session.pk}"


@pytest.fixture
def talk(sandbox: SandboxProcess, organization: Organization, session: Session) -> Session:
    sandbox.change("sessions", session.pk, {"messages": SAID})
    found = refetch_session(organization, session.pk)
    assert found is not None
    return found


def program(*scopes: str) -> Client:
    _, text = make_token("test", list(scopes))
    return Client(headers={"Authorization": f"Bearer {text}"})


def actions(client: Client, page: str) -> dict[str, Any]:
    return dict(client.get(f"{page}/change/").context["actions"])


def test_complete_and_extend(editor_client: Client, page: str, remote: Remote) -> None:
    editor_client.post(f"{page}/complete/", actions(editor_client, page))
    editor_client.post(f"{page}/extend/", {**actions(editor_client, page), "extend": "3600"})
    push_due()
    assert (remote()["status"], remote()["expirationSeconds"]) == ("completed", 90_000)
    assert Edit.objects.filter(state="applied", author__username="editor").count() == 2


def test_extending_beyond_what_vapi_takes_says_so(editor_client: Client, page: str, queue: Queue) -> None:
    queue(expirationSeconds=2_500_000)
    push_due()
    for stored in (2_592_000, 2_592_000):
        answer = editor_client.post(
            f"{page}/extend/", {**actions(editor_client, page), "extend": "604800"}, follow=True
        )
        push_due()
        assert "which is the most that Vapi takes" in answer.content.decode()
        assert Session.objects.get().expiration_seconds == stored


def test_extending_on_a_stale_page_sends_nothing(editor_client: Client, page: str, queue: Queue) -> None:
    stale = actions(editor_client, page)
    queue(expirationSeconds=600)
    editor_client.post(f"{page}/extend/", {**stale, "extend": "3600"})
    assert Edit.objects.count() == 1


def test_an_impatient_click_is_one_edit(editor_client: Client, page: str) -> None:
    sent = actions(editor_client, page)
    for _ in range(3):
        editor_client.post(f"{page}/complete/", sent)
    assert Edit.objects.count() == 1


def test_deleting_asks_for_the_name(admin_client: Client, page: str, session: Session) -> None:
    form = admin_client.get(f"{page}/delete-at-vapi/").context["form"].initial
    refused = admin_client.post(f"{page}/delete-at-vapi/", {**form, "typed": "no"})
    assert refused.status_code == 200 and not Edit.objects.exists()
    assert admin_client.post(f"{page}/delete-at-vapi/", {**form, "typed": "Before"}).status_code == 302
    push_due()
    session.refresh_from_db()
    assert session.missing_reason == "deleted"


def test_deleting_on_a_stale_page_sends_nothing(admin_client: Client, page: str, queue: Queue) -> None:
    form = admin_client.get(f"{page}/delete-at-vapi/").context["form"].initial
    queue(status="completed")
    answer = admin_client.post(f"{page}/delete-at-vapi/", {**form, "typed": "Before"})
    assert "has changed since" in answer.text and Edit.objects.count() == 1


@pytest.mark.parametrize("path", ["complete/", "extend/", "delete-at-vapi/", "messages/0/"])
def test_rights(path: str, page: str, viewer_client: Client) -> None:
    assert viewer_client.post(f"{page}/{path}").status_code == 403


def test_support_may_neither_delete_nor_rewrite(page: str, editor_client: Client) -> None:
    for path in ("delete-at-vapi/", "messages/0/"):
        assert editor_client.get(f"{page}/{path}").status_code == 403
    shown = editor_client.get(f"{page}/change/").text
    assert "delete-at-vapi" not in shown and "/messages/" not in shown


def test_a_message_is_corrected_by_form(ops_client: Client, page: str, talk: Session, remote: Remote) -> None:
    assert f"{page}/messages/1/" in ops_client.get(f"{page}/change/").text
    form = ops_client.get(f"{page}/messages/1/").context["form"].initial
    assert form["text"] == "Hello Ada."
    refused = ops_client.post(f"{page}/messages/1/", {**form, "text": "[redacted]"})
    assert "mark of something redacted" in refused.text
    assert ops_client.post(f"{page}/messages/1/", {**form, "text": "Hello Grace."}).status_code == 302
    push_due()
    assert [message["content"] for message in remote()["messages"]] == ["I am Ada.", "Hello Grace."]


def test_a_message_that_changed_meanwhile_is_shown(
    sandbox: SandboxProcess,
    organization: Organization,
    ops_client: Client,
    page: str,
    talk: Session,
    remote: Remote,
) -> None:
    form = ops_client.get(f"{page}/messages/1/").context["form"].initial
    sandbox.change("sessions", talk.pk, {"messages": [SAID[0], {"role": "assistant", "content": "Theirs."}]})
    refetch_session(organization, talk.pk)
    answer = ops_client.post(f"{page}/messages/1/", {**form, "text": "Mine."})
    assert "Theirs." in answer.text and not Edit.objects.exists()
    again = {name: answer.context["form"][name].value() for name in form}
    ops_client.post(f"{page}/messages/1/", again)
    push_due()
    assert remote()["messages"][1]["content"] == "Mine."


def test_a_form_gone_back_to_sends_its_new_words_once_they_are_saved_again(
    ops_client: Client, page: str, talk: Session, remote: Remote
) -> None:
    form = ops_client.get(f"{page}/messages/1/").context["form"].initial
    ops_client.post(f"{page}/messages/1/", {**form, "text": "Hello Grase."})
    assert ops_client.post(f"{page}/messages/1/", {**form, "text": "Hello Grase."}).status_code == 302

    answer = ops_client.post(f"{page}/messages/1/", {**form, "text": "Hello Grace."})

    assert "saved before" in answer.text and Edit.objects.count() == 1
    again = {name: answer.context["form"][name].value() for name in form}
    assert ops_client.post(f"{page}/messages/1/", again).status_code == 302
    push_due()
    assert remote()["messages"][1]["content"] == "Hello Grace."
    states = Edit.objects.order_by("pk").values_list("state", flat=True)
    assert list(states) == ["superseded", "applied"]


def test_a_key_belongs_to_one_message(ops_client: Client, page: str, talk: Session) -> None:
    first, second = (ops_client.get(f"{page}/messages/{place}/").context["form"].initial for place in (0, 1))
    ops_client.post(f"{page}/messages/0/", {**first, "do": "redact"})
    key = {"submission_key": first["submission_key"]}
    answer = ops_client.post(f"{page}/messages/1/", {**second, **key, "do": "redact"})
    assert "saved before" in answer.text and Edit.objects.count() == 1


def test_a_conflict_over_a_message_is_settled_by_page(
    sandbox: SandboxProcess, ops_client: Client, page: str, talk: Session, remote: Remote
) -> None:
    form = ops_client.get(f"{page}/messages/1/").context["form"].initial
    ops_client.post(f"{page}/messages/1/", {**form, "text": "Hello Grace."})
    sandbox.change(
        "sessions", talk.pk, {"messages": [SAID[0], {"role": "assistant", "content": "Hello Joan."}]}
    )
    push_due()
    edit = Edit.objects.get()
    shown = ops_client.get(f"/admin/sessions_app/edit/{edit.pk}/change/").text
    assert edit.state == "conflict" and "Joan." in shown and "Grace." in shown and "<ins>" in shown
    ops_client.post(
        f"/admin/sessions_app/edit/{edit.pk}/resolve/",
        {"field-messages": "value", "value-messages": "Hello you."},
    )
    push_due()
    assert remote()["messages"][1]["content"] == "Hello you."


def test_a_conflict_is_settled_with_a_new_value(
    sandbox: SandboxProcess, session: Session, editor_client: Client, queue: Queue, remote: Remote
) -> None:
    edit = queue(name="Mine", expirationSeconds=600)
    sandbox.change("sessions", session.pk, {"name": "Theirs", "expirationSeconds": 700})
    push_edit(edit.pk)
    editor_client.post(
        f"/admin/sessions_app/edit/{edit.pk}/resolve/",
        {"field-name": "theirs", "field-expirationSeconds": "value", "value-expirationSeconds": "800"},
    )
    push_due()
    assert (remote()["name"], remote()["expirationSeconds"]) == ("Theirs", 800)


def test_a_stale_page_shows_the_difference(
    editor_client: Client, viewer: User, page: str, queue: Queue, session: Session
) -> None:
    form = editor_client.get(f"{page}/edit/").context["form"].initial
    sent = {**form, "expiration_seconds": "", "name": "Mine", "status": "active"}
    queue(name="Theirs", status="completed", author=viewer)

    answer = editor_client.post(f"{page}/edit/", sent)

    assert "was changed while the page was open" in answer.text and "Theirs" in answer.text
    assert Edit.objects.count() == 1
    again = {name: answer.context["form"][name].value() or "" for name in answer.context["form"].fields}
    assert again["name"] == "Mine" and again["status"] == "completed", "what was not touched follows"
    assert editor_client.post(f"{page}/edit/", again).status_code == 302
    assert Edit.objects.get(author__username="editor").fields == {"name": "Mine"}


def test_what_moved_elsewhere_does_not_make_a_page_stale(
    editor_client: Client, viewer: User, page: str, queue: Queue
) -> None:
    form = editor_client.get(f"{page}/edit/").context["form"].initial
    queue(status="completed", author=viewer)
    sent = {**form, "expiration_seconds": "", "name": "Mine", "status": "active"}
    assert editor_client.post(f"{page}/edit/", sent).status_code == 302
    assert Edit.objects.latest("pk").fields == {"name": "Mine"}


def test_over_rest_a_session_is_made(sandbox: SandboxProcess, organization: Organization) -> None:
    client = program(Scope.SESSIONS_WRITE, Scope.SESSIONS_READ)
    key = str(uuid4())
    body = {"name": "New", "expiration_seconds": 600, "customer": {"external_id": "c-1"}, "reason": "asked"}
    answers = [
        client.post("/api/v1/sessions/", body, "application/json", headers={"Idempotency-Key": key})
        for _ in range(2)
    ]
    assert [answer.status_code for answer in answers] == [202, 202]
    assert Edit.objects.count() == 1
    push_due()
    edit = client.get(answers[0]["Location"]).json()
    assert (edit["kind"], edit["state"]) == ("create", "applied")
    assert client.get(f"/api/v1/sessions/{edit['session_id']}/").json()["customer_external_id"] == "c-1"
    bad = client.post("/api/v1/sessions/", {"name": "x" * 41, "odd": 1}, "application/json")
    assert bad.status_code == 400


def test_over_rest_messages_and_deletion_ask_for_scopes_of_their_own(
    sandbox: SandboxProcess, talk: Session, remote: Remote
) -> None:
    path = f"/api/v1/sessions/{talk.pk}/"
    body = {"messages": [{"do": "redact", "position": 0}]}
    plain = program(Scope.SESSIONS_READ, Scope.SESSIONS_WRITE)
    assert plain.patch(path, body, "application/json", headers={"If-Match": "*"}).status_code == 403
    assert plain.delete(path, headers={"If-Match": "*"}).status_code == 403

    client = program(*Scope.values)
    assert client.patch(path, body, "application/json").status_code == 428
    etag = client.get(path)["ETag"]
    assert client.patch(path, body, "application/json", headers={"If-Match": etag}).status_code == 202
    assert client.patch(path, body, "application/json", headers={"If-Match": etag}).status_code == 412
    push_due()
    assert remote()["messages"][0]["content"] == "[withheld]"
    assert client.delete(path).status_code == 428
    assert client.delete(path, headers={"If-Match": etag}).status_code == 412
    assert client.delete(path, headers={"If-Match": client.get(path)["ETag"]}).status_code == 202
    push_due()
    talk.refresh_from_db()
    assert talk.missing_reason == "deleted"


@pytest.mark.parametrize(
    "messages", ["x", [1], [{"do": "replace"}], [{"do": "redact", "position": 0, "odd": 1}], []]
)
def test_over_rest_odd_operations_are_refused(talk: Session, messages: object) -> None:
    client = program(*Scope.values)
    answer = client.patch(
        f"/api/v1/sessions/{talk.pk}/", {"messages": messages}, "application/json", headers={"If-Match": "*"}
    )
    assert answer.status_code == 400


def test_one_click_pauses_all(
    organization: Organization, admin_client: Client, editor_client: Client
) -> None:
    other = Organization.objects.create(slug="other", name="Other", is_sandbox=True, write_mode="off")
    path = "/admin/sessions_app/edit/pause-all/"
    assert editor_client.post(path).status_code == 403
    assert admin_client.get(path).status_code == 405
    admin_client.post(path)
    organization.refresh_from_db()
    other.refresh_from_db()
    assert (organization.write_mode, other.write_mode) == ("paused", "off")
    change = WriteModeChange.objects.get()
    assert change.author is not None and change.author.username == "admin"


def test_the_command_pauses_all(organization: Organization) -> None:
    other = Organization.objects.create(slug="other", name="Other", is_sandbox=True, write_mode="off")
    call_command("write_mode", "paused", "--reason", "trouble")
    organization.refresh_from_db()
    other.refresh_from_db()
    assert (organization.write_mode, other.write_mode) == ("paused", "off")


def test_an_organization_may_ask_for_reasons(
    organization: Organization, editor_client: Client, page: str, session: Session
) -> None:
    Organization.objects.update(requires_reason=True)
    form = editor_client.get(f"{page}/edit/").context["form"].initial
    sent = {**form, "expiration_seconds": "", "name": "After"}
    assert "Say why" in editor_client.post(f"{page}/edit/", sent).text
    assert not Edit.objects.exists()
    editor_client.post(f"{page}/edit/", {**sent, "reason": "a typo"})
    assert Edit.objects.get().reason == "a typo"
    editor_client.post(f"{page}/complete/", actions(editor_client, page))
    assert Edit.objects.count() == 1
