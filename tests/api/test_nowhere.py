"""Requests that no view answers: programs get JSON below /api/, people get pages."""

from __future__ import annotations

import json

import pytest
from django.contrib.auth.models import User
from django.test import Client

from sessions_app.api.runs import SyncRunList
from sessions_app.models import Edit, Organization
from tests.api.conftest import MakeClient
from tests.search.rows import make_session


def test_an_unknown_address_is_json_below_api_and_a_page_elsewhere(db: None) -> None:
    answer = Client().get("/api/v1/no-such-thing/")
    assert (answer.status_code, answer["Content-Type"]) == (404, "application/json")
    assert answer.json() == {"detail": "There is nothing at this address."}
    page = Client().get("/no-such-thing/")
    assert (page.status_code, page["Content-Type"]) == (404, "text/html; charset=utf-8")


@pytest.mark.parametrize("method", ["get", "post", "patch", "delete"])
def test_an_address_without_its_last_slash_leads_on_with_method_and_body(
    program: MakeClient, organization: Organization, method: str
) -> None:
    answer = getattr(program(), method)("/api/v1/sessions/s1?a=1&b=%2F")
    assert answer.status_code == 308
    assert answer["Location"] == "/api/v1/sessions/s1/?a=1&b=%2F"
    assert answer.json() == {"detail": "This address ends with a slash: /api/v1/sessions/s1/"}


def test_a_correction_without_the_slash_is_not_lost(program: MakeClient, organization: Organization) -> None:
    make_session(organization, "s1")
    answer = program().patch(
        "/api/v1/sessions/s1",
        json.dumps({"name": "Anew"}),
        content_type="application/json",
        headers={"If-Match": "*"},
        follow=True,
    )
    assert answer.status_code == 202
    assert Edit.objects.get().fields == {"name": "Anew"}


def test_what_leads_nowhere_with_a_slash_either_is_not_found() -> None:
    assert Client().get("/api/v1/no-such-thing").status_code == 404


@pytest.mark.parametrize(
    ("path", "kind"), [("/api/v1/sessions/", "application/json"), ("/admin/", "text/html; charset=utf-8")]
)
def test_a_host_that_is_not_ours_is_refused(path: str, kind: str) -> None:
    answer = Client(HTTP_HOST="elsewhere.test").get(path)
    assert (answer.status_code, answer["Content-Type"]) == (400, kind)
    assert "elsewhere" not in answer.text


def test_a_crash_is_json_without_its_words(program: MakeClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(*args: object, **path: object) -> None:
        raise RuntimeError("what a customer said")

    client = program()
    client.raise_request_exception = False
    monkeypatch.setattr(SyncRunList, "get", crash)
    answer = client.get("/api/v1/sync-runs/")
    assert (answer.status_code, answer["Content-Type"]) == (500, "application/json")
    assert "customer" not in answer.text
    assert answer["X-Request-ID"]


def test_signing_out_is_said_in_our_words(admin_user: User) -> None:
    client = Client()
    client.force_login(admin_user, backend="django.contrib.auth.backends.ModelBackend")
    page = client.post("/admin/logout/")
    assert page.status_code == 200
    assert "You are signed out" in page.text
