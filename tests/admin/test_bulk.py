"""Pages of bulk edits: chosen in the list, looked at, confirmed, followed and undone."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from sessions_app.edits import bulk as bulks
from sessions_app.mirror.writer import mirror_sessions
from sessions_app.models import BulkEdit, Edit, Organization
from sessions_app.vapi.payloads import parse_session

pytestmark = pytest.mark.django_db(transaction=True)
NOON = datetime(2026, 1, 10, 12, tzinfo=UTC)
PAGE = "/admin/sessions_app/bulkedit/"
SESSIONS = "/admin/sessions_app/session/"


@pytest.fixture
def sessions(organization: Organization) -> list[str]:
    """Seventy active sessions and five completed ones: more than one page of the list."""
    ids = [f"s{number:02}" for number in range(75)]
    records = [
        parse_session(
            {
                "id": found,
                "orgId": "org",
                "createdAt": NOON.isoformat(),
                "updatedAt": NOON.isoformat(),
                "status": "active" if number < 70 else "completed",
            }
        )
        for number, found in enumerate(ids)
    ]
    mirror_sessions(organization, records, asked_at=NOON)
    return ids


@pytest.fixture
def make(sessions: list[str], organization: Organization, ops: User) -> Callable[..., BulkEdit]:
    def preview(count: int = 3) -> BulkEdit:
        return bulks.preview(organization, sessions[:count], {"name": "After"}, ops)

    return preview


def queries(client: Client, path: str) -> int:
    client.get(path)
    with CaptureQueriesContext(connection) as found:
        assert client.get(path).status_code == 200
    return len(found)


def test_all_that_match_beyond_one_page(ops_client: Client, sessions: list[str]) -> None:
    assert "Correct all that match" in ops_client.get(SESSIONS, {"status": "active"}).text
    chosen = {"all": "1", "query": "status=active&ordering=-created_at"}
    assert "Correct 70 sessions" in ops_client.post(f"{PAGE}choose/", chosen).text

    change = {**chosen, "change": "status", "status": "completed"}
    answer = ops_client.post(f"{PAGE}choose/", change, follow=True)

    assert "<strong>70</strong> of 70 sessions will change" in answer.text
    assert "&quot;status&quot;: &quot;completed&quot;" in answer.text
    assert not Edit.objects.exists()


def test_ticked_rows_are_confirmed_with_a_reason(ops_client: Client, sessions: list[str]) -> None:
    change: dict[str, Any] = {"id": ["s00", "s01", "s70"], "change": "status", "status": "completed"}
    answer = ops_client.post(f"{PAGE}choose/", change, follow=True)
    assert "<strong>2</strong> of 3" in answer.text and "1 is so already" in answer.text
    bulk = BulkEdit.objects.get()

    ops_client.post(f"{PAGE}{bulk.pk}/confirm/", {"reason": ""})
    bulk.refresh_from_db()
    assert bulk.state == "previewed"
    ops_client.post(f"{PAGE}{bulk.pk}/confirm/", {"reason": "Tidy"})
    bulk.refresh_from_db()
    assert (bulk.state, bulk.reason) == ("running", "Tidy")

    bulks.advance(bulk.pk)
    page = ops_client.get(f"{PAGE}{bulk.pk}/live/").text
    assert "1 of 3 done" in page and "every 2s" in page
    ops_client.post(f"{PAGE}{bulk.pk}/pause/")
    assert "Go on" in ops_client.get(f"{PAGE}{bulk.pk}/change/").text
    ops_client.post(f"{PAGE}{bulk.pk}/go-on/")
    ops_client.post(f"{PAGE}{bulk.pk}/cancel/")
    while bulks.advance(bulk.pk):
        pass
    assert bulks.count_states(bulk) == {"withdrawn": 2}


def test_a_failure_is_listed_and_tried_again_and_the_bulk_undone(
    ops_client: Client, make: Callable[..., BulkEdit], ops: User
) -> None:
    bulk = make()
    bulks.confirm(bulk, ops, "Tidy")
    bulks.advance(bulk.pk)
    edits = list(Edit.objects.order_by("pk"))
    Edit.objects.update(state="applied")
    Edit.objects.filter(pk=edits[0].pk).update(state="rejected", error="Vapi said no")
    bulks.finish(bulk.pk)
    page = ops_client.get(f"{PAGE}{bulk.pk}/change/").text
    assert "Vapi said no" in page and "Retry the 1 failed" in page

    ops_client.post(f"{PAGE}{bulk.pk}/retry/")
    assert bulks.count_states(bulk) == {"applied": 2, "queued": 1}
    Edit.objects.filter(state="queued").update(state="applied")
    bulks.finish(bulk.pk)
    answer = ops_client.post(f"{PAGE}{bulk.pk}/undo/", {"reason": "Wrong"}, follow=True)
    assert f"Undo of bulk edit {bulk.pk}" in answer.text
    assert BulkEdit.objects.get(undoes=bulk).total == 3


def test_a_mistake_is_said_and_nothing_kept(ops_client: Client, sessions: list[str]) -> None:
    change = {"id": "s00", "change": "name", "name": "n" * 41}
    assert "at most 40 characters" in ops_client.post(f"{PAGE}choose/", change).text
    for by in ("", "x", "0", "-1", "99999999999"):
        extend = {"id": "s00", "change": "extendSeconds", "extend_by": by, "extend_unit": "86400"}
        assert "xtend by" in ops_client.post(f"{PAGE}choose/", extend).text
    assert "at least one" in ops_client.post(f"{PAGE}choose/", {}, follow=True).text
    strange = {"all": "1", "query": "no_such=1"}
    assert "not understood" in ops_client.post(f"{PAGE}choose/", strange, follow=True).text
    assert not BulkEdit.objects.exists()


def test_deleting_many_is_typed_asked_for_and_approved_by_another(
    ops_client: Client,
    sign_in: Callable[[User], Client],
    administrator: User,
    admin_client: Client,
    sessions: list[str],
) -> None:
    asker = sign_in(administrator)
    chosen = {"id": ["s00", "s01"], "change": "delete"}
    assert "Delete them at Vapi" not in ops_client.post(f"{PAGE}choose/", {"id": "s00"}).text
    assert ops_client.post(f"{PAGE}choose/", chosen).status_code == 403
    assert "can&#x27;t be undone" in asker.post(f"{PAGE}choose/", {"id": "s00"}).text.replace("'", "&#x27;")

    page = asker.post(f"{PAGE}choose/", chosen, follow=True).text
    assert "<strong>DELETE</strong>" in page and "can't be undone here" in page and "second person" in page
    bulk = BulkEdit.objects.get()
    for typed in ("", "3"):
        asker.post(f"{PAGE}{bulk.pk}/confirm/", {"reason": "Test calls", "confirm": typed})
        bulk.refresh_from_db()
        assert bulk.state == "previewed"
    page = asker.post(f"{PAGE}{bulk.pk}/confirm/", {"reason": "Test", "confirm": "2"}, follow=True).text
    assert "waiting for approval" in page and "Approve:" not in page and "Take it back" in page
    asker.post(f"{PAGE}{bulk.pk}/approve/", {"reason": "Sure"})
    assert ops_client.post(f"{PAGE}{bulk.pk}/approve/", {"reason": "Sure"}).status_code == 403
    assert not Edit.objects.exists() and BulkEdit.objects.get().state == "awaiting"

    badge = '<span class="va-badge">1</span>'
    assert badge in admin_client.get(SESSIONS).text
    for client in (asker, ops_client):
        assert "va-badge" not in client.get(SESSIONS).text
    assert f"{PAGE}{bulk.pk}/" in admin_client.get(PAGE, {"state": "awaiting"}).text
    assert "Approve: delete 2 sessions" in admin_client.get(f"{PAGE}{bulk.pk}/change/").text
    admin_client.post(f"{PAGE}{bulk.pk}/approve/", {"reason": "Looked at both"})
    bulks.advance(bulk.pk)
    assert Edit.objects.filter(kind="delete", state="queued").count() == 2
    Edit.objects.update(state="applied")
    bulks.finish(bulk.pk)
    page = asker.get(f"{PAGE}{bulk.pk}/change/").text
    assert "Looked at both" in page and "Deletions can't be undone" in page and "Why undo" not in page


def test_a_bulk_deletion_is_refused(
    admin_client: Client, sessions: list[str], organization: Organization, administrator: User
) -> None:
    bulk = bulks.preview(organization, sessions[:2], {"delete": True}, administrator)
    bulks.confirm(bulk, administrator, "Test calls")
    admin_client.post(f"{PAGE}{bulk.pk}/refuse/", {"reason": ""})
    assert BulkEdit.objects.get().state == "awaiting"
    page = admin_client.post(f"{PAGE}{bulk.pk}/refuse/", {"reason": "They matter"}, follow=True).text
    assert "They matter" in page and BulkEdit.objects.get().state == "refused"


@pytest.mark.parametrize(
    ("given", "fields"),
    [
        ({"change": "complete"}, {"status": "completed"}),
        ({"change": "extendSeconds", "extend_by": "3", "extend_unit": "86400"}, {"extendSeconds": 259_200}),
        ({"change": "expirationSeconds", "expirationSeconds": " 3600 "}, {"expirationSeconds": 3600}),
        ({"change": "name", "name": "After"}, {"name": "After"}),
        ({"change": "status", "status": "active"}, {"status": "active"}),
    ],
)
def test_what_may_be_done_to_many(
    ops_client: Client, sessions: list[str], given: dict[str, str], fields: dict[str, object]
) -> None:
    ops_client.post(f"{PAGE}choose/", {"id": "s00", **given})
    assert BulkEdit.objects.get().fields == fields


def test_who_may(
    editor_client: Client, viewer_client: Client, stranger_client: Client, make: Callable[..., BulkEdit]
) -> None:
    bulk = make()
    assert 'form="va-bulk"' not in editor_client.get(SESSIONS).text
    for client in (editor_client, viewer_client, stranger_client):
        assert client.post(f"{PAGE}choose/", {"id": "s00"}).status_code == 403
        for action in ("confirm", "approve", "refuse", "pause", "go-on", "cancel", "retry", "undo"):
            assert client.post(f"{PAGE}{bulk.pk}/{action}/", {"reason": "x"}).status_code == 403
    assert viewer_client.get(f"{PAGE}{bulk.pk}/change/").status_code == 200
    assert stranger_client.get(f"{PAGE}{bulk.pk}/change/").status_code == 403
    bulk.refresh_from_db()
    assert bulk.state == "previewed"


def test_decisions_are_posts_with_a_token(
    ops_client: Client, ops: User, make: Callable[..., BulkEdit]
) -> None:
    bulk = make()
    assert ops_client.get(f"{PAGE}{bulk.pk}/confirm/").status_code == 405
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(ops, backend="django.contrib.auth.backends.ModelBackend")
    assert strict.post(f"{PAGE}{bulk.pk}/confirm/", {"reason": "x"}).status_code == 403


def test_pages_cost_the_same_for_more(ops_client: Client, make: Callable[..., BulkEdit], ops: User) -> None:
    small, large = make(2), make(60)
    for bulk in (small, large):
        bulks.confirm(bulk, ops, "Tidy")
        bulks.advance(bulk.pk)
        Edit.objects.filter(bulk=bulk, session_id__gt="s00").update(state="failed")
    assert queries(ops_client, f"{PAGE}{small.pk}/live/") == queries(ops_client, f"{PAGE}{large.pk}/live/")
    before = queries(ops_client, PAGE)
    for _ in range(5):
        make()
    assert queries(ops_client, PAGE) == before
