"""No marked secret of the simulated Vapi is on a page or in an answer, and no task can carry one."""

from __future__ import annotations

import inspect

import pytest
from django.test import Client

from sessions_app.mirror.sync import sync_organization
from sessions_app.models import Chat, Organization, Session
from tests.sandbox_process import SandboxProcess
from vapiadmin import celery_app

MARK = "SANDBOX-SECRET"
SESSIONS, CHATS = "/admin/sessions_app/session", "/admin/sessions_app/chat"


@pytest.mark.django_db
def test_no_secret_is_on_a_page_or_in_an_answer(
    sandbox: SandboxProcess, organization: Organization, admin_client: Client
) -> None:
    assert MARK in str(sandbox.truth("sessions"))
    sync_organization(organization)
    addresses = [f"{SESSIONS}/", f"{CHATS}/", "/api/v1/sessions/?limit=1000", "/api/v1/chats/?limit=1000"]
    for pk in Session.objects.values_list("pk", flat=True):
        addresses += [f"{SESSIONS}/{pk}/change/", f"{SESSIONS}/{pk}/payload/", f"/api/v1/sessions/{pk}/"]
    for pk in Chat.objects.values_list("pk", flat=True)[:40]:
        addresses += [f"{CHATS}/{pk}/change/", f"/api/v1/chats/{pk}/"]
    for address in addresses:
        answer = admin_client.get(address)
        assert answer.status_code == 200, address
        assert MARK not in answer.content.decode(), address


def test_tasks_carry_ids_and_names_of_streams_alone() -> None:
    ours = [task for name, task in celery_app.tasks.items() if name.startswith("sessions_app.")]
    assert len(ours) > 5
    for task in ours:
        for name, parameter in inspect.signature(task.run).parameters.items():
            plain = str(parameter.annotation).split(" ")[0] in {"int", "float", "bool"}
            assert plain or name == "stream", f"{task.name}({name})"
