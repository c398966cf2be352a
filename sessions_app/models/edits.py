"""Edits: manual changes on their way to Vapi. The row is the queue."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.conf import settings
from django.db import models

from sessions_app.models.access import ApiToken
from sessions_app.models.organizations import Organization
from sessions_app.models.scopes import ScopedQuerySet


class EditKind(models.TextChoices):
    UPDATE = "update", "update"
    MESSAGES = "messages", "messages"
    CREATE = "create", "create"
    DELETE = "delete", "delete"


class EditState(models.TextChoices):
    QUEUED = "queued", "queued"
    SENDING = "sending", "sending"
    APPLIED = "applied", "applied"
    CONFLICT = "conflict", "conflict"
    REJECTED = "rejected", "rejected"
    FAILED = "failed", "failed"
    WITHDRAWN = "withdrawn", "withdrawn"
    SUPERSEDED = "superseded", "superseded"


OPEN_STATES = (EditState.QUEUED, EditState.SENDING, EditState.CONFLICT)
UNDER_WAY_STATES = (EditState.QUEUED, EditState.SENDING)


# Sources of edits where somebody has signed in: one without an author is of a person who was deleted since.
SIGNED_IN = ("admin", "api", "bulk", "undo")


class EditQuerySet(ScopedQuerySet["Edit"]):
    def open(self) -> EditQuerySet:
        return self.filter(state__in=OPEN_STATES)


class Edit(models.Model):
    # In the order of making, so that edits of one session are sent in order.
    id = models.BigAutoField(primary_key=True)
    # Two submissions of one form carry the same key and make one edit.
    submission_key = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    organization = models.ForeignKey(Organization, models.PROTECT)
    session_id = models.TextField()
    kind = models.TextField(choices=EditKind.choices, default=EditKind.UPDATE)
    state = models.TextField(choices=EditState.choices, default=EditState.QUEUED)
    # {field: value} by Vapi's field names: what the person was shown, what it should become, and, in a
    # conflict, what stands at Vapi instead.
    base = models.JSONField(default=dict)
    fields = models.JSONField(default=dict)
    theirs = models.JSONField(default=dict, blank=True)
    # For messages: [{"do": "replace" | "redact" | "remove", "position", "digest", "text"}], applied to the array as
    # it stands at Vapi when the edit is pushed; digest is of the message that is meant.
    operations = models.JSONField(default=list, blank=True)
    bulk = models.ForeignKey("BulkEdit", models.SET_NULL, null=True, blank=True, related_name="edits")
    undoes = models.ForeignKey("self", models.SET_NULL, null=True, blank=True, related_name="undone_by")
    request_id = models.TextField(blank=True, default="")
    reason = models.TextField(blank=True, default="")
    source = models.TextField(default="admin")
    author = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True)
    token = models.ForeignKey(ApiToken, models.SET_NULL, null=True, blank=True)
    error = models.TextField(blank=True, default="")
    attempts = models.IntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)
    next_attempt_at = models.DateTimeField(null=True, blank=True)
    # While sending: who sends, until when it is theirs, and whether the PATCH may have left.
    claimed_until = models.DateTimeField(null=True, blank=True)
    claim_number = models.BigIntegerField(default=0)
    sent_at = models.DateTimeField(null=True, blank=True)
    # By what a lost answer is settled: for messages the digest of the array that was sent; for a create Vapi's time
    # before it and the ids that looked like it already.
    sent = models.JSONField(default=dict, blank=True)
    settled_at = models.DateTimeField(null=True, blank=True)
    # The edit that took this one's place.
    superseded_by = models.ForeignKey(
        "self", models.SET_NULL, null=True, blank=True, related_name="supersedes"
    )

    objects: ClassVar[EditQuerySet] = EditQuerySet.as_manager()  # type: ignore[assignment]  # as_manager() is typed as the plain manager

    class Meta:
        ordering = ("-created_at", "-id")
        indexes = [
            models.Index(fields=["session_id", "id"], name="edit_session"),
            models.Index(
                fields=["next_attempt_at"],
                name="edit_due",
                condition=models.Q(state__in=["queued", "sending"]),
            ),
            models.Index(fields=["created_at", "id"], name="edit_created_at"),
            models.Index(fields=["state", "created_at", "id"], name="edit_state"),
        ]

    def __str__(self) -> str:
        return f"Edit {self.pk}"

    @property
    def author_name(self) -> str:
        username = self.author.get_username() if self.author else None
        return author_name(username, self.token.name if self.token else None, self.source)


def author_name(username: str | None, token_name: str | None, source: str) -> str:
    """Return who made an edit, in words for people."""
    if username:
        return username
    if token_name is not None:
        return f"token {token_name}"
    return "a deleted person" if source in SIGNED_IN else "command line"
