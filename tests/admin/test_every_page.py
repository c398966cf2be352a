"""What holds for every page: banners, sign-in, errors, and nothing that the content policy forbids."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from sessions_app.models import Heartbeat, Organization
from tests.admin.rows import mirror_session, say

PAGES = (
    "/admin/login/",
    "/admin/sessions_app/session/",
    "/admin/sessions_app/session/session-1/change/",
    "/admin/sessions_app/session/session-1/edit/",
    "/admin/sessions_app/chat/",
    "/admin/sessions_app/edit/",
    "/admin/sessions_app/bulkedit/",
    "/admin/sessions_app/costline/",
    "/admin/sessions_app/syncrun/",
    "/admin/sessions_app/organization/",
    "/admin/sessions_app/apitoken/add/",
    "/admin/auth/user/",
    "/admin/auth/group/",
    "/admin/auth/user/add/",
    "/nothing-here/",
)


@pytest.mark.parametrize("address", PAGES)
def test_scripts_and_everything_else_come_from_here(
    admin_client: Client, organization: Organization, address: str
) -> None:
    mirror_session(organization, messages=[say("user", "hello")])
    response = admin_client.get(address, follow=True)
    page = response.content.decode()
    assert not re.findall(r"<script(?![^>]*\bsrc=)(?![^>]*application/json)", page)
    assert "&lt;time" not in page
    assert "{%" not in page
    assert not re.findall(r"\son(click|load|submit|change|error)=", page)
    assert not re.findall(r'(?:src|href|action)="(?:https?:)?//', page)
    assert "script-src 'self' 'unsafe-eval'" in response["Content-Security-Policy"]


def test_a_silent_worker_is_told_on_every_page(editor_client: Client, organization: Organization) -> None:
    address = "/admin/sessions_app/session/"
    assert "No worker and no beat was seen" in editor_client.get(address).content.decode()
    for kind in ("worker", "beat"):
        Heartbeat.objects.create(kind=kind, seen_at=timezone.now())
    assert "was seen for two minutes" not in editor_client.get(address).content.decode()
    Heartbeat.objects.filter(kind="beat").update(seen_at=timezone.now() - timedelta(minutes=3))
    assert "No beat was seen" in editor_client.get(address).content.decode()


def test_too_many_wrong_passwords_lock_out(db: None, admin_client: Client) -> None:
    browser = Client()
    for _ in range(5):
        answer = browser.post("/admin/login/", {"username": "admin", "password": "wrong"})
    assert answer.status_code == 429
    assert "Too many attempts" in answer.content.decode()


def test_signing_in_leads_to_the_sessions(db: None, editor_client: Client) -> None:
    browser = Client()
    answer = browser.post("/admin/login/", {"username": "editor", "password": "editor"}, follow=True)
    assert answer.redirect_chain[-1][0] == "/admin/sessions_app/session/"


def test_a_failure_shows_no_data(
    editor_client: Client, organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    mirror_session(organization, name="Private words")

    def fail(*args: object, **kwargs: object) -> None:
        raise RuntimeError("Private words")

    monkeypatch.setattr("sessions_app.admin.sessions.read_session_page", fail)
    editor_client.raise_request_exception = False
    answer = editor_client.get("/admin/sessions_app/session/session-1/change/")
    assert answer.status_code == 500
    assert "Something went wrong here" in answer.content.decode()
    assert "Private words" not in answer.content.decode()


def test_who_may_open_nothing_is_told(stranger_client: Client) -> None:
    page = stranger_client.get("/", follow=True)
    assert "may open nothing yet" in page.content.decode()
    forbidden = stranger_client.get("/admin/sessions_app/session/")
    assert forbidden.status_code == 403
    assert "lacks the permission" in forbidden.content.decode()


def test_an_address_of_a_button_answers_with_a_page(
    editor_client: Client, organization: Organization
) -> None:
    mirror_session(organization)
    answer = editor_client.get("/admin/sessions_app/session/session-1/refetch/")
    assert (answer.status_code, answer["Allow"]) == (405, "POST")
    assert "Nothing was done" in answer.content.decode()
    assert "Content-Security-Policy" in answer
