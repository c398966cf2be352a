"""Bulk edits over REST: tried out, begun once, followed, and decided about by whom they concern."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from sessions_app.edits import bulk as bulks
from sessions_app.models import BulkEdit, Edit, Organization
from sessions_app.models.access import Scope
from sessions_app.tokens import make_token
from tests.api.conftest import MakeClient
from tests.search.rows import make_session

pytestmark = pytest.mark.django_db(transaction=True)
PATH = "/api/v1/bulk-edits/"
COMPLETE = {"change": {"status": "completed"}, "reason": "Tidy"}
DECISIONS = ("pause", "go-on", "cancel", "retry", "undo", "approve", "refuse")


@pytest.fixture(autouse=True)
def sessions(organization: Organization) -> None:
    """Four active sessions and a completed one."""
    for number in range(5):
        status = "completed" if number == 4 else "active"
        make_session(organization, f"s{number}", status=status, minute=number)


@pytest.fixture
def client_of() -> Callable[[User], Client]:
    """client_of(person) is a program with a token that is theirs."""

    def make(person: User) -> Client:
        _, text = make_token(f"of {person.username}", list(Scope.values), created_by=person)
        return Client(headers={"Authorization": f"Bearer {text}"})

    return make


def post(client: Client, path: str = PATH, body: Any = None, **headers: str) -> Any:
    return client.post(path, body if body is not None else {}, "application/json", headers=headers)


def begin(client: Client, **body: Any) -> int:
    answer = post(client, body={"ids": ["s0", "s1"], **COMPLETE, **body})
    assert answer.status_code == 202, answer.json()
    number: int = answer.json()["id"]
    return number


def test_a_dry_run_says_what_would_happen_and_keeps_nothing(client: Client) -> None:
    answer = post(client, f"{PATH}?created_at__gte=2026-01-01", {**COMPLETE, "dry_run": True})
    assert answer.status_code == 200
    assert answer.json() == {
        "organization": "sandbox",
        "total": 5,
        "changing": 4,
        "already": 1,
        "refused": [],
        "example": {"method": "PATCH", "path": "/session/s0", "body": {"status": "completed"}},
        "needs_approval": False,
        "can_be_undone": True,
    }
    assert not BulkEdit.objects.exists()


def test_bulks_of_nobody_are_those_of_tokens(client: Client, admin: User, organization: Organization) -> None:
    begun = begin(client)
    own = BulkEdit.objects.create(organization=organization, fields={"name": "x"}, author=admin)
    for author, found in (("none", begun), ("admin", own.pk)):
        assert [row["id"] for row in client.get(PATH, {"author": author}).json()["results"]] == [found]
    assert client.get(PATH, {"author": "stranger"}).json()["results"] == []


def test_what_the_filters_find_is_changed_and_followed(client: Client) -> None:
    answer = post(client, body={"filters": {"status": ["active"]}, **COMPLETE})
    assert answer.status_code == 202
    begun = answer.json()
    assert (begun["state"], begun["total"], begun["author"]) == ("running", 4, "token test")
    assert answer["Location"].endswith(f"{PATH}{begun['id']}/")

    bulks.advance(begun["id"])
    Edit.objects.filter(session_id="s0").update(state="applied")
    seen = client.get(f"{PATH}{begun['id']}/").json()
    assert seen["counts"] == {"applied": 1, "queued": 3}
    assert seen["progress"] == {"total": 4, "queued": 4, "settled": 1}
    assert seen["change"] == {"status": "completed"}
    [row] = client.get(PATH, {"state": "running"}).json()["results"]
    assert row["counts"] == seen["counts"]
    assert client.get("/api/v1/edits/", {"bulk": begun["id"]}).json()["results"][0]["source"] == "bulk"


@pytest.mark.parametrize("dry_run", [True, False])
def test_filters_that_match_nothing_begin_nothing(client: Client, dry_run: bool) -> None:
    answer = post(client, body={"filters": {"status": "nowhere"}, **COMPLETE, "dry_run": dry_run})
    assert answer.status_code == 200
    assert (answer.json()["total"], answer.json()["organization"]) == (0, None)
    assert not BulkEdit.objects.exists()
    # What is wrong is told all the same.
    wrong = {"filters": {"status": "nowhere"}, "change": {"status": "gone"}, "dry_run": dry_run}
    assert post(client, body=wrong).status_code == 400
    assert post(client, body={"ids": [], **COMPLETE}).status_code == 400


def test_what_came_through_is_not_tried_again(client: Client) -> None:
    bulk = begin(client)
    bulks.advance(bulk)
    Edit.objects.update(state="applied")
    bulks.advance(bulk)
    done = BulkEdit.objects.get()
    assert done.finished_at
    answer = client.post(f"{PATH}{bulk}/retry/", {}, content_type="application/json")
    assert (answer.status_code, answer.json()) == (
        409,
        {"detail": "Nothing of this bulk edit was rejected or given up."},
    )
    again = BulkEdit.objects.get()
    assert (again.state, again.finished_at) == (done.state, done.finished_at)


def test_the_same_key_and_body_are_one_bulk(client: Client, program: MakeClient) -> None:
    key = {"Idempotency-Key": str(uuid4())}
    body = {"ids": ["s0", "s1"], **COMPLETE}
    first, again = post(client, body=body, **key), post(client, body=dict(reversed(body.items())), **key)
    assert first.status_code == again.status_code == 202
    assert first.json()["id"] == again.json()["id"] and BulkEdit.objects.count() == 1

    assert post(client, body={**body, "reason": "Other"}, **key).status_code == 409
    assert post(program(), body=body, **key).status_code == 409
    assert post(client, body=body, **{"Idempotency-Key": "first"}).status_code == 400
    assert BulkEdit.objects.count() == 1


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ([], "detail"),
        ({}, "change"),
        ({"change": {}, "ids": ["s0"]}, "change"),
        ({"change": {"colour": "red"}, "ids": ["s0"]}, "colour"),
        ({"change": {"name": None}, "ids": ["s0"]}, "name"),
        ({"change": {"name": "n" * 41}, "ids": ["s0"]}, "name"),
        ({"change": {"status": "gone"}, "ids": ["s0"]}, "status"),
        ({"change": {"extend_seconds": 0}, "ids": ["s0"]}, "extend_seconds"),
        ({"change": {"extend_seconds": True}, "ids": ["s0"]}, "extend_seconds"),
        ({"change": {"expiration_seconds": 10**40}, "ids": ["s0"]}, "expiration_seconds"),
        ({"change": {"delete": False}, "ids": ["s0"]}, "delete"),
        ({**COMPLETE}, "filters"),
        ({**COMPLETE, "ids": ["s0"], "filters": {}}, "filters"),
        ({**COMPLETE, "ids": "s0"}, "ids"),
        ({**COMPLETE, "ids": [1]}, "ids"),
        ({**COMPLETE, "ids": ["nobody"]}, "ids"),
        ({**COMPLETE, "ids": ["\x00"]}, "ids"),
        ({**COMPLETE, "ids": []}, "detail"),
        ({**COMPLETE, "filters": {"colour": "red"}}, "colour"),
        ({**COMPLETE, "filters": {"status": {}}}, "status"),
        ({**COMPLETE, "filters": {"name": ["a", "b"]}}, "name"),
        ({**COMPLETE, "filters": {"organization": "elsewhere"}}, "organization"),
        ({**COMPLETE, "ids": ["s0"], "dry_run": "yes"}, "dry_run"),
        ({**COMPLETE, "ids": ["s0"], "reason": ""}, "reason"),
        ({**COMPLETE, "ids": ["s0"], "colour": "red"}, "colour"),
    ],
)
def test_what_is_not_understood_is_said_by_field(client: Client, body: Any, field: str) -> None:
    answer = post(client, body=body)
    assert answer.status_code == 400
    assert field in answer.json(), answer.json()
    assert not BulkEdit.objects.exists()


def test_sessions_of_two_organizations_are_refused(client: Client, organization: Organization) -> None:
    other = Organization.objects.create(slug="other", name="Other", is_sandbox=True)
    make_session(other, "theirs")
    answer = post(client, body={"filters": {}, **COMPLETE})
    assert answer.status_code == 400 and "one organization" in answer.json()["detail"][0]
    assert post(client, body={"filters": {"organization": "sandbox"}, **COMPLETE}).status_code == 202


def test_it_is_paused_continued_cancelled_retried_and_undone(client: Client) -> None:
    bulk = begin(client)
    for act, state in (("pause", "paused"), ("go-on", "running")):
        answer = post(client, f"{PATH}{bulk}/{act}/")
        assert (answer.status_code, answer.json()["state"]) == (202, state)
    assert post(client, f"{PATH}{bulk}/go-on/").status_code == 409
    assert post(client, f"{PATH}{bulk}/undo/", {"reason": "Early"}).status_code == 409

    bulks.advance(bulk)
    Edit.objects.filter(session_id="s0").update(state="applied")
    Edit.objects.filter(session_id="s1").update(state="rejected")
    bulks.finish(bulk)
    assert client.get(PATH).json()["results"][0]["counts"] is None
    assert post(client, f"{PATH}{bulk}/retry/").json()["counts"] == {"applied": 1, "queued": 1}
    Edit.objects.filter(state="queued").update(state="applied")
    bulks.finish(bulk)

    assert post(client, f"{PATH}{bulk}/undo/").json() == {"reason": ["Say why."]}
    back = post(client, f"{PATH}{bulk}/undo/", {"reason": "Wrong"}).json()
    assert (back["undoes"], back["total"], back["state"]) == (bulk, 2, "running")
    assert client.get(f"{PATH}{bulk}/").json()["undone_by"] == back["id"]
    assert post(client, f"{PATH}{back['id']}/cancel/").json()["state"] == "cancelled"


def test_deleting_is_typed_and_approved_by_another_person(
    client_of: Callable[[User], Client], program: MakeClient, administrator: User, admin: User, ops: User
) -> None:
    asker, other = client_of(administrator), client_of(admin)
    body = {"ids": ["s0", "s1"], "change": {"delete": True}, "reason": "Test calls"}
    tried = post(asker, body={**body, "dry_run": True}).json()
    assert (tried["needs_approval"], tried["can_be_undone"], tried["example"]["method"]) == (
        True,
        False,
        "DELETE",
    )
    for typed in ({}, {"confirm": 3}, {"confirm": "yes"}):
        assert "confirm" in post(asker, body={**body, **typed}).json()
    assert not BulkEdit.objects.exists()
    begun = post(asker, body={**body, "confirm": 2}).json()
    assert begun["state"] == "awaiting"

    approve = f"{PATH}{begun['id']}/approve/"
    for client in (asker, program(), client_of(ops)):
        assert post(client, approve, {"reason": "Fine"}).status_code == 403
    assert not Edit.objects.exists()
    answer = post(other, approve, {"reason": "Fine"})
    assert (answer.status_code, answer.json()["state"]) == (202, "running")
    assert (answer.json()["decided_by"], answer.json()["decision_reason"]) == ("admin", "Fine")
    refused = begin(asker, change={"delete": True}, confirm="delete")
    assert post(other, f"{PATH}{refused}/refuse/", {"reason": "No"}).json()["state"] == "refused"


def test_rights(program: MakeClient, client: Client, viewer_client: Client, editor_client: Client) -> None:
    bulk = begin(client)
    body = {"ids": ["s0"], **COMPLETE}
    addresses = [PATH, *(f"{PATH}{bulk}/{act}/" for act in DECISIONS)]
    for path in addresses:
        assert post(Client(), path, body).status_code == 401
        assert post(program("sessions:read"), path, body).status_code == 403
        for person in (viewer_client, editor_client):
            assert post(person, path, body).status_code == 403
        assert client.put(path).status_code == 405
    writer = program("sessions:read", "sessions:write")
    assert post(writer, body={**body, "change": {"delete": True}, "confirm": 1}).status_code == 403
    assert writer.get(f"{PATH}{bulk}/").status_code == 200
    assert program("sessions:write").get(f"{PATH}{bulk}/").status_code == 403
    assert viewer_client.get(f"{PATH}{bulk}/").status_code == 200
    assert client.get(f"{PATH}99/").status_code == post(client, f"{PATH}99/pause/").status_code == 404


def test_reading_costs_the_same_for_many(client: Client, organization: Organization, ops: User) -> None:
    def queries(path: str) -> int:
        client.get(path)
        with CaptureQueriesContext(connection) as captured:
            assert client.get(path).status_code == 200
        return len(captured)

    small = begin(client, ids=["s0"])
    bulks.advance(small)
    one, row = queries(PATH), queries(f"{PATH}{small}/")
    for number in range(100):
        make_session(organization, f"more{number}", minute=number)
    large = post(client, body={"filters": {"status": "none"}, **COMPLETE}).json()["id"]
    bulks.advance(large)
    assert BulkEdit.objects.get(pk=large).total == 100
    assert queries(PATH) == one and queries(f"{PATH}{large}/") == row
