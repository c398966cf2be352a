"""Bodies that are JSON and hold what no database keeps: refused by field, wherever it stands."""

from __future__ import annotations

import json

import pytest
from django.test import Client

from sessions_app.models import BulkEdit, Edit, LegalHold, Organization
from tests.search.rows import make_session

SESSIONS, SESSION, HOLDS = "/api/v1/sessions/", "/api/v1/sessions/s1/", "/api/v1/legal-holds/"
HOLD = {"organization": "sandbox", "by": "session", "value": "s1", "reason": "claim"}
ODD = ["\ud800", "\udfff\ud800", "a\x00b"]


@pytest.fixture
def client(client: Client, organization: Organization) -> Client:
    make_session(organization, "s1")
    return client


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize(
    ("method", "path", "body", "field"),
    [
        ("post", "/api/v1/bulk-edits/", {"filters": {"name": "ODD"}}, "filters"),
        ("post", "/api/v1/bulk-edits/", {"filters": {"ODD": "x"}}, "filters"),
        ("post", "/api/v1/bulk-edits/", {"ODD": 1}, "REPLACED"),
        ("patch", SESSION, {"name": "ODD"}, "name"),
        ("patch", SESSION, {"ODD": "x"}, "REPLACED"),
        ("patch", SESSION, {"messages": [{"do": "ODD"}]}, "messages"),
        ("post", SESSIONS, {"organization": "ODD"}, "organization"),
        ("post", SESSIONS, {"customer": {"ODD": "x"}}, "customer"),
        ("post", HOLDS, {**HOLD, "reason": "ODD"}, "reason"),
        ("post", HOLDS, {**HOLD, "value": "ODD"}, "value"),
        ("post", HOLDS, {**HOLD, "organization": "ODD"}, "organization"),
        ("post", HOLDS, ["ODD"], "detail"),
    ],
)
def test_text_that_no_database_keeps_is_refused_by_field(
    client: Client, method: str, path: str, body: object, field: str, odd: str
) -> None:
    text = json.dumps(body).replace("ODD", json.dumps(odd)[1:-1])
    answer = getattr(client, method)(path, text, content_type="application/json", headers={"If-Match": "*"})

    assert answer.status_code == 400
    replaced = odd.translate(dict.fromkeys([0, 0xD800, 0xDFFF], "\N{REPLACEMENT CHARACTER}"))
    assert list(answer.json()) == [field.replace("REPLACED", replaced)]
    assert not (Edit.objects.exists() or BulkEdit.objects.exists() or LegalHold.objects.exists())


@pytest.mark.parametrize("fields", [{"ODD": "mine"}, {"name": {"value": "ODD"}}])
def test_a_conflict_is_not_settled_by_it(
    client: Client, organization: Organization, fields: dict[str, object]
) -> None:
    edit = Edit.objects.create(
        organization=organization,
        session_id="s1",
        state="conflict",
        fields={"name": "x"},
        theirs={"name": "y"},
    )
    body = json.dumps({"fields": fields}).replace("ODD", "\\ud800")

    answer = client.post(f"/api/v1/edits/{edit.pk}/resolve/", body, content_type="application/json")

    assert (answer.status_code, list(answer.json())) == (400, ["fields"])
    assert Edit.objects.get().state == "conflict"


@pytest.mark.parametrize("depth", [900, 100_000])
def test_a_body_that_is_too_deep_is_refused(client: Client, depth: int) -> None:
    body = '{"name": ' + "[" * depth + "]" * depth + "}"

    answer = client.patch(SESSION, body, content_type="application/json", headers={"If-Match": "*"})

    assert answer.status_code == 400
