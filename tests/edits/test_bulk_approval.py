"""Deleting many at Vapi: a second person agrees before anything is queued, and who did what is kept."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import DatabaseError, connection, transaction

from sessions_app.edits import bulk as bulks
from sessions_app.mirror.holds import set_hold
from sessions_app.mirror.refetch import refetch_session
from sessions_app.mirror.sync import sync_stream
from sessions_app.models import ApiToken, BulkEdit, BulkTransition, Edit, Organization, Session
from sessions_app.models.runs import Stream
from sessions_app.tokens import make_token
from tests.admin.rows import mirror_session
from tests.edits.bulk_work import work
from tests.sandbox_process import SandboxProcess
from tests.search.rows import make_session

pytestmark = pytest.mark.django_db(transaction=True)
IDS = ["s1", "s2", "s3"]


@pytest.fixture
def ask(organization: Organization, administrator: User) -> Callable[..., BulkEdit]:
    """ask(ids): a deletion of these that has been asked for."""

    def make(ids: list[str], who: User | ApiToken = administrator) -> BulkEdit:
        bulk = bulks.preview(organization, ids, {"delete": True}, who)
        bulks.confirm(bulk, who, "Test calls")
        return bulk

    return make


@pytest.fixture
def asked(organization: Organization, ask: Callable[..., BulkEdit]) -> BulkEdit:
    for number, session_id in enumerate(IDS):
        make_session(organization, session_id, minute=number)
    return ask(IDS)


def acts(bulk: BulkEdit) -> list[tuple[str, str]]:
    return list(bulk.transitions.values_list("act", "actor"))


def test_a_second_person_approves_and_the_sessions_are_deleted_at_vapi(
    sandbox: SandboxProcess, organization: Organization, ask: Callable[..., BulkEdit], admin: User
) -> None:
    sync_stream(organization, Stream.SESSIONS, full=True)
    ids = [row["id"] for row in sandbox.truth()[:4]]
    bulk = ask(ids[:3])
    work(bulk)
    assert bulk.state == "awaiting" and not Edit.objects.exists()

    bulks.approve(bulk, admin, "Looked at each")
    work(bulk)

    assert bulks.count_states(bulk) == {"applied": 3} and bulk.state == "done"
    left = {row["id"] for row in sandbox.truth()}
    assert not left & set(ids[:3]) and ids[3] in left
    marked = Session.objects.exclude(missing_since=None).values_list("pk", "missing_reason")
    assert dict(marked) == dict.fromkeys(ids[:3], "deleted")
    assert (bulk.decided_by, bulk.decision_reason) == (admin, "Looked at each") and bulk.decided_at
    assert [act for act, _ in acts(bulk)] == ["previewed", "asked for approval", "approved", "done"]
    with pytest.raises(ValidationError):
        bulks.undo(bulk, admin, "Bring them back")


def test_whoever_asked_decides_nothing(asked: BulkEdit, administrator: User) -> None:
    for decide in (bulks.approve, bulks.refuse):
        with pytest.raises(ValidationError, match="second person"):
            decide(asked, administrator, "I am sure")
    asked.refresh_from_db()
    assert asked.state == "awaiting" and asked.decided_by is None


def test_a_token_counts_as_its_owner(
    asked: BulkEdit, ask: Callable[..., BulkEdit], administrator: User, admin: User
) -> None:
    own, _ = make_token("own", [], created_by=administrator)
    other, _ = make_token("other", [], created_by=admin)
    nobodys, _ = make_token("nobody's", [])
    for token in (own, nobodys):
        with pytest.raises(ValidationError):
            bulks.approve(asked, token, "Really")
    bulks.approve(asked, other, "Really")
    assert asked.decided_by == admin

    by_token = ask(IDS, own)
    with pytest.raises(ValidationError):
        bulks.approve(by_token, administrator, "My own token")
    with pytest.raises(ValidationError, match="owns"):
        ask(IDS, nobodys)


def test_what_is_refused_never_begins(asked: BulkEdit, admin: User) -> None:
    with pytest.raises(ValidationError):
        bulks.refuse(asked, admin, " ")
    bulks.refuse(asked, admin, "These are customers")
    with pytest.raises(bulks.BulkMoved):
        bulks.approve(asked, admin, "On second thoughts")
    work(asked)
    assert asked.state == "refused" and asked.finished_at and not Edit.objects.exists()
    assert acts(asked)[-1] == ("refused", "admin")


def test_the_asker_may_cancel(asked: BulkEdit, administrator: User, admin: User) -> None:
    bulks.cancel(asked, administrator)
    with pytest.raises(bulks.BulkMoved):
        bulks.approve(asked, admin, "Fine")
    assert not Edit.objects.exists()


def test_an_organization_may_do_without(
    asked: BulkEdit, organization: Organization, administrator: User
) -> None:
    assert organization.bulk_delete_needs_approval
    organization.bulk_delete_needs_approval = False
    organization.save()
    bulk = bulks.preview(organization, IDS, {"delete": True}, administrator)
    bulks.confirm(bulk, administrator, "Test calls")
    assert bulk.state == "running"
    asked.refresh_from_db()
    assert asked.state == "awaiting"  # what was asked for before is still to be approved


def test_a_legal_hold_and_what_is_gone_already_are_left_out(
    asked: BulkEdit, organization: Organization, admin: User
) -> None:
    Session.objects.filter(pk="s1").update(missing_since="2026-01-01T00:00Z")
    set_hold(organization, "session", "s2", "court", "administrator")
    run = bulks.dry_run(asked)
    assert (run.changing, sum(run.refused.values())) == (1, 2)
    bulks.approve(asked, admin, "Fine")
    bulks.advance(asked.pk)
    edit = Edit.objects.get()
    assert (edit.session_id, edit.kind, edit.fields) == ("s3", "delete", {"deleted": True})
    assert edit.base.keys() == {"name", "status", "expirationSeconds", "messages"}


@pytest.mark.parametrize(
    "change", [{"name": "Renamed"}, {"messages": [{"role": "user", "content": "Wait!"}]}]
)
def test_what_changed_after_the_preview_is_left_out(
    sandbox: SandboxProcess,
    organization: Organization,
    ask: Callable[..., BulkEdit],
    admin: User,
    change: dict[str, object],
) -> None:
    sync_stream(organization, Stream.SESSIONS, full=True)
    ids = sorted(row["id"] for row in sandbox.truth()[:3])
    bulk = ask(ids)
    sandbox.change("sessions", ids[0], change)
    refetch_session(organization, ids[0])
    refetch_session(organization, ids[1])
    assert bulks.dry_run(bulk).refused == {"It has changed since the preview.": 1}

    bulks.approve(bulk, admin, "Looked at each")
    work(bulk)

    assert bulk.skipped == [{"id": ids[0], "why": "It has changed since the preview."}]
    assert {row["id"] for row in sandbox.truth()} & set(ids) == {ids[0]}


@pytest.mark.parametrize(
    ("by", "value"), [("number", "+49 (151) 999"), ("email", "ADA@example.org"), ("external_id", "x-17")]
)
def test_what_a_held_customer_got_since_is_left_out(
    organization: Organization, ask: Callable[..., BulkEdit], by: str, value: str
) -> None:
    set_hold(organization, by, value, "court", "Grace")
    ada = {"number": "+49151999", "email": "ada@example.org", "externalId": "x-17"}
    mirror_session(organization, "later", customer=ada)
    mirror_session(organization, "another's", customer={"number": "+4930123"})
    run = bulks.dry_run(ask(["later", "another's"]))
    assert (run.changing, run.refused) == (1, {"A legal hold keeps it.": 1})
    assert run.example is not None and run.example.session_id == "another's"


def test_what_was_decided_cannot_be_rewritten(asked: BulkEdit) -> None:
    entry = BulkTransition.objects.latest("pk")
    for change in (entry.save, entry.delete, BulkTransition.objects.all().delete):
        with pytest.raises(TypeError):
            change()
    with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("UPDATE sessions_app_bulktransition SET actor = 'nobody'")
