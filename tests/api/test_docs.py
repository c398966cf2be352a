"""The OpenAPI document and its page: complete, without warnings, and all from this server."""

from __future__ import annotations

import io
import re

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
