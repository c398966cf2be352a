"""A session over REST: read with an ETag, corrected with If-Match, fetched again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pytest_django import DjangoCaptureOnCommitCallbacks

from sessions_app.api import documents
from sessions_app.edits.push import push_edit
from sessions_app.mirror.refetch import refetch_session
from sessions_app.models import Edit, Organization, Session
from sessions_app.models.edits import EditState
from tests.api.conftest import MakeClient
from tests.sandbox_process import SandboxProcess
from tests.search.rows import make_session

# A push asks the network, so nothing may be in a transaction around it.
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def session(sandbox: SandboxProcess, organization: Organization) -> Session:
    """Named "Before", active; the journal begins after it was mirrored."""
    row = sandbox.truth()[0]
    sandbox.change("sessions", row["id"], {"name": "Before", "status": "active"}, unset=["expirationSeconds"])
    found = refetch_session(organization, row["id"])
    assert found is not None
    sandbox.control("DELETE", "journal")
    return found


def path_of(session: Session, more: str = "") -> str:
    return f"/api/v1/sessions/{session.pk}/{more}"


def patch(client: Client, session: Session, body: Any, *, if_match: str = "*", **headers: str) -> Any:
    every = {"If-Match": if_match, **headers} if if_match else headers
    return client.patch(path_of(session), body, content_type="application/json", headers=every)


def etag(client: Client, session: Session, **headers: str) -> str:
    return str(client.get(path_of(session), headers=headers)["ETag"])


def test_a_correction_is_queued_sent_and_read_back(
    client: Client, session: Session, sandbox: SandboxProcess
) -> None:
    answer = patch(client, session, {"name": "After", "reason": "typo"}, if_match=etag(client, session))

    assert answer.status_code == 202
    edit = answer.json()
    assert edit.keys() == documents.EditRow().get_fields().keys()
    assert (edit["state"], edit["fields"], edit["base"]) == ("queued", {"name": "After"}, {"name": "Before"})
    assert (edit["author"], edit["source"], edit["reason"]) == ("token test", "api", "typo")
    assert client.get(answer["Location"]).json() == edit
    assert client.get(path_of(session)).json()["pending"] == {"name": "After"}
    assert sandbox.journal() == []

    assert push_edit(edit["id"]) == EditState.APPLIED

    shown = client.get(path_of(session)).json()
    assert (shown["name"], shown["pending"]) == ("After", {})
    assert shown["newest_edit"] == {"id": edit["id"], "state": "applied"}
    assert [entry["body"] for entry in sandbox.journal("PATCH")] == [{"name": "After"}]
    assert [row["id"] for row in client.get(path_of(session, "edits/")).json()["results"]] == [edit["id"]]


def test_the_detail_has_the_documented_fields(client: Client, session: Session) -> None:
    shown = client.get(path_of(session)).json()
    assert shown.keys() == documents.SessionDetail().get_fields().keys()
    assert shown["payload"]["id"] == session.pk


@pytest.mark.django_db
def test_a_correction_is_put_to_a_worker(
    client: Client, session: Session, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    with django_capture_on_commit_callbacks() as callbacks:
        patch(client, session, {"name": "After"})
    assert len(callbacks) == 1


def test_expiration_is_given_in_snake_case(client: Client, session: Session) -> None:
    edit = patch(client, session, {"expiration_seconds": 3600}).json()
    assert edit["fields"] == {"expiration_seconds": 3600}
    assert Edit.objects.get().fields == {"expirationSeconds": 3600}


def test_without_if_match_nothing_is_changed(client: Client, session: Session) -> None:
    assert patch(client, session, {"name": "After"}, if_match="").status_code == 428
    assert not Edit.objects.exists()


@pytest.mark.parametrize("header", ['"stale"', 'W/"stale"', '"a", "b"'])
def test_a_stale_tag_changes_nothing(client: Client, session: Session, header: str) -> None:
    assert patch(client, session, {"name": "After"}, if_match=header).status_code == 412
    assert not Edit.objects.exists()


def test_a_tag_without_its_quotes_is_no_tag(client: Client, session: Session) -> None:
    answer = patch(client, session, {"name": "After"}, if_match=etag(client, session).strip('"'))
    assert answer.status_code == 400
    assert "quotes" in answer.json()["detail"][0]
    assert not Edit.objects.exists()


def test_a_name_is_cleared_by_an_empty_string_alone(client: Client, session: Session) -> None:
    for name in (None, " \t\u00a0"):
        answer = patch(client, session, {"name": name})
        assert answer.status_code == 400
        assert "clear" in answer.json()["name"][0]
    assert patch(client, session, {"name": ""}).json()["fields"] == {"name": ""}


def test_the_tag_stays_over_a_sync_that_brings_nothing_new(
    client: Client, session: Session, organization: Organization
) -> None:
    before, synced_at = etag(client, session), session.synced_at
    again = refetch_session(organization, session.pk)
    assert again is not None
    assert again.synced_at > synced_at
    assert etag(client, session) == before


def test_the_tag_moves_with_vapi(
    client: Client, session: Session, organization: Organization, sandbox: SandboxProcess
) -> None:
    before = etag(client, session)
    sandbox.change("sessions", session.pk, {"name": "Other"})
    refetch_session(organization, session.pk)
    assert patch(client, session, {"name": "After"}, if_match=before).status_code == 412


def test_the_tag_moves_with_an_edit(client: Client, session: Session) -> None:
    before = etag(client, session)
    assert patch(client, session, {"name": "One"}, if_match=before).status_code == 202
    assert patch(client, session, {"name": "Two"}, if_match=before).status_code == 412
    between = etag(client, session)
    assert patch(client, session, {"name": "Two"}, if_match=between).status_code == 202
    assert list(Edit.objects.order_by("pk").values_list("state", flat=True)) == ["superseded", "queued"]
    assert Edit.objects.get(state="queued").base == {"name": "Before"}


def test_the_tag_moves_with_what_is_pending(client: Client, session: Session) -> None:
    """Also where the newest edit stays what it is."""
    first = patch(client, session, {"name": "After"}).json()["id"]
    patch(client, session, {"status": "completed"})
    seen = etag(client, session)
    client.post(f"/api/v1/edits/{first}/withdraw/")
    answer = client.get(path_of(session), headers={"If-None-Match": seen})
    assert answer.status_code == 200
    assert answer.json()["pending"] == {"status": "completed"}
    assert patch(client, session, {"name": "Other"}, if_match=seen).status_code == 412


def test_the_tag_works_through_compression(client: Client, session: Session) -> None:
    answer = client.get(path_of(session), headers={"Accept-Encoding": "gzip"})
    assert answer["Content-Encoding"] == "gzip"
    assert answer["ETag"].startswith('W/"')
    unchanged = client.get(
        path_of(session), headers={"Accept-Encoding": "gzip", "If-None-Match": answer["ETag"]}
    )
    assert unchanged.status_code == 304
    assert patch(client, session, {"name": "After"}, if_match=answer["ETag"]).status_code == 202


def test_what_is_known_is_not_sent_again(client: Client, session: Session) -> None:
    known = etag(client, session)
    answer = client.get(path_of(session), headers={"If-None-Match": known})
    assert (answer.status_code, answer.content, answer["ETag"]) == (304, b"", known)
    assert client.get(path_of(session), headers={"If-None-Match": '"other"'}).status_code == 200


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": "x" * 41}, "name"),
        ({"name": 5}, "name"),
        ({"name": "\ud800"}, "name"),
        ({"status": "lost"}, "status"),
        ({"expiration_seconds": 59}, "expiration_seconds"),
        ({"expirationSeconds": 3600}, "expirationSeconds"),
        ({"cost_usd": "1"}, "cost_usd"),
        ({"name": "After", "reason": 5}, "reason"),
        ({"name": "After", "reason": "\x00"}, "reason"),
        ({"name": "Before"}, "detail"),
        ({}, "detail"),
        ([], "detail"),
        ("x", "detail"),
    ],
)
def test_corrections_that_make_no_sense_are_errors(
    client: Client, session: Session, body: Any, field: str
) -> None:
    answer = patch(client, session, body)
    assert answer.status_code == 400
    assert field in answer.json()
    assert not Edit.objects.exists()


def test_a_correction_sent_twice_is_one(client: Client, session: Session) -> None:
    tag, key = etag(client, session), str(uuid4())
    first = patch(client, session, {"name": "After"}, if_match=tag, **{"Idempotency-Key": key})
    second = patch(client, session, {"name": "After"}, if_match=tag, **{"Idempotency-Key": key})
    assert (first.status_code, second.status_code) == (202, 202)
    assert first.json()["id"] == second.json()["id"]
    other = patch(client, session, {"name": "Other"}, if_match=tag, **{"Idempotency-Key": key})
    assert (other.status_code, other.json()) == (
        409,
        {"detail": "This Idempotency-Key was sent before, with something else."},
    )
    assert patch(client, session, {"name": "x"}, **{"Idempotency-Key": "1"}).status_code == 400
    assert Edit.objects.count() == 1


@pytest.fixture
def said(session: Session, organization: Organization, sandbox: SandboxProcess) -> Session:
    """With two messages."""
    messages = [{"role": "user", "content": "Helo."}, {"role": "assistant", "content": "Hello."}]
    sandbox.change("sessions", session.pk, {"messages": messages})
    found = refetch_session(organization, session.pk)
    assert found is not None
    return found


@pytest.mark.parametrize(
    "other",
    [
        {"do": "replace", "position": 0, "text": "Hello!"},
        {"do": "replace", "position": 1, "text": "Hallo!"},
        {"do": "remove", "position": 0},
    ],
)
def test_a_key_stands_for_the_words_that_were_sent_with_it(
    client: Client, said: Session, other: dict[str, Any]
) -> None:
    key = {"Idempotency-Key": str(uuid4())}
    body = {"messages": [{"do": "replace", "position": 0, "text": "Hallo!"}]}
    first = patch(client, said, body, **key)
    assert push_edit(first.json()["id"]) == EditState.APPLIED
    assert patch(client, said, body, **key).json()["id"] == first.json()["id"]
    assert patch(client, said, {"messages": [other]}, **key).status_code == 409
    assert Edit.objects.count() == 1


def test_a_key_stands_for_one_kind_of_one_sender(
    program: MakeClient, client: Client, said: Session, organization: Organization
) -> None:
    key = {"Idempotency-Key": str(uuid4()), "If-Match": "*"}
    assert client.delete(path_of(said), headers=key).status_code == 202
    assert client.delete(path_of(said), headers=key).status_code == 202
    assert program().delete(path_of(said), headers=key).status_code == 409
    assert patch(client, said, {"name": "After"}, **key).status_code == 409
    assert patch(client, said, {"messages": [{"do": "redact", "position": 0}]}, **key).status_code == 409
    assert client.delete("/api/v1/sessions/other/", headers=key).status_code == 404
    make_session(organization, "other")
    assert client.delete("/api/v1/sessions/other/", headers=key).status_code == 409
    assert Edit.objects.get().kind == "delete"


def test_a_deletion_is_not_answered_with_a_correction(client: Client, session: Session) -> None:
    key = {"Idempotency-Key": str(uuid4()), "If-Match": "*"}
    patch(client, session, {"name": "After"}, **key)
    assert client.delete(path_of(session), headers=key).status_code == 409


def test_a_correction_sent_twice_is_one_whatever_moved_meanwhile(
    client: Client, session: Session, organization: Organization, sandbox: SandboxProcess
) -> None:
    key = {"Idempotency-Key": str(uuid4())}
    body = {"name": "After", "status": "active"}
    first = patch(client, session, body, **key).json()["id"]
    sandbox.change("sessions", session.pk, {"name": "Theirs", "status": "completed"})
    refetch_session(organization, session.pk)

    again = patch(client, session, body, **key)

    assert again.status_code == 202 and again.json()["id"] == first
    others: list[dict[str, Any]] = [
        {"name": "After", "status": "completed"},
        {"name": "After", "status": "active", "expiration_seconds": 600},
        {"status": "active"},
        {"name": "Theirs", "status": "active"},
    ]
    for other in others:
        assert patch(client, session, other, **key).status_code == 409
    assert Edit.objects.count() == 1


def test_what_took_the_place_of_another_edit_is_known_again(client: Client, session: Session) -> None:
    patch(client, session, {"name": "After"})
    key = {"Idempotency-Key": str(uuid4())}
    first = patch(client, session, {"name": "Before"}, **key).json()
    assert first["base"] == {"name": "Before"}
    assert patch(client, session, {"name": "Before"}, **key).json()["id"] == first["id"]


def test_a_persons_correction_carries_their_name(editor_client: Client, session: Session) -> None:
    assert patch(editor_client, session, {"name": "After"}).json()["author"] == "editor"


@pytest.fixture
def conflict(client: Client, session: Session, sandbox: SandboxProcess) -> int:
    edit_id = patch(client, session, {"name": "Mine"}).json()["id"]
    sandbox.change("sessions", session.pk, {"name": "Theirs"})
    assert push_edit(edit_id) == EditState.CONFLICT
    return int(edit_id)


def resolve(client: Client, edit_id: int, body: Any) -> Any:
    return client.post(f"/api/v1/edits/{edit_id}/resolve/", body, content_type="application/json")


@pytest.mark.parametrize(("choice", "name"), [("mine", "Mine"), ({"value": "Third"}, "Third")])
def test_a_conflict_is_settled_by_sending(client: Client, conflict: int, choice: Any, name: str) -> None:
    shown = client.get(f"/api/v1/edits/{conflict}/").json()
    assert (shown["state"], shown["theirs"]) == ("conflict", {"name": "Theirs"})
    answer = resolve(client, conflict, {"fields": {"name": choice}})
    assert answer.status_code == 200
    settled = answer.json()
    assert (settled["state"], settled["base"]) == ("queued", {"name": "Theirs"})
    assert client.get(f"/api/v1/edits/{conflict}/").json()["superseded_by"] == settled["id"]
    assert push_edit(settled["id"]) == EditState.APPLIED
    assert Session.objects.get().name == name


def test_a_conflict_is_settled_by_taking_theirs(client: Client, conflict: int) -> None:
    assert resolve(client, conflict, {"fields": {"name": "theirs"}}).json()["state"] == "withdrawn"
    assert resolve(client, conflict, {"fields": {"name": "theirs"}}).status_code == 409


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        {"fields": 1},
        {"fields": {}},
        {"fields": {"name": "yours"}},
        {"fields": {"name": {"value": None}}},
        {"fields": {"name": {"value": "  "}}},
        {"fields": {"name": "mine"}, "x": 1},
    ],
)
def test_a_conflict_is_not_settled_by_nonsense(client: Client, conflict: int, body: Any) -> None:
    assert resolve(client, conflict, body).status_code == 400
    assert Edit.objects.get().state == EditState.CONFLICT


def test_an_edit_is_withdrawn_before_it_is_sent(
    client: Client, session: Session, sandbox: SandboxProcess
) -> None:
    edit_id = patch(client, session, {"name": "After"}).json()["id"]
    assert client.post(f"/api/v1/edits/{edit_id}/withdraw/").json()["state"] == "withdrawn"
    assert client.post(f"/api/v1/edits/{edit_id}/withdraw/").status_code == 409
    push_edit(edit_id)
    assert sandbox.journal("PATCH") == []


@pytest.mark.parametrize("kind", ["delete", "messages"])
def test_withdrawing_asks_for_the_right_to_make_such_an_edit(
    editor_client: Client, admin_client: Client, program: MakeClient, session: Session, kind: str
) -> None:
    edit = Edit.objects.create(organization=session.organization, session_id=session.pk, kind=kind)
    plain = program("sessions:read", "sessions:write")
    for client in (editor_client, plain):
        assert client.post(f"/api/v1/edits/{edit.pk}/withdraw/").status_code == 403
    assert admin_client.post(f"/api/v1/edits/{edit.pk}/withdraw/").json()["state"] == "withdrawn"


def test_who_may_not_see_edits_is_not_told_what_is_pending(
    client: Client, viewer_client: Client, viewer: User, session: Session
) -> None:
    patch(client, session, {"name": "After"})
    assert viewer_client.get(path_of(session)).json()["pending"] == {"name": "After"}
    viewer.user_permissions.remove(*viewer.user_permissions.filter(codename="view_edit"))
    shown = viewer_client.get(path_of(session)).json()
    assert (shown["pending"], shown["newest_edit"]) == ({}, None)


def test_a_session_is_fetched_again(client: Client, session: Session, sandbox: SandboxProcess) -> None:
    sandbox.change("sessions", session.pk, {"name": "Newer"})
    answer = client.post(path_of(session, "refetch/"))
    assert answer.status_code == 200
    assert answer.json()["name"] == "Newer"
    assert answer["ETag"]


def test_a_session_that_is_not_mirrored_is_fetched(client: Client, sandbox: SandboxProcess) -> None:
    row = sandbox.truth()[1]
    path = f"/api/v1/sessions/{row['id']}/"
    Organization.objects.update(base_url=sandbox.url)
    assert client.get(path).status_code == 404
    assert client.post(f"{path}refetch/").json()["id"] == row["id"]
    assert client.get(path).status_code == 200
    assert client.post("/api/v1/sessions/nobody/refetch/").status_code == 404


def test_a_session_that_vapi_has_no_more_stays_and_says_so(
    client: Client, session: Session, sandbox: SandboxProcess
) -> None:
    sandbox.change("sessions", session.pk, delete=True)
    assert client.post(path_of(session, "refetch/")).status_code == 404
    assert client.get(path_of(session)).json()["missing_reason"] == "gone"


@pytest.mark.parametrize(
    ("fault", "status", "retry_after"),
    [("500", 503, None), ("429:retry_after=33", 503, "33"), ("html200", 503, None), ("401", 502, None)],
)
def test_a_vapi_that_does_not_answer_changes_nothing(
    client: Client,
    session: Session,
    sandbox: SandboxProcess,
    fault: str,
    status: int,
    retry_after: str | None,
) -> None:
    sandbox.fault(fault)
    answer = client.post(path_of(session, "refetch/"))
    assert answer.status_code == status
    assert answer.headers.get("Retry-After") == retry_after
    assert client.get(path_of(session)).json()["missing_since"] is None


def test_queries_of_a_session_do_not_grow(
    organization: Organization, program: MakeClient, django_assert_max_num_queries: Callable[..., Any]
) -> None:
    client = program()
    session = make_session(organization, "s1")
    client.get(path_of(session))
    with CaptureQueriesContext(connection) as few:
        client.get(path_of(session))
    for number in range(50):
        Edit.objects.create(
            organization=organization, session_id="s1", fields={"name": str(number)}, state="applied"
        )
    with django_assert_max_num_queries(len(few)):
        client.get(path_of(session))
