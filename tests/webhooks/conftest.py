"""Server messages as Vapi sends them, and an organization that accepts a token."""

from __future__ import annotations

import base64
import hmac
import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from sessions_app.models import Organization, WebhookSecret
from sessions_app.webhooks import nudge, receive

TOKEN = "token-of-the-tests"
ADDRESS = "/webhooks/vapi/sandbox/"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
Send = Callable[..., Any]


@pytest.fixture(autouse=True)
def nobody_is_nudged(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests process when they want to; there is no broker."""
    monkeypatch.setattr(receive, "nudge", lambda: None)
    assert nudge.EVERY_SECONDS


@pytest.fixture
def token(organization: Organization) -> WebhookSecret:
    return WebhookSecret.objects.create(organization=organization, kind="bearer", secret=TOKEN)


@pytest.fixture
def send(token: WebhookSecret) -> Send:
    """send({"type": "session.created", "session": {...}}) as Vapi, with the token unless told otherwise."""

    def post(
        message: Any = None, *, body: bytes | None = None, headers: dict[str, str] | None = None,
        address: str = ADDRESS,
    ) -> Any:  # fmt: skip
        content = json.dumps({"message": message}).encode() if body is None else body
        return Client(enforce_csrf_checks=True).post(
            address, content, content_type="application/json", headers=BEARER if headers is None else headers
        )

    return post


def signed(
    body: bytes, key: str = "hmac-key", *, algorithm: str = "sha256", at: float | None = None,
    form: str = "{timestamp}.{body}", encoding: str = "hex", prefix: str = "", header: str = "x-signature",
    time_header: str = "x-timestamp",
) -> dict[str, str]:  # fmt: skip
    """The headers that Vapi signs a body with."""
    timestamp = str(int(time.time() if at is None else at))
    text = form.replace("{timestamp}", timestamp).encode().replace(b"{body}", body)
    digest = hmac.digest(key.encode(), text, algorithm)
    signature = base64.b64encode(digest).decode() if encoding == "base64" else digest.hex()
    return {header: prefix + signature, time_header: timestamp}
