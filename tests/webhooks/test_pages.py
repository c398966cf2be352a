"""The inbox, the page of a message, secrets, and what never came."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from sessions_app.mirror import events
from sessions_app.mirror.sync import sync_organization
from sessions_app.models import Organization, Session, WebhookEvent, WebhookSecret
from tests.sandbox_process import SandboxProcess
from tests.search.rows import make_session
from tests.webhooks.conftest import TOKEN, Send

pytestmark = pytest.mark.django_db

INBOX = "/admin/sessions_app/webhookevent/"
MESSAGE = {"type": "session.created", "session": {"id": "s1", "assistantId": "a1", "name": "Ada"}}


@pytest.fixture
def event(send: Send) -> WebhookEvent:
    send(MESSAGE)
    return WebhookEvent.objects.get()


def test_the_inbox_lists_and_filters(ops_client: Client, send: Send) -> None:
    for number in range(3):
        send({"type": "session.created", "session": {"id": f"s{number}"}})
    send({"type": "chat.deleted", "chat": {"id": "c1"}})

    assert ops_client.get(INBOX).content.count(b"data-row>") == 4
    assert ops_client.get(f"{INBOX}?kind=chat.deleted").content.count(b"data-row>") == 1
    assert ops_client.get(f"{INBOX}?search=s2").content.count(b"data-row>") == 1
    assert ops_client.get(f"{INBOX}?state=failed").content.count(b"data-row>") == 0


def test_the_inbox_costs_the_same_however_long(ops_client: Client, send: Send) -> None:
    def queries() -> int:
        with CaptureQueriesContext(
            connection,
        ) as captured:
            assert ops_client.get(INBOX).status_code == 200
        return len(captured)

    send(MESSAGE)
    queries()  # What is kept for later requests is read by the first.
    one = queries()
    for number in range(10):
        send({"type": "session.created", "session": {"id": f"s{number}", "assistantId": f"a{number}"}})
    assert queries() == one


def test_a_message_shows_its_verdict_and_body(ops_client: Client, event: WebhookEvent) -> None:
    WebhookEvent.objects.update(state="ignored", verdict="Older than what is here.")
    page = ops_client.get(f"{INBOX}{event.pk}/change/").content.decode()
    assert "Older than what is here." in page
    assert "Ada" in page
    assert "Process again" in page


def test_it_is_processed_again(
    ops_client: Client, sandbox: SandboxProcess, send: Send, organization: Organization
) -> None:
    row = sandbox.truth()[0]
    send({"type": "session.created", "session": row})
    events.process_due()
    Session.objects.all().delete()
    event = WebhookEvent.objects.get()

    assert ops_client.get(f"{INBOX}{event.pk}/replay/").status_code == 405
    assert ops_client.post(f"{INBOX}{event.pk}/replay/").status_code == 302

    assert events.process_due() == 1
    assert Session.objects.get().id == row["id"]


def test_who_may_what(
    editor_client: Client, ops_client: Client, event: WebhookEvent, organization: Organization
) -> None:
    secrets = f"{INBOX}secrets/{organization.pk}/"
    for path in (INBOX, f"{INBOX}{event.pk}/change/", f"{INBOX}arrivals/"):
        assert editor_client.get(path).status_code == 403
        assert ops_client.get(path).status_code == 200
    assert editor_client.post(f"{INBOX}{event.pk}/replay/").status_code == 403
    secret = WebhookSecret.objects.get()
    for client in (editor_client, ops_client):
        assert client.get(secrets).status_code == 403
        assert client.post(secrets, {"kind": "header", "secret": "long-enough"}).status_code == 403
        assert client.post(f"{INBOX}secrets/retire/{secret.pk}/").status_code == 403
    assert WebhookSecret.objects.filter(retired_at=None).count() == 1
    assert Client().get(INBOX).status_code == 302


def test_a_secret_is_written_and_never_shown(
    admin_client: Client, organization: Organization, send: Send
) -> None:
    path = f"{INBOX}secrets/{organization.pk}/"
    form = {
        "kind": "bearer", "secret": "a-new-secret", "header": "X-Token", "value_prefix": "Bearer",
    }  # fmt: skip
    assert admin_client.post(path, form).status_code == 302

    stored = WebhookSecret.objects.latest("pk")
    assert (stored.secret, stored.options) == ("a-new-secret", {"header": "X-Token"})
    assert send(MESSAGE, headers={"X-Token": "Bearer a-new-secret"}).status_code == 200
    page = admin_client.get(path).content.decode()
    assert "a-new-secret" not in page
    assert TOKEN not in page
    assert "http://127.0.0.1:8000/webhooks/vapi/sandbox/" in page
    with connection.cursor() as cursor:
        cursor.execute("SELECT secret FROM sessions_app_webhooksecret")
        assert "a-new-secret" not in str(cursor.fetchall())


def test_a_secret_is_retired(admin_client: Client, send: Send, token: WebhookSecret) -> None:
    path = f"{INBOX}secrets/retire/{token.pk}/"
    assert admin_client.get(path).status_code == 405
    assert admin_client.post(path).status_code == 302
    assert send(MESSAGE).status_code == 401


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({"kind": "header", "secret": "short"}, "Eight characters"),
        ({"kind": "header", "secret": "two words here"}, "One line of visible characters"),
        ({"kind": "bearer", "secret": "long-enough", "header": "a b"}, "A header&#x27;s name"),
        ({"kind": "hmac", "secret": "long-enough", "payload_format": "{timestamp}"}, "It holds {body}"),
        ({"kind": "hmac", "secret": "long-enough", "payload_format": "{body}{x}"}, "It holds {body}"),
        ({"kind": "hmac", "secret": "not+base64!", "secret_is_base64": "on"}, "This is not base64"),
    ],
)
def test_what_is_no_secret(
    admin_client: Client, organization: Organization, form: dict[str, str], words: str
) -> None:
    filled = {"algorithm": "sha256", "encoding": "hex", **form}
    answer = admin_client.post(f"{INBOX}secrets/{organization.pk}/", filled)
    assert answer.status_code == 200
    assert words in answer.content.decode()
    assert not WebhookSecret.objects.exists()


def test_the_organizations_page_leads_to_its_secrets(
    admin_client: Client, organization: Organization
) -> None:
    page = admin_client.get(f"/admin/sessions_app/organization/{organization.pk}/change/")
    assert f"{INBOX}secrets/{organization.pk}/" in page.content.decode()


def test_what_never_came_is_counted_by_assistant(
    ops_client: Client, organization: Organization, send: Send
) -> None:
    now = timezone.now()
    WebhookSecret.objects.update(created_at=now - timedelta(hours=20))
    for number in range(4):
        make_session(organization, f"told{number}", assistant_id="talks", created_at=now - timedelta(hours=1))
        if number:
            send({"type": "session.created", "session": {"id": f"told{number}"}})
    make_session(organization, "untold", assistant_id="mute", created_at=now - timedelta(hours=2))
    make_session(organization, "before", assistant_id="talks", created_at=now - timedelta(hours=21))
    make_session(organization, "young", assistant_id="talks", created_at=now)

    rows = ops_client.get(f"{INBOX}arrivals/").context["rows"]

    assert [(row.assistant_id, row.found, row.told, row.share) for row in rows] == [
        ("mute", 1, 0, "100 %"),
        ("talks", 4, 3, "25.0 %"),
    ]


def test_of_messages_that_were_pruned_none_is_said_to_have_been_lost(
    ops_client: Client, organization: Organization, token: WebhookSecret
) -> None:
    now = timezone.now()
    WebhookSecret.objects.update(created_at=now - timedelta(days=20))
    Organization.objects.update(event_retention_days=3)
    for days in (2, 4):
        make_session(organization, f"s{days}", assistant_id="a", created_at=now - timedelta(days=days))
    rows = ops_client.get(f"{INBOX}arrivals/?days=7").context["rows"]
    assert [(row.found, row.told) for row in rows] == [(1, 0)]


def test_lost_messages_of_the_sandbox_are_seen(
    ops_client: Client, sandbox: SandboxProcess, organization: Organization, send: Send
) -> None:
    """Nothing was sent: after a sync every assistant with new sessions sends none."""
    sandbox.control("POST", "clock", {"now": timezone.now().isoformat()})
    WebhookSecret.objects.update(created_at=timezone.now() - timedelta(days=2))
    sandbox.change("sessions", fields={"assistantId": "mute", "createdAt": _ago(hours=3)})
    sync_organization(organization)

    page = ops_client.get(f"{INBOX}arrivals/")

    assert [(row.assistant_id, row.found, row.told) for row in page.context["rows"]] == [("mute", 1, 0)]
    assert "sends none" in page.content.decode()


def _ago(**time: float) -> str:
    return (timezone.now() - timedelta(**time)).isoformat()
