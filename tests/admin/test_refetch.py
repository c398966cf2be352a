"""Asking Vapi from the browser: a session again, and one that is not mirrored yet."""

from __future__ import annotations

import pytest
from django.test import Client

from sessions_app.mirror.forgetting import forget_rows
from sessions_app.mirror.refetch import refetch_session
from sessions_app.mirror.tables import SESSIONS
from sessions_app.models import Organization, Session
from sessions_app.models.forgetting import ForgottenReason
from tests.sandbox_process import SandboxProcess

pytestmark = pytest.mark.django_db(transaction=True)
URL = "/admin/sessions_app/session/"


def test_fetching_again_brings_what_changed(
    editor_client: Client, organization: Organization, sandbox: SandboxProcess
) -> None:
    session_id = sandbox.truth()[0]["id"]
    refetch_session(organization, session_id)
    sandbox.change("sessions", session_id, {"name": "Changed at Vapi"})
    page = editor_client.post(f"{URL}{session_id}/refetch/", follow=True).content.decode()
    assert "Fetched from Vapi just now." in page
    assert "Changed at Vapi" in page


def test_what_vapi_no_longer_has_is_said_and_kept(
    editor_client: Client, organization: Organization, sandbox: SandboxProcess
) -> None:
    session_id = sandbox.truth()[0]["id"]
    refetch_session(organization, session_id)
    sandbox.change("sessions", session_id, delete=True)
    page = editor_client.post(f"{URL}{session_id}/refetch/", follow=True).content.decode()
    assert "does not have this session any more" in page
    assert Session.objects.get(pk=session_id).missing_since


def test_a_vapi_that_cannot_be_asked_proves_nothing(
    editor_client: Client, organization: Organization, sandbox: SandboxProcess
) -> None:
    session_id = sandbox.truth()[0]["id"]
    refetch_session(organization, session_id)
    Organization.objects.update(base_url="http://127.0.0.1:9")
    page = editor_client.post(f"{URL}{session_id}/refetch/", follow=True).content.decode()
    assert "Vapi could not be reached" in page
    assert Session.objects.get(pk=session_id).missing_since is None


def test_opening_an_id_that_is_not_mirrored_asks_vapi_by_a_post(
    editor_client: Client, organization: Organization, sandbox: SandboxProcess
) -> None:
    session_id = sandbox.truth()[3]["id"]
    page = editor_client.get(f"{URL}{session_id}/change/").content.decode()
    assert not Session.objects.exists(), "a GET changes nothing"
    assert f'hx-post="{URL}{session_id}/adopt/"' in page
    assert 'hx-trigger="load' in page

    answer = editor_client.post(f"{URL}{session_id}/adopt/", headers={"HX-Request": "true"})

    assert answer["HX-Redirect"] == f"{URL}{session_id}/change/"
    assert Session.objects.get().pk == session_id


def test_an_id_that_nobody_knows(
    editor_client: Client, organization: Organization, sandbox: SandboxProcess
) -> None:
    page = editor_client.post(f"{URL}no-such-session/adopt/", headers={"HX-Request": "true"}).content.decode()
    assert "No such session" in page


@pytest.mark.parametrize("reason", ForgottenReason)
def test_an_id_that_was_let_go_here_is_not_asked_for(
    editor_client: Client, organization: Organization, sandbox: SandboxProcess, reason: ForgottenReason
) -> None:
    session_id = sandbox.truth()[0]["id"]
    refetch_session(organization, session_id)
    forget_rows(organization, SESSIONS, [session_id], reason)
    asked = len(sandbox.journal())

    page = editor_client.post(f"{URL}{session_id}/adopt/", headers={"HX-Request": "true"}).content.decode()

    assert "No such session" in page
    assert "it was let go here" in page
    assert len(sandbox.journal()) == asked
    assert not Session.objects.exists()


def test_an_id_is_not_said_to_be_unknown_when_vapi_is_away(
    editor_client: Client, organization: Organization
) -> None:
    page = editor_client.post(f"{URL}some-id/adopt/", headers={"HX-Request": "true"}).content.decode()
    assert "Vapi could not be asked" in page
    assert "is not known" in page


def test_who_may_not_ask_is_told(viewer_client: Client, organization: Organization) -> None:
    answer = viewer_client.get(f"{URL}some-id/change/")
    assert answer.status_code == 404
    assert "you may not ask Vapi" in answer.content.decode()
