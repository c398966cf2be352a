"""Our own retention: ids that were let go, and requests to erase a customer."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models

from sessions_app.models.fields import EncryptedTextField
from sessions_app.models.organizations import Organization
from sessions_app.models.runs import Stream
from sessions_app.models.scopes import ScopedQuerySet


class ForgottenReason(models.TextChoices):
    PRUNED = "pruned", "past our own retention"
    ERASED = "erased", "erased on request"


class ForgottenId(models.Model):
    """A keyed digest of an id that we let go: the writer skips it, coverage counts it apart."""

    organization = models.ForeignKey(Organization, models.CASCADE)
    stream = models.TextField(choices=Stream.choices)
    # HMAC-SHA-256 of the id with a key of this installation.
    digest = models.TextField()
    reason = models.TextField(choices=ForgottenReason.choices)
    created_day = models.DateField()
    forgotten_at = models.DateTimeField()

    objects: ClassVar[ScopedQuerySet[ForgottenId]] = ScopedQuerySet.as_manager()  # type: ignore[assignment]  # as_manager() is typed as the plain manager

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organization", "stream", "digest"], name="forgottenid_key")
        ]
        indexes = [models.Index(fields=["organization", "stream", "created_day"], name="forgottenid_day")]

    def __str__(self) -> str:
        return f"{self.stream} {self.reason}"


class HoldBy(models.TextChoices):
    SESSION = "session", "session id"
    NUMBER = "number", "phone number"
    EMAIL = "email", "e-mail address"
    EXTERNAL_ID = "external_id", "external id"


class LegalHold(models.Model):
    """An order to keep a session, or all of a customer's: no retention and no erasure touches them until its release.

    The row stays after it, as the trail of who set and released it, when and why.
    """

    organization = models.ForeignKey(Organization, models.CASCADE)
    by = models.TextField(choices=HoldBy.choices, default=HoldBy.SESSION)
    value = EncryptedTextField(blank=True, default="")
    reason = models.TextField()
    # A person's or token's name, or "command line".
    set_by = models.TextField(blank=True, default="")
    created_at = models.DateTimeField(auto_now_add=True)
    released_at = models.DateTimeField(null=True, blank=True)
    released_by = models.TextField(blank=True, default="")
    release_reason = models.TextField(blank=True, default="")

    objects: ClassVar[ScopedQuerySet[LegalHold]] = ScopedQuerySet.as_manager()  # type: ignore[assignment]  # as above

    class Meta:
        ordering = ("-created_at", "-id")
        permissions = [("hold_sessions", "Can set and release legal holds")]
        indexes = [models.Index(fields=["created_at", "id"], name="legalhold_created_at")]

    def __str__(self) -> str:
        return f"Legal hold {self.pk}"


class HeldSession(models.Model):
    """A session that a legal hold in force keeps."""

    hold = models.ForeignKey(LegalHold, models.CASCADE, related_name="held")
    session_id = models.TextField(db_index=True)

    objects: ClassVar[models.Manager[HeldSession]] = models.Manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["hold", "session_id"], name="heldsession_key")]

    def __str__(self) -> str:
        return self.session_id


class ErasureState(models.TextChoices):
    QUEUED = "queued", "queued"
    RUNNING = "running", "running"
    DONE = "done", "done"
    PARTIAL = "partial", "partial"


class Erasure(models.Model):
    """A request to erase one customer, here and at Vapi. What was asked for is kept encrypted until it is done."""

    organization = models.ForeignKey(Organization, models.CASCADE)
    # "number", "email" or "external_id", and its value; emptied when done.
    by = models.TextField()
    value = EncryptedTextField(blank=True, default="")
    reason = models.TextField()
    author = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True)
    state = models.TextField(choices=ErasureState.choices, default=ErasureState.QUEUED)
    at_vapi = models.BooleanField(default=False)
    found = models.IntegerField(default=0)
    erased_here = models.IntegerField(default=0)
    erased_at_vapi = models.IntegerField(default=0)
    note = models.TextField(blank=True, default="")
    created_at = models.DateTimeField(auto_now_add=True)
    next_attempt_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    objects: ClassVar[ScopedQuerySet[Erasure]] = ScopedQuerySet.as_manager()  # type: ignore[assignment]  # as above

    class Meta:
        ordering = ("-created_at", "-id")
        permissions = [("erase_customer", "Can erase a customer")]

    def __str__(self) -> str:
        return f"Erasure {self.pk}"
