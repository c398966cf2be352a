"""Correcting a session in the browser: what the form says, carries, sends and keeps."""

from __future__ import annotations

from collections.abc import Callable
from html import unescape
from typing import Any

import pytest
from django.test import Client
from pytest_django import DjangoCaptureOnCommitCallbacks

from sessions_app.edits.push import push_edit
from sessions_app.mirror.refetch import refetch_session
from sessions_app.models import Edit, Organization, Session
from sessions_app.models.edits import EditState
from sessions_app.models.organizations import WriteMode
from tests.sandbox_process import SandboxProcess

# A push asks the network, so nothing may be in a transaction around it.
pytestmark = pytest.mark.django_db(transaction=True)
Fields = dict[str, Any]


@pytest.fixture
def session(sandbox: SandboxProcess, organization: Organization) -> Session:
    """Named "Before", active; the journal begins after it was mirrored."""
    row = sandbox.truth()[0]
    sandbox.change("sessions", row["id"], {"name": "Before", "status": "active"}, unset=["expirationSeconds"])
    found = refetch_session(organization, row["id"])
    assert found is not None
    sandbox.control("DELETE", "journal")
    return found


def url(session: Session, more: str) -> str:
    return f"/admin/sessions_app/session/{session.pk}/{more}/"


@pytest.fixture
def form(editor_client: Client, session: Session) -> Callable[..., Fields]:
    """form(name="After") is the form as the page carries it, with these fields typed."""

    def fill(**typed: str) -> Fields:
        page = editor_client.get(url(session, "edit")).content.decode()
        hidden = {name: _value(page, name) for name in ("base", "submission_key")}
        shown = {"name": "Before", "status": "active", "expiration_seconds": "", "extend": "", "reason": ""}
        return {**hidden, **shown, **typed}

    return fill


def _value(page: str, name: str) -> str:
    return unescape(page.split(f'name="{name}" value="')[1].split('"', maxsplit=1)[0])


def test_a_correction_is_queued_pushed_and_seen(
    editor_client: Client,
    session: Session,
    form: Callable[..., Fields],
    sandbox: SandboxProcess,
) -> None:
    saved = editor_client.post(url(session, "edit"), form(name="After", reason="typo"))

    assert saved["Location"] == url(session, "change")
    edit = Edit.objects.get()
    assert (edit.fields, edit.base) == ({"name": "After"}, {"name": "Before"})
    assert (edit.author_name, edit.reason, edit.source) == ("editor", "typo", "admin")
    assert sandbox.journal() == []
    live = editor_client.get(url(session, "live")).content.decode()
    assert "queued" in live
    assert 'hx-trigger="every 2s"' in live

    push_edit(edit.pk)

    assert [entry["body"] for entry in sandbox.journal("PATCH")] == [{"name": "After"}]
    live = editor_client.get(url(session, "live")).content.decode()
    assert "applied" in live
    assert "hx-trigger" not in live, "a settled edit is not asked for again"
    assert "After" in live.split('id="session-head"')[1]


def test_saving_says_look_now_to_a_worker(
    editor_client: Client,
    session: Session,
    form: Callable[..., Fields],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told: list[tuple[object, ...]] = []
    monkeypatch.setattr("sessions_app.tasks.enqueue", lambda task, *args: told.append((task.name, *args)))
    editor_client.post(url(session, "edit"), form(name="After"))
    assert told == [("sessions_app.tasks.push_edit", Edit.objects.get().pk)]


@pytest.mark.parametrize(
    ("extend", "typed", "seconds"),
    [("3600", "", 90_000), ("86400", "7200", 93_600), ("max", "", 2_592_000), ("", "120", 120)],
)
def test_the_lifetime_is_typed_or_extended(
    editor_client: Client,
    session: Session,
    form: Callable[..., Fields],
    extend: str,
    typed: str,
    seconds: int,
) -> None:
    editor_client.post(url(session, "edit"), form(extend=extend, expiration_seconds=typed))
    assert Edit.objects.get().fields == {"expirationSeconds": seconds}


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ({"name": "x" * 41}, "at most 40 characters"),
        ({"expiration_seconds": "30"}, "60 to 2592000"),
        ({"expiration_seconds": "soon"}, "whole number"),
        # Ninety thousand, as many write it.
        ({"expiration_seconds": "90.000"}, "whole number"),
        ({"status": "paused"}, "Select a valid choice"),
        ({}, "Nothing was changed."),
    ],
)
def test_what_is_wrong_is_said_and_nothing_typed_is_lost(
    editor_client: Client, session: Session, form: Callable[..., Fields], typed: Fields, words: str
) -> None:
    sent = form(**{"reason": "because <it> is", **typed})
    answer = editor_client.post(url(session, "edit"), sent)
    page = answer.content.decode()
    assert answer.status_code == 200
    assert words in page
    assert 'value="because &lt;it&gt; is"' in page
    assert sent["name"] in page
    assert (_value(page, "base"), _value(page, "submission_key")) == (sent["base"], sent["submission_key"])
    assert not Edit.objects.exists()


