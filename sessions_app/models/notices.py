"""Notices: what a person or a channel is told, how, and whether it arrived. Never a customer's words."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models

from sessions_app.models.fields import EncryptedTextField
from sessions_app.models.organizations import Organization
from sessions_app.models.scopes import ScopedQuerySet


class ChannelKind(models.TextChoices):
    EMAIL = "email", "e-mail"
    CHAT = "chat", "Slack- or Teams-compatible webhook"
    WEBHOOK = "webhook", "signed webhook"


class NoticeTopic(models.TextChoices):
    EDIT_CONFLICT = "edit_conflict", "an edit met a conflict"
    EDIT_REJECTED = "edit_rejected", "an edit was rejected"
    EDIT_FAILED = "edit_failed", "an edit failed"
    ORGANIZATION_PAUSED = "organization_paused", "an organization was paused"


class NoticeChannel(models.Model):
    """Where notices go: a person's own (with `person`) or a team's."""

    name = models.TextField()
    person = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, null=True, blank=True)
    organization = models.ForeignKey(Organization, models.CASCADE, null=True, blank=True)
    kind = models.TextField(choices=ChannelKind.choices)
    # An address or a URL, which may hold a secret of its own.
    target = EncryptedTextField()
    signing_key = EncryptedTextField(blank=True, default="")
    topics = models.JSONField(default=list)
    # Only what the person did themselves, or everything.
    own_only = models.BooleanField(default=True)
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)

    objects: ClassVar[ScopedQuerySet[NoticeChannel]] = ScopedQuerySet.as_manager()  # type: ignore[assignment]  # as_manager() is typed as the plain manager

    def __str__(self) -> str:
        return self.name


class NoticeState(models.TextChoices):
    QUEUED = "queued", "queued"
    DELIVERED = "delivered", "delivered"
    FAILED = "failed", "failed"


class Notice(models.Model):
    """One delivery to one channel of one cause; a cause is told a channel once."""

    channel = models.ForeignKey(NoticeChannel, models.CASCADE, related_name="notices")
    topic = models.TextField(choices=NoticeTopic.choices)
    # "edit:17:conflict": the same cause is never told twice.
    cause = models.TextField()
    # Ids, names of fields and states only.
    content = models.JSONField(default=dict)
    state = models.TextField(choices=NoticeState.choices, default=NoticeState.QUEUED)
    attempts = models.IntegerField(default=0)
    error = models.TextField(blank=True, default="")
    created_at = models.DateTimeField(auto_now_add=True)
    next_attempt_at = models.DateTimeField(null=True, blank=True)
    delivered_at = models.DateTimeField(null=True, blank=True)

    objects: ClassVar[models.Manager[Notice]] = models.Manager()

    class Meta:
        ordering = ("-created_at", "-id")
        constraints = [models.UniqueConstraint(fields=["channel", "cause"], name="notice_key")]

    def __str__(self) -> str:
        return self.cause
