"""Owns whether a request is Vapi's: bearer token, X-Vapi-Secret, HMAC or OAuth2, with several secrets at once.

How Vapi signs and which defaults it has: its schemas BearerAuthenticationPlan and HMACAuthenticationPlan.
Every secret is compared, in constant time each. Knows no database and keeps no header.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sessions_app.models.webhooks import SecretKind
from sessions_app.vapi.times import parse_moment

ALGORITHMS = ("sha256", "sha512", "sha1")
REPLAY_WINDOW = timedelta(minutes=5)
TOKEN_LIFETIME = timedelta(hours=1)
VAPI_SECRET_HEADER = "X-Vapi-Secret"  # noqa: S105 - a header's name
_DIGITS = re.compile(r"[0-9]{1,12}")
_PLACEHOLDER = re.compile(r"\{(body|timestamp|method|url|svix-id|id)\}")
# Svix writes several signatures in one header, apart by spaces.
_MOST_SIGNATURES = 10


@dataclass(frozen=True)
class Delivery:
    """A request as far as it can be signed. `headers` finds names in any case."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes
    at: datetime

    def header(self, name: str) -> str:
        return self.headers.get(name, "").strip()


@dataclass(frozen=True)
class Secret:
    """One accepted proof. `options` as WebhookSecret has them; what is absent has Vapi's default."""

    kind: str
    secret: str
    options: Mapping[str, Any] = field(default_factory=dict)

    def option(self, name: str, default: str) -> str:
        value = self.options.get(name)
        return value if isinstance(value, str) and value else default

    @property
    def id_header(self) -> str:
        """The header of an HMAC's message id; '' where it has none."""
        return self.option("id_header", "") if self.kind == SecretKind.HMAC else ""


def matching_secret(delivery: Delivery, secrets: Iterable[Secret]) -> Secret | None:
    """Return the secret that proves the delivery to be Vapi's. All are tried, so that time tells nothing."""
    matching = [secret for secret in secrets if secret.secret and _CHECKS[secret.kind](delivery, secret)]
    return matching[0] if matching else None


def every_form_of(secret: str) -> list[Secret]:
    """Return the forms in which one secret from the environment is taken."""
    kinds = (SecretKind.BEARER, SecretKind.HEADER, SecretKind.HMAC)
    return [Secret(kind.value, secret) for kind in kinds] if secret else []


def _is_bearer(delivery: Delivery, secret: Secret) -> bool:
    """With or without its prefix: Vapi's `bearerPrefixEnabled` may be off."""
    value = delivery.header(secret.option("header", "Authorization"))
    prefix = secret.option("prefix", "Bearer").strip()
    if value[: len(prefix)].lower() == prefix.lower():
        value = value[len(prefix) :].strip()
    return _is_same(value, secret.secret)


def issue_token(client: Secret, now: datetime) -> str:
    """Return an access token for an OAuth2 client: when it ends, and a proof of the client's secret.

    Nothing of it is kept; with the secret it is retired. RFC 6749 leaves its form to us.
    """
    ends = int((now + TOKEN_LIFETIME).timestamp())
    return f"{ends}.{_proof(client, ends)}"


def is_client(client: Secret, client_id: str, client_secret: str) -> bool:
    is_known, is_proven = (
        _is_same(client_id, client.option("client_id", "")),
        _is_same(client_secret, client.secret),
    )
    return client.kind == SecretKind.OAUTH2 and is_known and is_proven


def _is_issued(delivery: Delivery, secret: Secret) -> bool:
    prefix, _, token = delivery.header("Authorization").partition(" ")
    ends, _, proof = token.strip().partition(".")
    if prefix.lower() != "bearer" or not _DIGITS.fullmatch(ends):
        return False
    has_ended = int(ends) <= delivery.at.timestamp()
    return _is_same(proof, _proof(secret, int(ends))) and not has_ended


def _proof(client: Secret, ends: int) -> str:
    text = f"vapiadmin.webhook-token:{client.option('client_id', '')}:{ends}"
    return hmac.digest(client.secret.encode(), text.encode(), "sha256").hex()


def _is_header(delivery: Delivery, secret: Secret) -> bool:
    return _is_same(delivery.header(VAPI_SECRET_HEADER), secret.secret)


def _is_signed(delivery: Delivery, secret: Secret) -> bool:
    form = secret.option("payload_format", "{timestamp}.{body}")
    timestamp = delivery.header(secret.option("timestamp_header", "x-timestamp"))
    if "{timestamp}" in form and not _is_recent(timestamp, delivery.at):
        return False
    expected = _signature(_signed_text(form, delivery, timestamp, secret), secret)
    given = delivery.header(secret.option("signature_header", "x-signature")).split()[:_MOST_SIGNATURES]
    prefix = secret.option("prefix", "")
    fitting = [one.removeprefix(prefix) for one in given if one.startswith(prefix)]
    if secret.option("encoding", "hex") == "hex":
        fitting = [one.lower() for one in fitting]
    return any(_is_same(one, expected) for one in fitting)


def _is_recent(timestamp: str, now: datetime) -> bool:
    sent_at = parse_moment(timestamp)
    return sent_at is not None and abs(now - sent_at) <= REPLAY_WINDOW


def _signed_text(form: str, delivery: Delivery, timestamp: str, secret: Secret) -> bytes:
    message_id = delivery.header(secret.id_header) if secret.id_header else ""
    values = {
        "body": delivery.body,
        "timestamp": timestamp.encode(),
        "method": delivery.method.encode(),
        "url": delivery.url.encode(),
        "svix-id": message_id.encode(),
        "id": message_id.encode(),
    }
    # Names stand at the odd places.
    parts = _PLACEHOLDER.split(form)
    return b"".join(values[part] if place % 2 else part.encode() for place, part in enumerate(parts))


def _signature(text: bytes, secret: Secret) -> str:
    algorithm = secret.option("algorithm", "sha256")
    if algorithm not in ALGORITHMS:
        return ""
    digest = hmac.digest(_signing_key(secret), text, algorithm)
    return base64.b64encode(digest).decode() if secret.option("encoding", "hex") == "base64" else digest.hex()


def _signing_key(secret: Secret) -> bytes:
    if not secret.options.get("secret_is_base64"):
        return secret.secret.encode()
    try:
        return base64.b64decode(secret.secret)
    except binascii.Error:
        return secret.secret.encode()


def _is_same(given: str, expected: str) -> bool:
    return bool(expected) and hmac.compare_digest(given.encode(), expected.encode())


_CHECKS: dict[str, Callable[[Delivery, Secret], bool]] = {
    SecretKind.BEARER.value: _is_bearer,
    SecretKind.HEADER.value: _is_header,
    SecretKind.HMAC.value: _is_signed,
    SecretKind.OAUTH2.value: _is_issued,
}
