"""What the address answers, and what is stored before it does."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries, Settings

from sessions_app.models import Organization, Session, WebhookEvent, WebhookSecret
from sessions_app.webhooks.receive import MOST_BYTES
from tests.webhooks.conftest import ADDRESS, BEARER, TOKEN, Send, signed

pytestmark = pytest.mark.django_db

CREATED = {
    "type": "session.created",
    "timestamp": 1_767_225_600_000,
    "session": {
        "id": "s1",
        "orgId": "org",
        "assistantId": "a1",
        "createdAt": "2026-01-01T00:00:00.000Z",
        "updatedAt": "2026-01-01T00:00:01.000Z",
        "cost": 0.10000000000000001,
    },
}
BODY = json.dumps({"message": CREATED}).encode()


def test_a_message_is_stored_and_nothing_else_happens(
    send: Send, organization: Organization, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_num_queries(2):
        answer = send(CREATED)

    assert answer.status_code == 200
    event = WebhookEvent.objects.get()
    assert (event.organization, event.kind, event.remote_id) == (organization, "session.created", "s1")
    assert (event.assistant_id, event.state, event.deliveries) == ("a1", "received", 1)
    assert event.sent_at is not None
    assert event.sent_at.isoformat() == "2026-01-01T00:00:00+00:00"
    assert event.object_updated_at is not None
    assert event.object_updated_at.second == 1
    assert event.next_attempt_at == event.received_at
    assert not Session.objects.exists()


def test_a_second_delivery_is_counted(send: Send) -> None:
    assert [send(CREATED).status_code for _ in range(3)] == [200, 200, 200]

    assert WebhookEvent.objects.get().deliveries == 3


def test_secrets_and_headers_are_not_stored(send: Send) -> None:
    message: dict[str, Any] = {
        "type": "session.updated",
        "session": {
            "id": "s1",
            "assistant": {"server": {"headers": {"x": "hidden-1"}, "secret": "hidden-2"}},
        },
        "phoneNumber": {"twilioAuthToken": "hidden-3"},
        "note": "kept \x00",
    }
    assert send(message).status_code == 200

    event = WebhookEvent.objects.values().get()
    assert "hidden" not in str(event)
    assert TOKEN not in str(event)
    assert "kept �" in event["body_json"]


def test_numbers_stay_as_they_were_written(send: Send) -> None:
    send(body=b'{"message": {"type": "x", "cost": 0.10000000000000001, "tiny": 1e-07}}')

    assert "0.10000000000000001" in WebhookEvent.objects.get().body_json
    assert "1e-07" in WebhookEvent.objects.get().body_json


def test_what_is_not_taken(send: Send, organization: Organization) -> None:
    assert send(CREATED, headers={}).status_code == 401
    assert send(CREATED, headers={"Authorization": "Bearer other"}).status_code == 401
    assert send(CREATED, headers={"Authorization": "Bearer tökën"}).status_code == 401
    assert send(CREATED, address="/webhooks/vapi/nobody/").status_code == 404
    assert Client().get(ADDRESS).status_code == 405
    assert send(body=b"x" * (MOST_BYTES + 1)).status_code == 413
    for body in (
        b"",
        b"{",
        b"[]",
        b"{}",
        b'{"message": 1}',
        b'{"message": {"type": 1}}',
        b"\xff\xfe{}",
        b'"NaN"',
    ):
        assert send(body=body).status_code == 400
    Organization.objects.update(is_active=False)
    assert send(CREATED).status_code == 404
    assert not WebhookEvent.objects.exists()


def test_a_body_up_to_the_limit_is_taken(send: Send) -> None:
    message = {**CREATED, "filler": "x" * (MOST_BYTES - 2000)}
    assert send(message).status_code == 200


def test_no_browser_session_is_needed_or_made(send: Send) -> None:
    answer = send(CREATED)
    assert not answer.cookies


def test_several_secrets_are_taken_and_a_retired_one_is_not(
    send: Send, token: WebhookSecret, organization: Organization
) -> None:
    newer = WebhookSecret.objects.create(organization=organization, kind="bearer", secret="newer")
    with_newer = {"Authorization": "Bearer newer"}
    assert send(CREATED).status_code == send(CREATED, headers=with_newer).status_code == 200

    WebhookSecret.objects.filter(pk=token.pk).update(retired_at=newer.created_at)

    assert send(CREATED).status_code == 401
    assert send(CREATED, headers=with_newer).status_code == 200


def test_an_organizations_secret_opens_no_other(send: Send, organization: Organization) -> None:
    Organization.objects.create(slug="other", name="Other", is_sandbox=True)
    assert send(CREATED, address="/webhooks/vapi/other/").status_code == 401


@pytest.mark.parametrize(
    ("options", "headers", "status"),
    [
        ({}, BEARER, 200),
        ({}, {"authorization": f"bearer {TOKEN}"}, 200),
        ({}, {"Authorization": TOKEN}, 200),
        ({}, {"X-Token": TOKEN}, 401),
        ({"header": "X-Token"}, {"X-Token": TOKEN}, 200),
        ({"header": "X-Token"}, BEARER, 401),
        ({"header": "X-Token", "prefix": "Key"}, {"X-Token": f"Key {TOKEN}"}, 200),
        ({}, {"Authorization": "Bearer "}, 401),
    ],
)
def test_bearer_tokens(
    send: Send, token: WebhookSecret, options: dict[str, str], headers: dict[str, str], status: int
) -> None:
    WebhookSecret.objects.update(options=options)
    assert send(CREATED, headers=headers).status_code == status


def test_the_older_header(send: Send, token: WebhookSecret) -> None:
    WebhookSecret.objects.update(kind="header")
    assert send(CREATED, headers={"X-Vapi-Secret": TOKEN}).status_code == 200
    assert send(CREATED, headers={"X-Vapi-Secret": "other"}).status_code == 401
    assert send(CREATED).status_code == 401


@pytest.mark.parametrize(
    ("options", "form"),
    [
        ({}, {}),
        ({"algorithm": "sha512"}, {"algorithm": "sha512"}),
        ({"algorithm": "sha1", "encoding": "base64"}, {"algorithm": "sha1", "encoding": "base64"}),
        ({"prefix": "sha256="}, {"prefix": "sha256="}),
        (
            {"signature_header": "x-hub-signature", "timestamp_header": "x-when"},
            {"header": "x-hub-signature", "time_header": "x-when"},
        ),
        ({"payload_format": "{body}"}, {"form": "{body}", "at": 0}),
        ({"payload_format": "v0:{timestamp}:{method}:{body}"}, {"form": "v0:{timestamp}:POST:{body}"}),
        (
            {"payload_format": "{url} {timestamp} {body}"},
            {"form": f"http://127.0.0.1:8000{ADDRESS} {{timestamp}} {{body}}"},
        ),
    ],
)
def test_signatures(
    send: Send, organization: Organization, options: dict[str, str], form: dict[str, Any]
) -> None:
    WebhookSecret.objects.create(organization=organization, kind="hmac", secret="hmac-key", options=options)

    assert send(body=BODY, headers=signed(BODY, **form)).status_code == 200
    assert send(body=BODY + b" ", headers=signed(BODY, **form)).status_code == 401
    assert send(body=BODY, headers=signed(BODY, "other-key", **form)).status_code == 401


@pytest.mark.parametrize(("seconds", "status"), [(-240, 200), (240, 200), (-360, 401), (360, 401)])
def test_an_old_signature_is_refused(
    send: Send, organization: Organization, seconds: float, status: int
) -> None:
    WebhookSecret.objects.create(organization=organization, kind="hmac", secret="hmac-key")
    headers = signed(BODY, at=time.time() + seconds)
    assert send(body=BODY, headers=headers).status_code == status
    milliseconds = signed(BODY, at=(time.time() + seconds) * 1000)
    assert send(body=BODY, headers=milliseconds).status_code == status


def test_a_signature_without_its_time_is_refused(send: Send, organization: Organization) -> None:
    WebhookSecret.objects.create(organization=organization, kind="hmac", secret="hmac-key")
    headers = signed(BODY)
    assert send(body=BODY, headers={"x-signature": headers["x-signature"]}).status_code == 401


def test_messages_with_ids_of_their_own_are_two_events(send: Send, organization: Organization) -> None:
    options = {
        "payload_format": "{svix-id}.{timestamp}.{body}",
        "id_header": "svix-id",
        "timestamp_header": "svix-timestamp",
        "signature_header": "svix-signature",
        "encoding": "base64",
        "prefix": "v1,",
    }
    WebhookSecret.objects.create(organization=organization, kind="hmac", secret="hmac-key", options=options)

    def deliver(message_id: str) -> int:
        headers = signed(
            BODY, form=f"{message_id}.{{timestamp}}.{{body}}", header="svix-signature",
            time_header="svix-timestamp", encoding="base64", prefix="v1,",
        )  # fmt: skip
        # Svix sends a second signature while a key is rotated.
        headers["svix-signature"] = f"v1,b3RoZXI= {headers['svix-signature']}"
        return int(send(body=BODY, headers={**headers, "svix-id": message_id}).status_code)

    assert [deliver(message_id) for message_id in ("m1", "m2", "m1")] == [200, 200, 200]
    assert sorted(WebhookEvent.objects.values_list("deliveries", flat=True)) == [1, 2]


def test_the_environments_secret_serves_default_alone(
    send: Send, organization: Organization, settings: Settings
) -> None:
    settings.VAPI_WEBHOOK_SECRET = "from-the-environment"
    every_form: list[dict[str, str]] = [
        {"Authorization": "Bearer from-the-environment"},
        {"X-Vapi-Secret": "from-the-environment"},
        signed(BODY, "from-the-environment"),
    ]
    assert {send(body=BODY, headers=headers).status_code for headers in every_form} == {401}

    Organization.objects.create(slug="default", name="Vapi", is_sandbox=True)
    address = "/webhooks/vapi/default/"
    assert {send(body=BODY, headers=headers, address=address).status_code for headers in every_form} == {200}
    assert send(body=BODY, headers=BEARER, address=address).status_code == 401

    settings.VAPI_WEBHOOK_SECRET = ""
    empty = [{"Authorization": "Bearer "}, {"X-Vapi-Secret": ""}, signed(BODY, "")]
    assert {send(body=BODY, headers=headers, address=address).status_code for headers in empty} == {401}
