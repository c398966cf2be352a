"""One session's life as sync, webhook, edit and refetch bring it: each state is told and found again."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from sessions_app.edits.push import push_edit
from sessions_app.mirror import events
from sessions_app.mirror.refetch import refetch_session
from sessions_app.mirror.sync import sync_organization
from sessions_app.models import Edit, Organization, WebhookSecret
from tests.sandbox_process import Json, SandboxProcess

pytestmark = pytest.mark.django_db(transaction=True)
TOLD = ("name", "status", "expirationSeconds", "messages", "updatedAt")


@pytest.fixture
def session_id(sandbox: SandboxProcess, organization: Organization) -> str:
    found: str = sandbox.truth()[0]["id"]
    sync_organization(organization)
    return found


def truth(sandbox: SandboxProcess, session_id: str) -> Json:
    row = next(row for row in sandbox.truth() if row["id"] == session_id)
    return {name: row.get(name) for name in TOLD}


def test_each_state_is_told_with_who_and_found_again(
    sandbox: SandboxProcess, organization: Organization, session_id: str, admin_client: Client, admin: User
) -> None:
    address = f"/api/v1/sessions/{session_id}/"

    def by_sync() -> None:
        sandbox.change("sessions", session_id, {"name": "By sync", "expirationSeconds": 600})
        sync_organization(organization)

    def by_webhook() -> None:
        row = sandbox.change("sessions", session_id, {"name": "By webhook"})
        WebhookSecret.objects.create(organization=organization, kind="header", secret="a-secret")
        body = json.dumps({"message": {"type": "session.updated", "session": row}})
        answer = Client().post(
            "/webhooks/vapi/sandbox/", body, content_type="application/json",
            headers={"X-Vapi-Secret": "a-secret"},
        )  # fmt: skip
        assert answer.status_code == 200
        assert events.process_due() == 1

    def by_edit() -> None:
        tag = admin_client.get(address)["ETag"]
        answer = admin_client.patch(
            address, {"name": "By edit"}, content_type="application/json", headers={"If-Match": tag}
        )
        assert answer.status_code == 202
        push_edit(Edit.objects.get().pk)

    def by_refetch() -> None:
        said = truth(sandbox, session_id)["messages"]
        sandbox.change("sessions", session_id, {"messages": [*said, {"role": "user", "content": "More"}]})
        refetch_session(organization, session_id)

    states = [truth(sandbox, session_id)]
    steps: list[Callable[[], None]] = [by_sync, by_webhook, by_edit, by_refetch]
    for step in steps:
        step()
        states.append(truth(sandbox, session_id))

    changes: list[dict[str, Any]] = admin_client.get(f"{address}history/").json()["results"]
    assert [change["source"] for change in changes] == ["refetch", "edit", "webhook", "sync"]
    assert [change["author"] for change in changes] == ["", admin.username, "", ""]
    assert [change["edit"] for change in changes] == [None, Edit.objects.get().pk, None, None]
    assert [sorted(change["fields"]) for change in changes] == [
        ["messages", "updatedAt"],
        ["name", "updatedAt"],
        ["name", "updatedAt"],
        ["expirationSeconds", "name", "updatedAt"],
    ]
    assert changes[0]["fields"]["messages"]["new"] == [{"role": "user", "content": "More"}]
    for state in states:
        past = admin_client.get(address, {"as_of": state["updatedAt"]}).json()
        assert {name: past["payload"].get(name) for name in TOLD} == state
        assert not past["as_of"]["is_cut"]
