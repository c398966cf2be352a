"""An erasure takes its customer's ids out of bulk edits, and values and reasons once these have ended."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User

from sessions_app.edits import bulk as bulks
from sessions_app.mirror.erasing import request_erasure, run_erasure
from sessions_app.models import BulkEdit, Edit, Organization
from tests.search.rows import make_session

pytestmark = pytest.mark.django_db(transaction=True)
NUMBER = "+4915199988877"


@pytest.fixture
def begun(organization: Organization, editor: User) -> BulkEdit:
    """A bulk over three sessions, of which the middle one is the customer's; the first was gone already."""
    make_session(organization, "a", missing_since="2026-01-01T00:00Z")
    make_session(organization, "b", customer_number=NUMBER)
    make_session(organization, "c")
    bulk = bulks.preview(organization, ["a", "b", "c"], {"name": "Of Xaverina"}, editor)
    bulks.confirm(bulk, editor, "Xaverina asked")
    return bulk


def erase(organization: Organization) -> None:
    erasure = request_erasure(organization, "number", NUMBER, "Asked", at_vapi=False)
    run_erasure(erasure.pk)


def test_one_that_runs_goes_on_without_them_and_is_emptied_at_its_end(
    organization: Organization, begun: BulkEdit
) -> None:
    erase(organization)
    begun.refresh_from_db()
    assert begun.selection == {"ids": ["a", "c"]} and begun.fields == {"name": "Of Xaverina"}

    bulks.advance(begun.pk)
    edit = Edit.objects.get()
    assert (edit.session_id, edit.fields) == ("c", {"name": "Of Xaverina"})
    Edit.objects.update(state="applied")
    bulks.finish(begun.pk)
    begun.refresh_from_db()
    assert (begun.state, begun.fields, begun.reason) == ("done", {}, "")


def test_one_that_is_half_queued_goes_on_where_it_was(organization: Organization, begun: BulkEdit) -> None:
    BulkEdit.objects.update(queued_through="b", skipped=[{"id": "b", "why": "It is so already."}])
    erase(organization)
    begun.refresh_from_db()
    assert (begun.queued_through, begun.skipped) == ("a", [])
    assert not bulks.advance(begun.pk) and Edit.objects.get().session_id == "c"


def test_one_that_has_ended_is_emptied_at_once_with_its_undoing(
    organization: Organization, begun: BulkEdit, editor: User
) -> None:
    bulks.advance(begun.pk)
    Edit.objects.update(state="applied")
    bulks.finish(begun.pk)
    begun.refresh_from_db()
    back = bulks.undo(begun, editor, "Xaverina again")
    bulks.cancel(back, editor)
    bulks.finish(back.pk)

    erase(organization)

    assert set(BulkEdit.objects.values_list("reason", "decision_reason")) == {("", "")}
    assert list(BulkEdit.objects.values_list("fields", flat=True)) == [{}, {}]


def test_one_that_has_not_begun_is_cancelled(organization: Organization, editor: User) -> None:
    make_session(organization, "b", customer_number=NUMBER)
    untouched = bulks.preview(organization, ["z"], {"name": "Other"}, editor)
    bulk = bulks.preview(organization, ["b"], {"name": "Of Xaverina"}, editor)
    erase(organization)
    bulk.refresh_from_db()
    untouched.refresh_from_db()
    assert (bulk.state, bulk.fields, bulk.selection) == ("cancelled", {}, {"ids": []})
    assert (untouched.state, untouched.fields) == ("previewed", {"name": "Other"})


def test_a_deletion_still_knows_what_was_seen_of_the_others(organization: Organization, editor: User) -> None:
    for session_id, number in (("b", NUMBER), ("c", "")):
        make_session(organization, session_id, customer_number=number)
    bulk = bulks.preview(organization, ["b", "c"], {"delete": True}, editor)
    BulkEdit.objects.update(state="running")
    erase(organization)
    bulk.refresh_from_db()
    assert (bulk.selection["ids"], [*bulk.selection["seen"]]) == (["c"], ["c"])
    assert bulks.dry_run(bulk).changing == 1
