"""Legal holds over REST."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from sessions_app.models import LegalHold, Organization
from tests.admin.rows import mirror_session
from tests.api.conftest import MakeClient

URL = "/api/v1/legal-holds/"


@pytest.fixture
def order(organization: Organization) -> dict[str, Any]:
    mirror_session(organization, "s1", customer={"email": "ada@example.org"})
    return {"organization": "sandbox", "by": "email", "value": "Ada@example.org", "reason": "a case"}


def post(client: Client, address: str, body: Any) -> Any:
    return client.post(address, body, content_type="application/json")


def test_set_listed_and_released(program: MakeClient, order: dict[str, Any]) -> None:
    client = program("holds:write")
    answer = post(client, URL, order)
    assert answer.status_code == 201
    hold = answer.json()
    assert {name: hold[name] for name in order} == order
    assert (hold["set_by"], hold["session_count"], hold["released_at"]) == ("token test", 1, None)
    assert client.get(f"{URL}?in_force=true").json()["results"] == [hold]
    assert client.get(f"{URL}?in_force=false&organization=sandbox").json()["results"] == []

    answer = post(client, f"{URL}{hold['id']}/release/", {"reason": "settled"})

    assert answer.status_code == 200
    assert (answer.json()["released_by"], answer.json()["release_reason"]) == ("token test", "settled")
    assert answer.json()["session_count"] == 0
    assert post(client, f"{URL}{hold['id']}/release/", {"reason": "again"}).status_code == 409


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"organization": "other"}, "organization"),
        ({"by": "name"}, "by"),
        ({"value": ""}, "value"),
        ({"value": 7}, "value"),
        ({"value": "\x00"}, "value"),
        ({"reason": " "}, "reason"),
        ({"reason": None}, "reason"),
        ({"by": "session", "value": "unknown"}, "value"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_what_is_wrong_is_said(
    program: MakeClient, order: dict[str, Any], fields: dict[str, Any], name: str
) -> None:
    answer = post(program("holds:write"), URL, {**order, **fields})
    assert answer.status_code == 400
    assert list(answer.json()) == [name]
    assert not LegalHold.objects.exists()


def test_bodies_and_addresses_that_are_none(program: MakeClient, order: dict[str, Any]) -> None:
    client = program("holds:write")
    assert post(client, URL, ["a"]).status_code == 400
    assert post(client, f"{URL}99999999999999999999/release/", {"reason": "x"}).status_code == 404
    assert client.get(f"{URL}1/release/").status_code == 405
    assert client.get(f"{URL}?colour=red").status_code == 400


def test_who_may(
    program: MakeClient,
    order: dict[str, Any],
    ops_client: Client,
    editor_client: Client,
    admin_client: Client,
) -> None:
    others = program(
        "sessions:read", "sessions:write", "messages:write", "sessions:delete", "costs:read", "runs:read"
    )
    for client, get, set_ in (
        (others, 403, 403),
        (editor_client, 403, 403),
        (ops_client, 200, 403),
        (Client(), 401, 401),
    ):
        assert (client.get(URL).status_code, post(client, URL, order).status_code) == (get, set_)
        assert post(client, f"{URL}1/release/", {"reason": "x"}).status_code == set_
    assert post(admin_client, URL, order).json()["set_by"] == "admin"