def test_a_page_that_a_sync_made_stale_shows_the_difference_and_sends_nothing(
    editor_client: Client,
    session: Session,
    form: Callable[..., Fields],
    organization: Organization,
    sandbox: SandboxProcess,
) -> None:
    sent = form(name="Mine")
    sandbox.change("sessions", session.pk, {"name": "Theirs"})
    refetch_session(organization, session.pk)

    page = editor_client.post(url(session, "edit"), sent).content.decode()

    assert "Theirs" in page
    assert 'value="Mine"' in page
    assert not Edit.objects.exists()
    assert sandbox.journal("PATCH") == []


def test_a_base_of_ones_own_making_is_refused(
    editor_client: Client, session: Session, form: Callable[..., Fields]
) -> None:
    answer = editor_client.post(url(session, "edit"), {**form(name="After"), "base": "e30:forged"})
    assert "Load the page again" in answer.content.decode()
    assert not Edit.objects.exists()


def test_one_form_sent_twice_is_one_edit(
    editor_client: Client, session: Session, form: Callable[..., Fields]
) -> None:
    sent = form(name="After")
    for _ in range(2):
        assert editor_client.post(url(session, "edit"), sent).status_code == 302
    assert Edit.objects.count() == 1


def test_a_second_form_shows_and_builds_on_the_pending_value(
    editor_client: Client, session: Session, form: Callable[..., Fields]
) -> None:
    editor_client.post(url(session, "edit"), form(name="First"))
    page = editor_client.get(url(session, "edit")).content.decode()
    assert 'value="First"' in page
    assert "still on its way" in page


@pytest.mark.parametrize(
    ("mode", "words", "button"),
    [
        (WriteMode.ON, "Saving sends this to <strong>Sandbox</strong>", "Save and send"),
        (WriteMode.OFF, "nothing is sent", "Save as draft"),
        (WriteMode.PAUSED, "waits until it is turned on again", "Save; sent later"),
    ],
)
def test_the_form_says_whether_and_where_it_is_sent(
    editor_client: Client, session: Session, organization: Organization, mode: str, words: str, button: str
) -> None:
    Organization.objects.filter(pk=organization.pk).update(write_mode=mode)
    page = editor_client.get(url(session, "edit")).content.decode()
    assert words in page
    assert button in page
    assert f"{organization.base_url}/session/{session.pk}" in page


def test_the_preview_is_the_exact_request_and_keeps_nothing(
    editor_client: Client, session: Session, form: Callable[..., Fields], sandbox: SandboxProcess
) -> None:
    page = editor_client.post(url(session, "edit"), {**form(name="After", extend="3600"), "preview": "1"})
    shown = unescape(page.content.decode())
    assert '"name": "After"' in shown
    assert '"expirationSeconds": 90000' in shown
    assert f"{sandbox.url}/session/{session.pk}" in shown
    assert not Edit.objects.exists()


def test_with_writing_off_an_edit_is_a_draft_and_only_gets_reach_vapi(
    editor_client: Client,
    session: Session,
    form: Callable[..., Fields],
    organization: Organization,
    sandbox: SandboxProcess,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    Organization.objects.filter(pk=organization.pk).update(write_mode=WriteMode.OFF)
    page = editor_client.post(url(session, "edit"), form(name="After"), follow=True).content.decode()
    assert "Saved as a draft" in page
    assert "Not sent: writing is off." in page
    push_edit(Edit.objects.get().pk)
    editor_client.post(url(session, "refetch"))
    assert {entry["method"] for entry in sandbox.journal()} <= {"GET"}
    assert Edit.objects.get().state == EditState.QUEUED


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ({"name": "x" * 41}, "Vapi takes at most 40 characters"),
        ({"expiration_seconds": "soon"}, "Enter a whole number of seconds."),
    ],
)
def test_a_refused_page_says_the_same_beside_the_field_and_where_it_says_what_is_sent(
    editor_client: Client, session: Session, form: Callable[..., Fields], typed: Fields, words: str
) -> None:
    page = editor_client.post(url(session, "edit"), form(**typed)).text
    field, preview = page.split('id="preview"')
    assert words in field
    assert words in preview
    assert "PATCH" not in preview
    assert "Nothing is changed yet" not in preview
    assert words in editor_client.post(url(session, "edit"), {**form(**typed), "preview": "1"}).text
