"""Who may do what over REST, endpoint by endpoint."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from sessions_app.api import urls
from sessions_app.models import ApiToken, Organization, SyncRun
from sessions_app.models.access import RIGHTS_OF_SCOPE, Scope
from sessions_app.tokens import digest_of, make_token
from tests.api.conftest import MakeClient
from tests.search.rows import make_chat, make_session

READS = {
    "/api/v1/sessions/": Scope.SESSIONS_READ,
    "/api/v1/sessions/s1/": Scope.SESSIONS_READ,
    "/api/v1/sessions/s1/chats/": Scope.SESSIONS_READ,
    "/api/v1/sessions/s1/costs/": Scope.COSTS_READ,
    "/api/v1/sessions/s1/edits/": Scope.SESSIONS_READ,
    "/api/v1/sessions/s1/history/": Scope.SESSIONS_READ,
    "/api/v1/chats/": Scope.SESSIONS_READ,
    "/api/v1/chats/c1/": Scope.SESSIONS_READ,
    "/api/v1/costs/": Scope.COSTS_READ,
    "/api/v1/costs/summary/": Scope.COSTS_READ,
    "/api/v1/edits/": Scope.SESSIONS_READ,
    "/api/v1/bulk-edits/": Scope.SESSIONS_READ,
    "/api/v1/sync-runs/": Scope.RUNS_READ,
    "/api/v1/coverage/": Scope.RUNS_READ,
}
WRITES = ("/api/v1/sessions/s1/refetch/", "/api/v1/edits/1/resolve/", "/api/v1/edits/1/withdraw/")
SINGLE = {"/api/v1/sessions/s1/", "/api/v1/chats/c1/", "/api/v1/costs/summary/"}
LISTS = [path for path in READS if path not in SINGLE]


@pytest.fixture(autouse=True)
def rows(organization: Organization) -> None:
    make_session(organization, "s1")
    make_chat(organization, "c1", session_id="s1")


@pytest.mark.parametrize("path", READS)
def test_a_token_reads_what_its_scope_names_and_nothing_else(program: MakeClient, path: str) -> None:
    others = [scope for scope in Scope.values if scope != READS[path]]
    assert program(READS[path]).get(path).status_code == 200
    assert program(*others).get(path).status_code == 403


def test_a_scope_opens_what_its_rights_name_and_nothing_else() -> None:
    """Who makes a token is asked for these rights."""
    opened: dict[str, set[str]] = {scope: {rights[0]} for scope, rights in RIGHTS_OF_SCOPE.items()}
    views: list[Any] = [getattr(pattern.callback, "cls", None) for pattern in urls._V1]
    for view in views:
        for method, permission in view.required_permissions.items():
            opened[view.required_scopes[method]].add(permission)
    assert opened == {scope: set(rights) for scope, rights in RIGHTS_OF_SCOPE.items()}


@pytest.mark.parametrize("path", [*READS, "/api/schema/"])
def test_nobody_reads_without_signing_in(path: str) -> None:
    answer = Client().get(path)
    assert answer.status_code == 401
    assert answer["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize("path", WRITES)
def test_writing_needs_its_scope(program: MakeClient, path: str) -> None:
    assert Client().post(path).status_code == 401
    readers = [scope for scope in Scope.values if scope != Scope.SESSIONS_WRITE]
    assert program(*readers).post(path).status_code == 403
    assert program(*readers).patch("/api/v1/sessions/s1/").status_code == 403


@pytest.mark.parametrize("path", [*READS, *WRITES])
def test_other_methods_are_refused(program: MakeClient, path: str) -> None:
    everything = program()
    for answer in (everything.put(path), everything.options(path)):
        assert answer.status_code == 405
        assert answer.json()["detail"].startswith("Method")
        assert set(answer["Allow"].split(", ")) <= {"GET", "HEAD", "POST", "PATCH", "DELETE"}
    assert Client().put(path).status_code == 401


@pytest.mark.parametrize("path", ["/api/schema/", "/api/docs/"])
def test_the_document_is_only_read(admin_client: Client, path: str) -> None:
    assert admin_client.post(path).status_code == 405


def test_a_body_that_is_too_large_is_not_read(program: MakeClient) -> None:
    body = b"[" + b"0," * 2_000_000 + b"0]"
    answer = program().patch("/api/v1/sessions/s1/", body, content_type="application/json")
    assert answer.status_code == 413
    assert answer.json() == {"detail": "The body is too large."}


def test_people_read_by_their_permissions(
    viewer_client: Client, ops_client: Client, stranger_client: Client
) -> None:
    allowed = {path: client_statuses(path, viewer_client, ops_client, stranger_client) for path in READS}
    for path, scope in READS.items():
        expected_of_viewer = 200 if scope == Scope.SESSIONS_READ else 403
        assert allowed[path] == [expected_of_viewer, 200, 403], path


def client_statuses(path: str, *clients: Client) -> list[int]:
    return [client.get(path).status_code for client in clients]


def test_people_correct_by_their_permissions(
    viewer: User, editor_client: Client, viewer_client: Client, sign_in: Callable[[User], Client]
) -> None:
    assert viewer_client.patch("/api/v1/sessions/s1/").status_code == 403
    assert editor_client.patch("/api/v1/sessions/s1/", content_type="application/json").status_code == 428
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(viewer, backend="django.contrib.auth.backends.ModelBackend")
    assert strict.patch("/api/v1/sessions/s1/").status_code == 403


def test_a_browser_without_the_csrf_token_changes_nothing(editor: User) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(editor, backend="django.contrib.auth.backends.ModelBackend")
    answer = strict.post("/api/v1/sessions/s1/refetch/")
    assert answer.status_code == 403
    assert "CSRF" in answer.json()["detail"]


@pytest.mark.parametrize(
    "header", ["Bearer", "Bearer nonsense", "Bearer a b", "bearer \xff", "Basic eDp5", "x"]
)
def test_what_is_no_token_is_refused(header: str) -> None:
    assert Client(headers={"Authorization": header}).get("/api/v1/sessions/").status_code == 401


def test_expired_and_revoked_tokens_are_refused() -> None:
    for changes in ({"expires_at": timezone.now() - timedelta(seconds=1)}, {"revoked_at": timezone.now()}):
        token, text = make_token("test", list(Scope.values))
        ApiToken.objects.filter(pk=token.pk).update(**changes)
        client = Client(headers={"Authorization": f"Bearer {text}"})
        assert client.get("/api/v1/sessions/").status_code == 401


def test_a_token_is_stored_hashed_and_its_use_noted_once_a_minute(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    token, text = make_token("test", [Scope.SESSIONS_READ])
    assert token.digest == digest_of(text.encode())
    assert text not in str(ApiToken.objects.values().get())
    client = Client(headers={"Authorization": f"Bearer {text}"})
    client.get("/api/v1/sessions/")
    noted = ApiToken.objects.get().last_used_at
    assert noted is not None
    with django_assert_num_queries(4):
        client.get("/api/v1/sessions/")
    assert ApiToken.objects.get().last_used_at == noted


@pytest.mark.parametrize("path", [*READS])
def test_an_unknown_parameter_is_an_error(program: MakeClient, path: str) -> None:
    answer = program().get(path, {"colour": "red"})
    assert answer.status_code == 400
    assert answer.json() == {"colour": ["Unknown parameter."]}


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize(
    "query",
    [
        {"cursor": "x"},
        {"limit": "0"},
        {"limit": "1001"},
        {"limit": "ten"},
        {"limit": ""},
        {"limit": "-1"},
        {"ordering": "digest"},
        {"organization": "a", "limit": "١"},  # noqa: RUF001 - a digit, but no number of ours
    ],
)
def test_bad_pages_are_errors(program: MakeClient, path: str, query: dict[str, str]) -> None:
    answer = program().get(path, query)
    assert answer.status_code == 400
    assert answer.json().keys() & query.keys()


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/sessions/nobody/",
        "/api/v1/sessions/nobody/chats/",
        "/api/v1/sessions/%00/",
        "/api/v1/sessions/%00/costs/",
        "/api/v1/chats/%00/",
        "/api/v1/edits/1/",
        "/api/v1/edits/99999999999999999999/",
    ],
)
def test_what_is_not_here_is_404(program: MakeClient, path: str) -> None:
    answer = program().get(path)
    assert answer.status_code == 404
    assert answer.json()["detail"]


@pytest.mark.parametrize(
    "path", ["/api/", "/api/v1/", "/api/v1/calls/", "/api/v2/sessions/", "/api/v1/edits/x/"]
)
def test_an_address_that_leads_nowhere_is_404_in_json(path: str, admin_client: Client) -> None:
    for client in (Client(), admin_client):
        answer = client.post(path)
        assert (answer.status_code, answer["Content-Type"]) == (404, "application/json")
        assert answer.json() == {"detail": "There is nothing at this address."}
    assert admin_client.get("/admin/nowhere/")["Content-Type"].startswith("text/html")


@pytest.mark.parametrize("path", LISTS)
def test_a_list_asks_as_many_queries_for_many_rows(
    organization: Organization,
    program: MakeClient,
    django_assert_num_queries: DjangoAssertNumQueries,
    path: str,
) -> None:
    client = program()
    client.get(path)
    few = _queries(client, path)
    for number in range(100):
        make_session(organization, f"more{number}", minute=number)
        make_chat(organization, f"chat{number}", session_id="s1", minute=number)
    SyncRun.objects.bulk_create(
        SyncRun(organization=organization, stream="sessions", kind="backfill", started_at=timezone.now())
        for _ in range(100)
    )
    with django_assert_num_queries(few):
        client.get(path)


def _queries(client: Client, path: str) -> int:
    with CaptureQueriesContext(connection) as captured:
        client.get(path)
    assert not any("COUNT(" in query["sql"] for query in captured)
    return len(captured)
