"""Sessions: narrow rows that people filter, sort and show, and each one's payload in a table beside it."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from sessions_app.models.mirrored import (
    HAS_FAILED_TOOLS,
    IS_MISSING,
    Mirrored,
    keyset_index,
    rare_index,
    text_index,
)
from sessions_app.models.scopes import ScopedQuerySet


class SessionQuerySet(ScopedQuerySet["Session"]):
    pass


class Session(Mirrored):
    status = models.TextField(blank=True, default="")
    expiration_seconds = models.BigIntegerField(null=True, blank=True)
    # The documentation names two clocks: from creation, and from the last activity. Both are shown.
    expires_at = models.DateTimeField()
    idle_expires_at = models.DateTimeField()
    phone_number_id = models.TextField(blank=True, default="")
    customer_id = models.TextField(blank=True, default="")
    customer_number = models.TextField(blank=True, default="")
    # Digits alone: what a part of a number is compared with.
    customer_digits = models.TextField(blank=True, default="", editable=False)
    customer_name = models.TextField(blank=True, default="")
    customer_email = models.TextField(blank=True, default="")
    customer_external_id = models.TextField(blank=True, default="")
    customer_sip_uri = models.TextField(blank=True, default="")

    objects: ClassVar[SessionQuerySet] = SessionQuerySet.as_manager()  # type: ignore[assignment]  # as_manager() is typed as the plain manager

    class Meta:
        ordering = ("-created_at", "-id")
        permissions = [
            ("refetch_session", "Can fetch sessions again from Vapi"),
            ("edit_session", "Can correct sessions at Vapi"),
            ("edit_messages", "Can correct messages of sessions at Vapi"),
            ("delete_at_vapi", "Can delete sessions at Vapi"),
        ]
        indexes = [
            *(
                keyset_index("session", column)
                for column in (
                    "created_at",
                    "updated_at",
                    "cost_usd",
                    "message_count",
                    "expires_at",
                    "idle_expires_at",
                )
            ),
            models.Index(
                fields=["organization", "assistant_id", "created_at", "id"], name="session_assistant"
            ),
            models.Index(fields=["organization", "status", "created_at", "id"], name="session_status"),
            models.Index(fields=["customer_digits", "created_at", "id"], name="session_digits"),
            models.Index(models.F("created_at"), models.F("id"), name="session_any_created_at"),
            *(
                text_index("session", column)
                for column in ("name", "customer_name", "customer_email", "customer_external_id")
            ),
            rare_index("session", "missing", IS_MISSING),
            rare_index("session", "failed_tools", HAS_FAILED_TOOLS),
        ]

    def __str__(self) -> str:
        return self.name or self.id


class SessionPayload(models.Model):
    session = models.OneToOneField(
        Session, models.CASCADE, primary_key=True, related_name="stored_payload", db_constraint=False
    )
    # The redacted JSON as text, so that every number stays as it was written.
    payload_json = models.TextField()

    objects: ClassVar[models.Manager[SessionPayload]] = models.Manager()

    def __str__(self) -> str:
        return self.session_id
