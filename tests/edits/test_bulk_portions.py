"""Queueing a bulk edit: few statements however many sessions, and other edits of a session have their say."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext

from sessions_app.edits import bulk as bulks
from sessions_app.edits.queue import queue_edit, shown_values
from sessions_app.mirror.holds import set_hold
from sessions_app.models import BulkEdit, Edit, EditTransition, Organization, Session
from tests.search.rows import START

pytestmark = pytest.mark.django_db(transaction=True)
# On SQLite a statement takes 999 values: some forty edits.
MOST = 20 if connection.vendor == "postgresql" else 45


@pytest.fixture
def ids(organization: Organization) -> list[str]:
    """Five hundred sessions: a whole portion."""
    moments = ("created_at", "updated_at", "asked_at", "synced_at", "expires_at", "idle_expires_at")
    times = dict.fromkeys(moments, START)
    rows = [Session(id=f"s{number:03}", organization=organization, **times) for number in range(500)]
    Session.objects.bulk_create(rows)
    return [row.pk for row in rows]


def begin(organization: Organization, ids: list[str], who: User, **fields: object) -> BulkEdit:
    bulk = bulks.preview(organization, ids, fields, who)
    bulks.confirm(bulk, who, "Tidy")
    return bulk


def statements(bulk: BulkEdit) -> int:
    with CaptureQueriesContext(connection) as captured:
        while bulks.advance(bulk.pk):
            pass
    return len(captured)


def test_a_portion_is_queued_and_undone_in_few_statements(
    organization: Organization, ids: list[str], editor: User
) -> None:
    bulk = begin(organization, ids, editor, name="After")
    assert statements(bulk) <= MOST
    edits = Edit.objects.filter(bulk=bulk, state="queued", base={"name": ""}, fields={"name": "After"})
    assert edits.count() == EditTransition.objects.filter(state="queued", actor="editor").count() == 500

    Edit.objects.update(state="applied")
    Session.objects.update(name="After")
    bulks.finish(bulk.pk)
    bulk.refresh_from_db()
    back = bulks.undo(bulk, editor, "Wrong")
    assert statements(back) <= MOST
    assert Edit.objects.filter(bulk=back, fields={"name": ""}, undoes__bulk=bulk).count() == 500


def test_deletions_are_queued_in_few_statements(
    organization: Organization, ids: list[str], administrator: User
) -> None:
    Organization.objects.update(bulk_delete_needs_approval=False)
    organization.refresh_from_db()
    assert statements(begin(organization, ids, administrator, delete=True)) <= MOST
    assert Edit.objects.filter(kind="delete").count() == 500


def test_what_waits_of_a_session_is_superseded_as_by_any_edit(
    organization: Organization, ids: list[str], editor: User, ops: User
) -> None:
    session = Session.objects.select_related("organization").get(pk=ids[3])
    earlier = queue_edit(
        session=session, base=shown_values(session), fields={"name": "Person"}, source="admin", author=ops
    )
    bulk = begin(organization, ids[:5], editor, name="After")
    bulks.advance(bulk.pk)
    earlier.refresh_from_db()
    edit = Edit.objects.get(bulk=bulk, session_id=ids[3])
    assert (earlier.state, earlier.superseded_by, edit.base) == ("superseded", edit, {"name": ""})
    assert Edit.objects.filter(bulk=bulk).count() == 5


def test_looking_at_a_bulk_of_many_asks_as_much_as_of_few(
    organization: Organization, ids: list[str], administrator: User
) -> None:
    def queries(count: int) -> int:
        bulk = bulks.preview(organization, ids[:count], {"delete": True}, administrator)
        with CaptureQueriesContext(connection) as captured:
            assert bulks.dry_run(bulk).changing == count
        return len(captured)

    assert queries(2) == queries(500) == 3
    for number in range(5):
        set_hold(organization, "number", f"+49{number}", "court", "Grace")
    assert queries(2) == queries(500) == 4
