"""Who may see and do what in the browser, as named people."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.test import Client

from sessions_app.models import ApiToken, Edit, Organization
from sessions_app.models.edits import EditState
from tests.admin.rows import mirror_chat, mirror_session

SESSION = "/admin/sessions_app/session/session-1/"
READS = {
    "/admin/sessions_app/session/": {"viewer", "editor", "ops", "admin"},
    f"{SESSION}change/": {"viewer", "editor", "ops", "admin"},
    f"{SESSION}live/": {"viewer", "editor", "ops", "admin"},
    f"{SESSION}payload/": {"viewer", "editor", "ops", "admin"},
    f"{SESSION}edit/": {"editor", "ops", "admin"},
    "/admin/sessions_app/chat/": {"viewer", "editor", "ops", "admin"},
    "/admin/sessions_app/chat/chat-1/change/": {"viewer", "editor", "ops", "admin"},
    "/admin/sessions_app/edit/": {"viewer", "editor", "ops", "admin"},
    "/admin/sessions_app/edit/{edit}/change/": {"viewer", "editor", "ops", "admin"},
    "/admin/sessions_app/costline/": {"ops", "admin"},
    "/admin/sessions_app/syncrun/": {"ops", "admin"},
    "/admin/sessions_app/quarantinedrecord/": {"ops", "admin"},
    "/admin/sessions_app/organization/": {"editor", "ops", "admin"},
    "/admin/sessions_app/organization/add/": {"admin"},
    "/admin/sessions_app/apitoken/": {"admin"},
    "/admin/sessions_app/apitoken/add/": {"admin"},
    "/admin/auth/user/": {"admin"},
    "/admin/auth/group/": {"admin"},
}
# What changes something, here or at Vapi.
POSTS = {
    f"{SESSION}refetch/": {"editor", "ops", "admin"},
    "/admin/sessions_app/session/unknown/adopt/": {"editor", "ops", "admin"},
    "/admin/sessions_app/edit/{edit}/resolve/": {"editor", "ops", "admin"},
    "/admin/sessions_app/edit/{edit}/withdraw/": {"editor", "ops", "admin"},
    "/admin/sessions_app/edit/{edit}/retry/": {"editor", "ops", "admin"},
    "/admin/sessions_app/syncrun/sync/": {"ops", "admin"},
    "/admin/sessions_app/organization/{organization}/write-mode/": {"admin"},
    "/admin/sessions_app/apitoken/{token}/revoke/": {"admin"},
}
PEOPLE = ("stranger", "viewer", "editor", "ops", "admin")


@pytest.fixture
def ids(organization: Organization) -> dict[str, int]:
    mirror_session(organization)
    mirror_chat(organization)
    edit = Edit.objects.create(organization=organization, session_id="session-1", fields={"name": "x"})
    token = ApiToken.objects.create(name="t", digest="d", prefix="va_")
    return {"edit": edit.pk, "organization": organization.pk, "token": token.pk}


@pytest.fixture
def browser_of(request: pytest.FixtureRequest, sign_in: Callable[[User], Client]) -> Callable[[str], Client]:
    return lambda name: sign_in(request.getfixturevalue(name))


@pytest.mark.parametrize("address", READS)
def test_reading(address: str, ids: dict[str, int], browser_of: Callable[[str], Client]) -> None:
    for person in PEOPLE:
        status = browser_of(person).get(address.format(**ids)).status_code
        assert status == (200 if person in READS[address] else 403), person
    assert Client().get(address.format(**ids)).status_code == 302


@pytest.mark.parametrize("address", POSTS)
def test_changing(address: str, ids: dict[str, int], browser_of: Callable[[str], Client]) -> None:
    for person in PEOPLE:
        status = browser_of(person).post(address.format(**ids)).status_code
        assert (status in (200, 302)) if person in POSTS[address] else (status == 403), (person, status)


@pytest.mark.parametrize("address", POSTS)
def test_what_changes_something_is_no_get(
    address: str, ids: dict[str, int], admin: User, sign_in: Callable[[User], Client]
) -> None:
    assert sign_in(admin).get(address.format(**ids)).status_code == 405
    assert Edit.objects.get(pk=ids["edit"]).state == EditState.QUEUED
    assert ApiToken.objects.get(pk=ids["token"]).revoked_at is None


@pytest.mark.parametrize("address", POSTS)
def test_what_changes_something_needs_the_forms_token(address: str, ids: dict[str, int], admin: User) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(admin, backend="django.contrib.auth.backends.ModelBackend")
    response = strict.post(address.format(**ids))
    assert response.status_code == 403
    assert "Nothing was changed" in response.content.decode()


def test_controls_are_shown_to_those_who_may_use_them(
    ids: dict[str, int], viewer_client: Client, editor_client: Client
) -> None:
    for_viewer = viewer_client.get(f"{SESSION}change/").content.decode()
    for_editor = editor_client.get(f"{SESSION}change/").content.decode()
    for words in ("Fetch again from Vapi", f"{SESSION}edit/", "Withdraw"):
        assert words not in for_viewer
        assert words in for_editor


def test_mirrored_rows_are_never_added_changed_or_deleted_by_djangos_forms(
    ids: dict[str, int], admin_client: Client
) -> None:
    for model in ("session", "chat", "costline", "edit", "syncrun", "quarantinedrecord"):
        assert admin_client.post(f"/admin/sessions_app/{model}/add/", {}).status_code == 403
    for address in (f"{SESSION}delete/", "/admin/sessions_app/chat/chat-1/delete/"):
        assert admin_client.post(address, {"post": "yes"}).status_code == 403


def test_the_front_page_is_the_first_that_one_may_open(
    editor_client: Client, stranger_client: Client
) -> None:
    assert editor_client.get("/admin/")["Location"] == "/admin/sessions_app/session/"
    assert stranger_client.get("/admin/").status_code == 302
