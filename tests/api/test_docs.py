"""The OpenAPI document and its page: complete, without warnings, and all from this server."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.staticfiles import finders
from django.core.management import call_command
from django.test import Client

from tests.api.conftest import MakeClient


def test_the_document_is_made_without_a_warning() -> None:
    call_command("spectacular", "--validate", "--fail-on-warn", stdout=io.StringIO())


def test_the_document_names_every_address(program: MakeClient) -> None:
    document = program("runs:read").get("/api/schema/?format=json").json()
    assert set(document["paths"]) >= {
        "/api/v1/sessions/",
        "/api/v1/sessions/{session_id}/",
        "/api/v1/sessions/{session_id}/refetch/",
        "/api/v1/chats/",
        "/api/v1/costs/",
        "/api/v1/edits/{edit_id}/resolve/",
        "/api/v1/bulk-edits/",
        "/api/v1/bulk-edits/{bulk_id}/approve/",
        "/api/v1/sync-runs/",
    }
    names = {item["name"] for item in document["paths"]["/api/v1/sessions/"]["get"]["parameters"]}
    assert {"limit", "cursor", "ordering", "search", "q", "created_at__gte"} <= names
    assert "token" in document["components"]["securitySchemes"]


def test_the_page_is_for_people_who_signed_in(db: None, viewer_client: Client) -> None:
    assert viewer_client.get("/api/docs/").status_code == 200
    answer = Client().get("/api/docs/")
    assert answer.status_code == 302
    assert answer["Location"].startswith("/admin/login/")


@pytest.mark.parametrize("query", ["", "?script="])
def test_the_page_needs_nothing_from_elsewhere(viewer_client: Client, query: str) -> None:
    answer = viewer_client.get(f"/api/docs/{query}")
    assert answer.status_code == 200
    assert "Content-Security-Policy" in answer
    assert not re.findall(r"(?:src|href)=[\"'](?:https?:)?//", answer.text)
    assert not re.search(r"<script(?![^>]*\bsrc=)", answer.text)
    for path in re.findall(r"(?:src|href)=\"/static/([^\"?]+)", answer.text):
        assert finders.find(path), path


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def test_every_operation_says_what_it_is_for_and_which_scope_it_needs(program: MakeClient) -> None:
    document = program("runs:read").get("/api/schema/?format=json").json()
    titles: dict[str, str] = {}
    for name, operation in operations(document):
        assert operation["summary"], name
        assert re.search(r"Scope: `[a-z]+:[a-z]+`\.", operation["description"]), name
        assert {"400", "401", "403"} <= operation["responses"].keys(), name
        assert ("404" in operation["responses"]) == ("{" in name), name
        assert operation["tags"][0] in {tag["name"] for tag in document["tags"]}, name
        # No two are called the same.
        assert titles.setdefault(operation["summary"], name) == name
        for parameter in operation.get("parameters", ()):
            assert parameter.get("description") or parameter["in"] == "path", (name, parameter["name"])
            assert not re.search(r"\b(column|text_index|found)\b", parameter.get("description", "")), name


def test_lists_say_how_complete_they_are_in_headers(program: MakeClient) -> None:
    document = program("runs:read").get("/api/schema/?format=json").json()
    answer = document["paths"]["/api/v1/sessions/"]["get"]["responses"]["200"]
    assert answer["headers"].keys() == {"Vapiadmin-Complete-As-Of", "Vapiadmin-Proven-Through"}
    patch = document["paths"]["/api/v1/sessions/{session_id}/"]["patch"]["responses"]
    assert {"412", "428"} <= patch.keys()


@pytest.mark.parametrize(
    ("address", "scope"),
    [("costs/", "costs:read"), ("sync-runs/", "runs:read"), ("legal-holds/", "holds:write")],
)
def test_a_refusal_names_the_scope(program: MakeClient, address: str, scope: str) -> None:
    answer = program("sessions:read").get(f"/api/v1/{address}")
    assert (answer.status_code, answer.json()) == (403, {"detail": f"This token lacks the scope {scope}."})


def test_a_yes_or_no_that_is_neither_is_told_its_words(program: MakeClient) -> None:
    answer = program("sessions:read").get("/api/v1/sessions/?missing=1")
    assert (answer.status_code, answer.json()) == (400, {"missing": ["Enter true or false."]})
