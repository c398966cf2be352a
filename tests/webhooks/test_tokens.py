"""OAuth2 client credentials: the token that Vapi asks us for, and the messages that it then opens."""

from __future__ import annotations

import base64
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from sessions_app.models import Organization, WebhookEvent, WebhookSecret
from sessions_app.webhooks.checks import Secret, issue_token
from tests.webhooks.conftest import Send

pytestmark = pytest.mark.django_db
ADDRESS = "/webhooks/vapi/sandbox/token/"
ASKED = {"grant_type": "client_credentials", "client_id": "vapi", "client_secret": "p&ss word"}
MESSAGE = {"type": "session.updated", "session": {"id": "s1"}}


@pytest.fixture(autouse=True)
def client_of_vapi(organization: Organization) -> WebhookSecret:
    return WebhookSecret.objects.create(
        organization=organization, kind="oauth2", secret="p&ss word", options={"client_id": "vapi"}
    )


def ask(form: dict[str, str], **headers: str) -> Any:
    return Client(enforce_csrf_checks=True).post(ADDRESS, form, headers=headers)


def basic(text: str) -> str:
    return f"Basic {base64.b64encode(text.encode()).decode()}"


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.mark.parametrize("by_header", [False, True])
def test_a_token_is_given_and_opens_the_inbox_alone(
    send: Send, organization: Organization, *, by_header: bool
) -> None:
    form = {"grant_type": "client_credentials", "scope": "whatever"}
    answer = ask(form, Authorization=basic("vapi:p%26ss+word")) if by_header else ask(ASKED)
    assert (answer.status_code, answer["Cache-Control"]) == (200, "no-store")
    told = answer.json()
    assert (told["token_type"], told["expires_in"]) == ("Bearer", 3600)

    assert send(MESSAGE, headers=bearer(told["access_token"])).status_code == 200
    assert WebhookEvent.objects.count() == 1
    assert Client(headers=bearer(told["access_token"])).get("/api/v1/sessions/").status_code == 401
    Organization.objects.create(slug="other", name="Other", is_sandbox=True)
    assert (
        send(MESSAGE, headers=bearer(told["access_token"]), address="/webhooks/vapi/other/").status_code
        == 401
    )


@pytest.mark.parametrize(
    ("changes", "status", "error"),
    [
        ({"client_secret": "wrong"}, 401, "invalid_client"),
        ({"client_id": "other"}, 401, "invalid_client"),
        ({"client_id": "", "client_secret": ""}, 401, "invalid_client"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
        ({"grant_type": ""}, 400, "invalid_request"),
    ],
)
def test_who_is_not_known_gets_none(changes: dict[str, str], status: int, error: str) -> None:
    answer = ask({**ASKED, **changes})
    assert (answer.status_code, answer.json()) == (status, {"error": error})
    assert answer.has_header("WWW-Authenticate") == (status == 401)


def test_headers_and_methods_that_are_none() -> None:
    form = {"grant_type": "client_credentials"}
    for header in ("Basic", "Basic \u00ff", basic("vapi"), basic("vapi:wrong"), "Bearer x"):
        assert ask(form, Authorization=header).status_code == 401
    assert Client().get(ADDRESS).status_code == 405
    assert Client().post("/webhooks/vapi/unknown/token/", ASKED).status_code == 401


def test_a_token_ends_and_is_retired_with_its_client(send: Send, client_of_vapi: WebhookSecret) -> None:
    client = Secret("oauth2", "p&ss word", {"client_id": "vapi"})
    now = timezone.now()
    old, fresh = issue_token(client, now - timedelta(minutes=61)), issue_token(client, now)
    ends, _, proof = fresh.partition(".")
    forged = [
        old,
        f"{int(ends) + 1}.{proof}",
        f"{ends}.",
        f"{ends}",
        "",
        ".",
        f"{ends}.{proof}x",
        "p&ss word",
    ]
    assert {send(MESSAGE, headers=bearer(token)).status_code for token in forged} == {401}
    assert send(MESSAGE, headers=bearer(fresh)).status_code == 200

    WebhookSecret.objects.filter(pk=client_of_vapi.pk).update(retired_at=now)
    assert send(MESSAGE, headers=bearer(fresh)).status_code == 401
    assert ask(ASKED).status_code == 401


def test_a_client_is_saved_on_the_organizations_page(
    admin_client: Client, organization: Organization
) -> None:
    page = f"/admin/sessions_app/webhookevent/secrets/{organization.pk}/"
    shown = admin_client.get(f"{page}?kind=oauth2").content.decode()
    assert f"http://127.0.0.1:8000{ADDRESS}" in shown
    form = {"kind": "oauth2", "client_id": "vapi two", "secret": "a-long-secret"}
    assert "A client id has letters" in admin_client.post(page, form).content.decode()
    assert admin_client.post(page, {**form, "client_id": "vapi-2"}).status_code == 302
    stored = WebhookSecret.objects.latest("pk")
    assert (stored.kind, stored.secret, stored.options) == (
        "oauth2",
        "a-long-secret",
        {"client_id": "vapi-2"},
    )
