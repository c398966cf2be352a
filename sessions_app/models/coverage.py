"""What is proven: for each day of Vapi's createdAt, that Vapi and we hold the same rows."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from sessions_app.models.organizations import Organization
from sessions_app.models.runs import Stream
from sessions_app.models.scopes import ScopedQuerySet


class CoverageState(models.TextChoices):
    UNKNOWN = "unknown", "not proven yet"
    PROVEN = "proven", "proven"
    DIFFERS = "differs", "differs"
    BEYOND_RETENTION = "beyond_retention", "beyond Vapi's retention"


class Coverage(models.Model):
    """One UTC day of one stream, and its last proof."""

    organization = models.ForeignKey(Organization, models.CASCADE)
    stream = models.TextField(choices=Stream.choices)
    day = models.DateField()
    state = models.TextField(choices=CoverageState.choices, default=CoverageState.UNKNOWN)
    # Of the last proof: ids at Vapi, ids here that are not stamped missing, ids here that are, ids we let go.
    upstream_count = models.BigIntegerField(default=0)
    mirrored_count = models.BigIntegerField(default=0)
    missing_count = models.BigIntegerField(default=0)
    forgotten_count = models.BigIntegerField(default=0)
    proven_at = models.DateTimeField(null=True, blank=True)
    # When the day was last read whole: equal counts can hide one lost and one deleted.
    walked_at = models.DateTimeField(null=True, blank=True)
    # A change of the day's rows since the proof: it must be proven again.
    disturbed_at = models.DateTimeField(null=True, blank=True)
    requests = models.BigIntegerField(default=0)
    note = models.TextField(blank=True, default="")

    objects: ClassVar[ScopedQuerySet[Coverage]] = ScopedQuerySet.as_manager()  # type: ignore[assignment]  # as_manager() is typed as the plain manager

    class Meta:
        ordering = ("-day", "stream")
        constraints = [models.UniqueConstraint(fields=["organization", "stream", "day"], name="coverage_key")]

    def __str__(self) -> str:
        return f"{self.stream} {self.day}: {self.state}"


class RetentionBoundary(models.Model):
    """Before which createdAt Vapi shows nothing any more, as its listings taught us."""

    organization = models.ForeignKey(Organization, models.CASCADE)
    stream = models.TextField(choices=Stream.choices)
    oldest_listed_at = models.DateTimeField(null=True, blank=True)
    # Whether a listing said `itemsBeyondRetention`, and when a sample of older ids was answered with 404.
    is_announced = models.BooleanField(default=False)
    confirmed_at = models.DateTimeField(null=True, blank=True)
    seen_at = models.DateTimeField()

    objects: ClassVar[ScopedQuerySet[RetentionBoundary]] = ScopedQuerySet.as_manager()  # type: ignore[assignment]  # as above

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organization", "stream"], name="retentionboundary_key")
        ]

    def __str__(self) -> str:
        return f"{self.stream}: {self.oldest_listed_at}"
