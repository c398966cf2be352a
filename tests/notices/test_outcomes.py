"""Who made an edit sees what became of it on whatever page they are, until they have seen it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from sessions_app.models import BulkEdit, Edit, Notice, Organization
from sessions_app.models.edits import EditState
from sessions_app.notices.causes import note_bulk, note_edit
from tests.admin.rows import mirror_session

pytestmark = pytest.mark.django_db

POLL, SESSIONS = "/admin/outcomes/", "/admin/sessions_app/session/"
End = Callable[..., Edit]


@pytest.fixture
def end(organization: Organization, editor: User) -> End:
    """end("applied"): an edit of the editor's came to that."""

    def make(state: str, author: User | None = None, session_id: str = "session-1") -> Edit:
        edit = Edit.objects.create(
            organization=organization,
            session_id=session_id,
            state=state,
            fields={"name": "Private words"},
            author=author or editor,
        )
        note_edit(edit, EditState(state), 400 if state == "rejected" else None)
        return edit

    return make


@pytest.mark.parametrize(
    ("state", "words", "level"),
    [
        ("applied", "was applied", "success"),
        ("conflict", "is in conflict", "warning"),
        ("rejected", "was rejected (400)", "error"),
        ("failed", "failed", "error"),
    ],
)
def test_an_outcome_comes_without_a_reload(
    editor_client: Client, ops_client: Client, end: End, state: str, words: str, level: str
) -> None:
    assert f'hx-get="{POLL}"' in editor_client.get(SESSIONS).text
    assert "va-outcome " not in editor_client.get(POLL).text

    edit = end(state)

    for answer in (editor_client.get(POLL), editor_client.get(SESSIONS)):
        assert f"Edit {edit.pk} {words}" in answer.text
        assert f"va-outcome va-notice va-notice--{level}" in answer.text
    assert "Private words" not in editor_client.get(POLL).text
    assert f"Edit {edit.pk} {words}" not in ops_client.get(POLL).text, "it is not their edit"


def test_it_is_dismissed_by_a_post_alone(
    editor: User, editor_client: Client, ops_client: Client, end: End
) -> None:
    first, second = end("failed"), end("rejected")
    notice = Notice.objects.get(edit=first)
    address = f"/admin/outcomes/{notice.pk}/seen/"
    assert editor_client.get(address).status_code == 405
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(editor, backend="django.contrib.auth.backends.ModelBackend")
    assert strict.post(address).status_code == 403
    ops_client.post(address, headers={"HX-Request": "true"})
    assert f"Edit {first.pk} failed" in editor_client.get(POLL).text

    assert editor_client.post(address, headers={"HX-Request": "true"}).content == b""
    page = editor_client.get(POLL).text
    assert f"Edit {first.pk}" not in page and f"Edit {second.pk}" in page
    assert editor_client.post("/admin/outcomes/seen/").status_code == 302
    assert "Edit" not in editor_client.get(POLL).text


@pytest.mark.parametrize(
    "page", ["/admin/sessions_app/session/session-1/change/", "/admin/sessions_app/edit/{}/change/"]
)
def test_the_page_that_shows_it_says_by_itself_that_it_was_seen(
    editor_client: Client, organization: Organization, end: End, page: str
) -> None:
    mirror_session(organization)
    edit = end("applied")
    where = {"HX-Current-URL": f"http://testserver{page.format(edit.pk)}?x=1"}
    there = editor_client.get(POLL, headers=where).text
    assert "was applied" not in there
    assert "hidden" in there and 'hx-trigger="load"' in there
    assert Notice.objects.get().seen_at is None, "a GET changes nothing"
    elsewhere = editor_client.get(POLL, headers={"HX-Current-URL": "http://testserver/admin/costs/"}).text
    assert "was applied" in elsewhere


def test_what_was_settled_since_is_no_news(editor_client: Client, end: End) -> None:
    edit = end("conflict")
    Edit.objects.filter(pk=edit.pk).update(state="superseded")
    assert "conflict" not in editor_client.get(POLL).text


def test_what_is_days_old_is_no_news(editor_client: Client, end: End) -> None:
    end("applied")
    Notice.objects.update(created_at=timezone.now() - timedelta(days=4))
    assert "was applied" not in editor_client.get(POLL).text


def test_a_bulk_is_told_as_one(ops: User, ops_client: Client, organization: Organization) -> None:
    bulk = BulkEdit.objects.create(organization=organization, fields={"name": "x"}, author=ops)
    note_bulk(bulk, {"applied": 4850, "failed": 150}, 1)
    page = ops_client.get(POLL).text
    assert f"Bulk edit {bulk.pk} ended: 4,850 applied, 150 failed" in page and "va-notice--error" in page
    assert f"/admin/sessions_app/bulkedit/{bulk.pk}/change/" in page


def test_many_are_three_and_a_way_to_the_rest(editor_client: Client, end: End) -> None:
    end("failed")
    editor_client.get(POLL)
    with CaptureQueriesContext(connection) as few:
        editor_client.get(POLL)
    for _ in range(50):
        end("failed")
    with CaptureQueriesContext(connection) as many:
        page = editor_client.get(POLL).text
    assert page.count("failed</a>") == 3
    assert "?author=editor" in page and "Dismiss all" in page
    assert len(few) == len(many)


def test_who_may_see_no_edits_is_not_asked_for(stranger_client: Client, organization: Organization) -> None:
    assert POLL not in stranger_client.get("/admin/password_change/").text
    for client in (stranger_client, Client()):
        answer = client.get(POLL)
        assert (answer.status_code, answer.content) == (286, b"")
    assert Client().post("/admin/outcomes/seen/").status_code == 302


def test_open_conflicts_are_one_click_from_everywhere(
    editor_client: Client, organization: Organization, end: End
) -> None:
    mirror_session(organization)
    end("conflict")
    for page in (SESSIONS, f"{SESSIONS}session-1/change/", f"{SESSIONS}session-1/edit/", "/admin/sessions_app/chat/",
                 "/admin/sessions_app/edit/", "/admin/coverage/", "/admin/freshness/", "/admin/notices/",
                 "/admin/sessions_app/organization/", "/admin/password_change/"):  # fmt: skip
        assert (
            '/admin/sessions_app/edit/?state=conflict">1 edit in conflict' in editor_client.get(page).text
        ), page
