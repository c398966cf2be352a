"""The inbox of Vapi's server messages: stored first, processed after, never in the request."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from sessions_app.models.fields import EncryptedTextField
from sessions_app.models.organizations import Organization
from sessions_app.models.scopes import ScopedQuerySet


class SecretKind(models.TextChoices):
    BEARER = "bearer", "bearer token"
    HEADER = "header", "X-Vapi-Secret"
    HMAC = "hmac", "HMAC signature"
    OAUTH2 = "oauth2", "OAuth2 client"


class WebhookSecret(models.Model):
    """One accepted way to prove that a message is Vapi's. Several at once, so that secrets can be rotated."""

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="webhook_secrets")
    kind = models.TextField(choices=SecretKind.choices)
    secret = EncryptedTextField()
    # bearer: the header's name (default Authorization) and the prefix before the token.
    # oauth2: {"client_id"}; the secret is the client's.
    # hmac: {"algorithm", "signature_header", "timestamp_header", "payload_format", "encoding", "prefix", "id_header"}
    options = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    retired_at = models.DateTimeField(null=True, blank=True)

    objects: ClassVar[ScopedQuerySet[WebhookSecret]] = ScopedQuerySet.as_manager()  # type: ignore[assignment]  # as_manager() is typed as the plain manager

    def __str__(self) -> str:
        return f"{self.kind} {self.pk}"


class EventState(models.TextChoices):
    RECEIVED = "received", "received"
    PROCESSED = "processed", "processed"
    IGNORED = "ignored", "ignored"
    FAILED = "failed", "failed"


class WebhookEvent(models.Model):
    """One message as it came, redacted, and what became of it."""

    organization = models.ForeignKey(Organization, models.CASCADE)
    # Of the body as received: a second delivery of the same message is no second event.
    digest = models.TextField()
    kind = models.TextField(blank=True, default="")
    remote_id = models.TextField(blank=True, default="")
    assistant_id = models.TextField(blank=True, default="")
    # Vapi's own time of the message, where it has one, and the object's updatedAt.
    sent_at = models.DateTimeField(null=True, blank=True)
    object_updated_at = models.DateTimeField(null=True, blank=True)
    body_json = models.TextField(blank=True, default="")
    state = models.TextField(choices=EventState.choices, default=EventState.RECEIVED)
    # In words: "stored", "older than what is here", "asked Vapi: it differs", "no session or chat", ...
    verdict = models.TextField(blank=True, default="")
    deliveries = models.IntegerField(default=1)
    attempts = models.IntegerField(default=0)
    received_at = models.DateTimeField()
    next_attempt_at = models.DateTimeField(null=True, blank=True)
    processed_at = models.DateTimeField(null=True, blank=True)

    objects: ClassVar[ScopedQuerySet[WebhookEvent]] = ScopedQuerySet.as_manager()  # type: ignore[assignment]  # as above

    class Meta:
        ordering = ("-received_at", "-id")
        permissions = [("replay_webhookevent", "Can process webhook events again")]
        constraints = [models.UniqueConstraint(fields=["organization", "digest"], name="webhookevent_key")]
        indexes = [
            models.Index(fields=["received_at", "id"], name="webhookevent_received_at"),
            models.Index(
                fields=["next_attempt_at"], name="webhookevent_due", condition=models.Q(state="received")
            ),
            # With the kind, so that which messages came is read without their bodies.
            models.Index(fields=["organization", "remote_id", "kind"], name="webhookevent_subject"),
            models.Index(
                fields=["received_at", "id"], name="webhookevent_failed", condition=models.Q(state="failed")
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.remote_id}"
