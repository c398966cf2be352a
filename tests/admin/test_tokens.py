"""API tokens in the browser: shown once, and revoked."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from uuid import uuid4

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from sessions_app.models import ApiToken, Organization
from sessions_app.tokens import digest_of, make_token

URL = "/admin/sessions_app/apitoken/"


def test_a_token_is_shown_once_and_opens_rest(admin_client: Client, organization: Organization) -> None:
    form = {"name": "Warehouse", "scopes": ["sessions:read"], "lifetime": "30", "submission_key": uuid4()}
    answer = admin_client.post(f"{URL}add/", form)
    found = re.search(r"va_[\w-]{40,}", answer.content.decode())
    assert found is not None
    assert "no-store" in answer["Cache-Control"]
    token = ApiToken.objects.get()
    assert token.digest == digest_of(found[0].encode())
    assert (token.name, token.scopes, str(token.created_by)) == ("Warehouse", ["sessions:read"], "admin")
    assert token.expires_at is not None
    assert found[0] not in admin_client.get(URL).content.decode()
    program = Client(headers={"Authorization": f"Bearer {found[0]}"})
    assert program.get("/api/v1/sessions/").status_code == 200


def test_a_page_that_is_loaded_again_makes_no_second_token(admin_client: Client) -> None:
    key = admin_client.get(f"{URL}add/").context["form"]["submission_key"].value()
    form = {"name": "Warehouse", "scopes": ["sessions:read"], "lifetime": "30", "submission_key": key}
    admin_client.post(f"{URL}add/", form)
    again = admin_client.post(f"{URL}add/", form, follow=True)
    assert ApiToken.objects.count() == 1
    assert "made already" in again.content.decode()


def test_a_token_needs_a_name_and_a_scope(admin_client: Client) -> None:
    page = admin_client.post(f"{URL}add/", {"lifetime": "30"}).content.decode()
    assert "Say what it is for." in page
    assert "Choose what it may do." in page
    assert not ApiToken.objects.exists()


def test_a_token_may_no_more_than_who_makes_it(editor: User, sign_in: Callable[[User], Client]) -> None:
    editor.user_permissions.add(*Permission.objects.filter(codename__in=["view_apitoken", "add_apitoken"]))
    browser = sign_in(editor)
    offered = browser.get(f"{URL}add/").context["form"].fields["scopes"].choices
    assert [scope for scope, _ in offered] == ["sessions:read"]

    for scope in ("sessions:write", "sessions:delete", "holds:write"):
        form = {"name": "x", "scopes": ["sessions:read", scope], "submission_key": uuid4()}
        assert "Choose what you may do yourself." in browser.post(f"{URL}add/", form).content.decode()
    assert not ApiToken.objects.exists()

    browser.post(f"{URL}add/", {"name": "x", "scopes": ["sessions:read"], "submission_key": uuid4()})
    assert ApiToken.objects.get().scopes == ["sessions:read"]


def test_a_revoked_token_opens_nothing(admin_client: Client, organization: Organization) -> None:
    token, text = make_token("Warehouse", ["sessions:read"])
    page = admin_client.post(f"{URL}{token.pk}/revoke/", follow=True).content.decode()
    assert "revoked" in page
    program = Client(headers={"Authorization": f"Bearer {text}"})
    assert program.get("/api/v1/sessions/").status_code == 401


@pytest.mark.parametrize("scope", ["sessions:read", "costs:read", "runs:read", "holds:write"])
def test_what_a_new_token_is_tried_with_works(
    admin_client: Client, organization: Organization, scope: str
) -> None:
    form = {"name": "Warehouse", "scopes": [scope], "lifetime": "30", "submission_key": str(uuid4())}
    page = admin_client.post(f"{URL}add/", form).content.decode()
    command = re.search(r'curl -H "Authorization: (.+?)" "http://testserver(.+?)"</pre>', html.unescape(page))
    assert command
    program = Client(headers={"Authorization": command[1]})
    assert program.get(html.unescape(command[2])).status_code == 200


def test_a_token_that_reads_nothing_is_shown_without_an_example(admin_client: Client) -> None:
    form = {"name": "W", "scopes": ["sessions:write"], "lifetime": "30", "submission_key": str(uuid4())}
    assert "curl" not in admin_client.post(f"{URL}add/", form).content.decode()
