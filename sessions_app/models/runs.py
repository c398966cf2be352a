"""The ledger of pulls: runs, leases, windows, watermarks and what could not be stored."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models

from sessions_app.models.organizations import Organization
from sessions_app.models.scopes import ScopedQuerySet


class Stream(models.TextChoices):
    SESSIONS = "sessions", "sessions"
    CHATS = "chats", "chats"
    NAMES = "names", "names"


class RunKind(models.TextChoices):
    BACKFILL = "backfill", "full"
    INCREMENTAL = "incremental", "incremental"
    RECONCILE = "reconcile", "reconcile"


class RunState(models.TextChoices):
    RUNNING = "running", "running"
    SUCCEEDED = "succeeded", "succeeded"
    PARTIAL = "partial", "partial"
    FAILED = "failed", "failed"


class SyncRun(models.Model):
    organization = models.ForeignKey(Organization, models.CASCADE)
    stream = models.TextField(choices=Stream.choices)
    kind = models.TextField(choices=RunKind.choices)
    state = models.TextField(choices=RunState.choices, default=RunState.RUNNING)
    lease_number = models.BigIntegerField(default=0)
    started_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True)
    seen = models.BigIntegerField(default=0)
    created = models.BigIntegerField(default=0)
    updated = models.BigIntegerField(default=0)
    unchanged = models.BigIntegerField(default=0)
    quarantined = models.BigIntegerField(default=0)
    missing = models.BigIntegerField(default=0)
    # What Vapi's listing says there is, for the progress shown; proves nothing.
    total = models.BigIntegerField(null=True, blank=True)
    error = models.TextField(blank=True, default="")
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True, blank=True)

    objects: ClassVar[ScopedQuerySet[SyncRun]] = ScopedQuerySet.as_manager()  # type: ignore[assignment]  # as_manager() is typed as the plain manager

    class Meta:
        ordering = ("-started_at", "-id")
        indexes = [models.Index(fields=["started_at", "id"], name="syncrun_started_at")]

    def __str__(self) -> str:
        return f"{self.stream} {self.kind} {self.started_at:%Y-%m-%d %H:%M:%S}"


class Leased(models.Model):
    """Work that one worker at a time holds. Times are the database's; `number` grows with every taking and guards
    writes."""

    number = models.BigIntegerField(default=0)
    holder = models.TextField(blank=True, default="")
    expires_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        abstract = True


class Lease(Leased):
    """Who pulls a stream now."""

    organization = models.ForeignKey(Organization, models.CASCADE)
    stream = models.TextField(choices=Stream.choices)
    kind = models.TextField(choices=RunKind.choices)

    objects: ClassVar[models.Manager[Lease]] = models.Manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["organization", "stream", "kind"], name="lease_key")]

    def __str__(self) -> str:
        return f"{self.stream} {self.kind}: {self.holder}"


class SyncWindow(Leased):
    """A half-open stretch of createdAt that a full sync walks, held by one worker at a time. A finished one is the
    checkpoint."""

    organization = models.ForeignKey(Organization, models.CASCADE)
    stream = models.TextField(choices=Stream.choices)
    # Null: unbounded on that side.
    starts_at = models.DateTimeField(null=True, blank=True)
    ends_at = models.DateTimeField(null=True, blank=True)
    # The createdAt reached inside the window, where the next worker goes on.
    reached_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    seen = models.BigIntegerField(default=0)
    # How many rows it holds: what the listing said, or its share of what the listing said of them all.
    expected = models.BigIntegerField(null=True, blank=True)

    objects: ClassVar[ScopedQuerySet[SyncWindow]] = ScopedQuerySet.as_manager()  # type: ignore[assignment]  # as above

    class Meta:
        indexes = [models.Index(fields=["organization", "stream", "finished_at"], name="syncwindow_open")]

    def __str__(self) -> str:
        return f"{self.stream} {self.starts_at} to {self.ends_at}"


class Watermark(models.Model):
    """Up to which updatedAt a stream has been read whole. Vapi's time, never ours."""

    organization = models.ForeignKey(Organization, models.CASCADE)
    stream = models.TextField(choices=Stream.choices)
    updated_at = models.DateTimeField(null=True, blank=True)
    # When the windows of the full sync that is under way were laid; null: none is.
    planned_at = models.DateTimeField(null=True, blank=True)
    # When the first whole backfill ended; before it, an incremental run is not enough.
    backfilled_at = models.DateTimeField(null=True, blank=True)
    # When the newest rows were last asked for, because somebody is signed in or looked for something.
    swept_at = models.DateTimeField(null=True, blank=True)

    objects: ClassVar[ScopedQuerySet[Watermark]] = ScopedQuerySet.as_manager()  # type: ignore[assignment]  # as above

    class Meta:
        constraints = [models.UniqueConstraint(fields=["organization", "stream"], name="watermark_key")]

    def __str__(self) -> str:
        return f"{self.stream}: {self.updated_at}"


class QuarantinedRecord(models.Model):
    """A record that could not be stored, and why."""

    organization = models.ForeignKey(Organization, models.CASCADE)
    stream = models.TextField(choices=Stream.choices)
    remote_id = models.TextField(blank=True, default="")
    # Safe to show and log: a field and a rule, an SQLSTATE and a constraint; never a value.
    reason = models.TextField()
    # The redacted record; '' where it could not be parsed.
    payload_json = models.TextField(blank=True, default="")
    run = models.ForeignKey(SyncRun, models.SET_NULL, null=True, blank=True)
    first_seen_at = models.DateTimeField()
    last_seen_at = models.DateTimeField()
    times_seen = models.IntegerField(default=1)
    resolved_at = models.DateTimeField(null=True, blank=True)
    # How, for people; '' where it was stored after all.
    resolution = models.TextField(blank=True, default="")

    objects: ClassVar[ScopedQuerySet[QuarantinedRecord]] = ScopedQuerySet.as_manager()  # type: ignore[assignment]  # as above

    class Meta:
        ordering = ("-last_seen_at", "-id")
        indexes = [models.Index(fields=["last_seen_at", "id"], name="quarantined_last_seen_at")]
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "stream", "remote_id", "reason"], name="quarantinedrecord_key"
            )
        ]

    def __str__(self) -> str:
        return f"{self.stream} {self.remote_id}: {self.reason}"
