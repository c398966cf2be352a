"""Notices: what happened that people are told, by which channels, and whether it reached them. No customer's words."""

from __future__ import annotations

import secrets
import uuid
from base64 import b64encode
from typing import ClassVar
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db import models
from django.db.models import F, Q

from sessions_app.models.bulks import BulkEdit
from sessions_app.models.edits import Edit
from sessions_app.models.fields import EncryptedTextField
from sessions_app.models.organizations import Organization
from sessions_app.models.scopes import ScopedQuerySet

SECRET_PREFIX = "whsec_"  # noqa: S105 - it marks a secret, and is none


class ChannelKind(models.TextChoices):
    EMAIL = "email", "e-mail"
    SLACK = "slack", "Slack"
    TEAMS = "teams", "Teams"
    WEBHOOK = "webhook", "signed webhook"


class Topic(models.TextChoices):
    """What a channel may be told of."""

    CONFLICT = "conflict", "edit in conflict"
    REJECTED = "rejected", "edit rejected"
    FAILED = "failed", "edit failed"
    AWAITING = "awaiting", "deletion waits for approval"
    PAUSED = "paused", "organization paused"
    RESUMED = "resumed", "organization resumed"


class Cause(models.TextChoices):
    """What happened."""

    EDIT_APPLIED = "edit.applied", "edit applied"
    EDIT_CONFLICT = "edit.conflict", "edit in conflict"
    EDIT_REJECTED = "edit.rejected", "edit rejected"
    EDIT_FAILED = "edit.failed", "edit failed"
    BULK_ENDED = "bulk.ended", "bulk edit ended"
    BULK_AWAITING = "bulk.awaiting", "bulk edit waits for approval"
    BULK_REFUSED = "bulk.refused", "bulk edit refused"
    ORGANIZATION_PAUSED = "organization.paused", "organization paused"
    ORGANIZATION_RESUMED = "organization.resumed", "organization resumed"
    TEST = "test", "test"


def make_secret() -> str:
    """Return a new signing secret, in the form that libraries for Standard Webhooks take."""
    return SECRET_PREFIX + b64encode(secrets.token_bytes(32)).decode()


class Channel(models.Model):
    """One way to tell people. With an owner it is theirs alone and tells of their own edits; else it is shared."""

    name = models.TextField()
    kind = models.TextField(choices=ChannelKind.choices)
    # Null: of all organizations.
    organization = models.ForeignKey(Organization, models.CASCADE, null=True, blank=True)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, null=True, blank=True)
    # An e-mail address, or a webhook's, which is a secret itself with Slack and Teams.
    address = EncryptedTextField(blank=True, default="")
    # Signed webhooks only; shown once, when it is made.
    secret = EncryptedTextField(blank=True, default="")
    topics = models.JSONField(default=list)
    is_enabled = models.BooleanField(default=True)
    # Its receiver was out of order: nothing is sent there before.
    rests_until = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    # A removed channel keeps its name for the log, and neither address nor secret.
    removed_at = models.DateTimeField(null=True, blank=True)

    objects: ClassVar[ScopedQuerySet[Channel]] = ScopedQuerySet.as_manager()  # type: ignore[assignment]  # as_manager() is typed as the plain manager

    class Meta:
        ordering = ("name", "id")
        permissions = [
            ("own_channel", "Can choose channels of one's own for notices"),
            ("share_channel", "Can manage shared channels for notices"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def shown_address(self) -> str:
        """What may be shown of the address: with webhooks the host alone."""
        return self.address if self.kind == ChannelKind.EMAIL else urlsplit(self.address).netloc

    @property
    def topic_words(self) -> list[str]:
        return [topic.label for topic in Topic if topic in self.topics]


class NoticeQuerySet(ScopedQuerySet["Notice"]):
    def unseen_by(self, who: AbstractBaseUser | AnonymousUser) -> NoticeQuerySet:
        """What a person has not seen of the outcomes of their own edits, as far as they stand."""
        mine = self.filter(person_id=who.pk, seen_at=None)
        return mine.filter(Q(edit=None) | Q(edit__state=F("edit_state")))


class Notice(models.Model):
    """Something happened, once: `key` names the cause."""

    key = models.TextField(unique=True)
    cause = models.TextField(choices=Cause.choices)
    organization = models.ForeignKey(Organization, models.CASCADE, null=True, blank=True)
    edit = models.ForeignKey(Edit, models.SET_NULL, null=True, blank=True)
    # The state that is told of: the edit may have moved on.
    edit_state = models.TextField(blank=True, default="")
    bulk = models.ForeignKey(BulkEdit, models.SET_NULL, null=True, blank=True)
    # Whose doing it was: they see it on whatever page they are, until `seen_at`.
    person = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True)
    seen_at = models.DateTimeField(null=True, blank=True)
    # Names of fields, ids, statuses, counts, the author's name. Never a value of a field.
    facts = models.JSONField(default=dict)
    created_at = models.DateTimeField()

    objects: ClassVar[NoticeQuerySet] = NoticeQuerySet.as_manager()  # type: ignore[assignment]  # as above

    class Meta:
        ordering = ("-created_at", "-id")
        indexes = [
            models.Index(fields=["person", "created_at"], name="notice_unseen", condition=Q(seen_at=None)),
            models.Index(fields=["created_at"], name="notice_created_at"),
        ]

    def __str__(self) -> str:
        return self.key


class DeliveryState(models.TextChoices):
    QUEUED = "queued", "queued"
    SENT = "sent", "sent"
    # Will be tried again.
    FAILED = "failed", "failed"
    GAVE_UP = "gave_up", "gave up"


WAITING_STATES = (DeliveryState.QUEUED, DeliveryState.FAILED)


class Delivery(models.Model):
    """A notice on its way through one channel. The row is the queue."""

    notice = models.ForeignKey(Notice, models.CASCADE, related_name="deliveries")
    channel = models.ForeignKey(Channel, models.CASCADE, related_name="deliveries")
    # The same at every attempt, so that a receiver can drop what it has already.
    message_id = models.UUIDField(default=uuid.uuid4, editable=False)
    state = models.TextField(choices=DeliveryState.choices, default=DeliveryState.QUEUED)
    attempts = models.IntegerField(default=0)
    next_attempt_at = models.DateTimeField(null=True, blank=True)
    # While a worker is at it; a killed worker's is taken up again after it.
    claimed_until = models.DateTimeField(null=True, blank=True)
    claim_number = models.BigIntegerField(default=0)
    http_status = models.IntegerField(null=True, blank=True)
    # In words of our own: no body, no address.
    error = models.TextField(blank=True, default="")
    created_at = models.DateTimeField()
    sent_at = models.DateTimeField(null=True, blank=True)

    objects: ClassVar[ScopedQuerySet[Delivery]] = ScopedQuerySet.as_manager()  # type: ignore[assignment]  # as above

    class Meta:
        ordering = ("-created_at", "-id")
        verbose_name_plural = "deliveries"
        constraints = [models.UniqueConstraint(fields=["notice", "channel"], name="delivery_key")]
        indexes = [
            models.Index(fields=["created_at", "id"], name="delivery_created_at"),
            models.Index(
                fields=["channel", "id"],
                name="delivery_due",
                condition=Q(state__in=["queued", "failed"]),
            ),
        ]

    def __str__(self) -> str:
        return f"Delivery {self.pk}"
