"""The budget of requests to Vapi, shared by every worker and host, and what was spent of it."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from sessions_app.models.organizations import Organization
from sessions_app.models.scopes import ScopedQuerySet


class Purpose(models.TextChoices):
    """Why Vapi is asked, most urgent first."""

    PERSON = "person", "a person waits"
    PUSH = "push", "edits"
    WEBHOOK = "webhook", "webhooks"
    INCREMENTAL = "incremental", "incremental sync"
    NAMES = "names", "names"
    RECONCILE = "reconcile", "reconcile"
    BACKFILL = "backfill", "full sync"


class Budget(models.Model):
    """One token bucket for each organization. Times are the database's."""

    organization = models.OneToOneField(Organization, models.CASCADE, primary_key=True)
    tokens = models.FloatField(default=0)
    refilled_at = models.DateTimeField()
    # After a 429 nobody asks before this.
    cool_down_until = models.DateTimeField(null=True, blank=True)

    objects: ClassVar[ScopedQuerySet[Budget]] = ScopedQuerySet.as_manager()  # type: ignore[assignment]  # as_manager() is typed as the plain manager

    def __str__(self) -> str:
        return f"{self.organization_id}: {self.tokens:.1f}"


class RequestSlot(models.Model):
    """A request under way; what its owner never gave back runs out."""

    organization = models.ForeignKey(Organization, models.CASCADE)
    purpose = models.TextField(choices=Purpose.choices)
    expires_at = models.DateTimeField()

    objects: ClassVar[models.Manager[RequestSlot]] = models.Manager()

    def __str__(self) -> str:
        return f"{self.organization_id} {self.purpose}"


class RequestTally(models.Model):
    """Requests of a minute by purpose and outcome, for the page and /metrics."""

    organization = models.ForeignKey(Organization, models.CASCADE)
    minute = models.DateTimeField()
    purpose = models.TextField(choices=Purpose.choices)
    # "2xx", "4xx", "429", "5xx", "none" (no answer).
    outcome = models.TextField()
    count = models.BigIntegerField(default=0)
    waited_milliseconds = models.BigIntegerField(default=0)
    took_milliseconds = models.BigIntegerField(default=0)

    objects: ClassVar[ScopedQuerySet[RequestTally]] = ScopedQuerySet.as_manager()  # type: ignore[assignment]  # as above

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "minute", "purpose", "outcome"], name="requesttally_key"
            )
        ]

    def __str__(self) -> str:
        return f"{self.minute} {self.purpose} {self.outcome}"


class Lookup(models.Model):
    """What was asked of Vapi because a person looked for it, so that nobody asks the same again at once."""

    organization = models.ForeignKey(Organization, models.CASCADE)
    # SHA-256 of what was looked for: a number or an e-mail address does not stand here.
    digest = models.TextField()
    asked_at = models.DateTimeField()
    was_found = models.BooleanField(default=False)

    objects: ClassVar[models.Manager[Lookup]] = models.Manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["organization", "digest"], name="lookup_key")]

    def __str__(self) -> str:
        return f"{self.organization_id} {self.asked_at}"
