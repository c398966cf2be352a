"""The whole way with real conversations as input, where the file is at hand."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from django.test import Client

from sessions_app.edits.push import push_edit
from sessions_app.mirror.sync import sync_organization, sync_stream
from sessions_app.models import Chat, CostLine, Edit, Organization, Session, SessionPayload
from sessions_app.models.edits import EditState
from sessions_app.models.runs import Stream
from tests.mirror.truth import assert_mirror_equals
from tests.sandbox_process import SandboxProcess

_BESIDE = Path(__file__).parent.parent.parent / "shared/conversations/sgd-train-4000.jsonl.gz"
FILE = Path(os.environ.get("TEST_CONVERSATIONS", _BESIDE))
SESSIONS = 4000

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.conversations,
    pytest.mark.skipif(not FILE.is_file(), reason="needs conversations: name a file in TEST_CONVERSATIONS"),
]


@pytest.fixture
def sandbox(start_sandbox: Callable[..., SandboxProcess]) -> SandboxProcess:
    return start_sandbox(sessions=SESSIONS, conversations=FILE)


def test_from_vapi_to_the_browser_and_back(
    sandbox: SandboxProcess, organization: Organization, admin_client: Client
) -> None:
    runs = sync_organization(organization)

    assert {run.state for run in runs} == {"succeeded"}
    assert Session.objects.count() == SESSIONS
    assert Chat.objects.exists()
    assert CostLine.objects.filter(source="session").exists()
    assert CostLine.objects.filter(source="chat").exists()
    assert_mirror_equals(sandbox, organization)

    session_id = _found_by_a_word_that_was_said(admin_client)
    _correct_in_the_browser(admin_client, session_id)
    edit = Edit.objects.get(session_id=session_id)
    assert push_edit(edit.pk) == EditState.APPLIED
    remote = next(row for row in sandbox.truth("sessions") if row["id"] == session_id)
    assert remote["name"] == Session.objects.get(pk=session_id).name == "Set by hand"

    sandbox.change("sessions", session_id, {"name": "Set at Vapi"})
    sync_stream(organization, Stream.SESSIONS)
    assert Session.objects.get(pk=session_id).name == "Set at Vapi"


def _found_by_a_word_that_was_said(browser: Client) -> str:
    """Search for the rarest long word of one conversation; return the session that its list shows."""
    stored = SessionPayload.objects.order_by("session_id")[1234]
    said = " ".join(
        str(message.get("content") or "")
        for message in json.loads(stored.payload_json)["messages"]
        if message["role"] in {"user", "assistant"}
    )
    word = max(re.findall(r"[A-Za-z]{5,}", said), key=len)

    page = browser.get("/admin/sessions_app/session/", {"search": word, "id": stored.session_id})

    assert page.status_code == 200
    assert stored.session_id in page.content.decode()
    return stored.session_id


def _correct_in_the_browser(browser: Client, session_id: str) -> None:
    address = f"/admin/sessions_app/session/{session_id}/edit/"
    form = browser.get(address).context["form"]
    values = {field.html_name: field.value() or "" for field in form}

    answer = browser.post(address, {**values, "name": "Set by hand", "reason": "a test"})

    assert answer.status_code == 302
