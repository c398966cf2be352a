"""Organizations: a Vapi organization, its key and its write mode."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models

from sessions_app.models.fields import EncryptedTextField
from sessions_app.models.scopes import ScopedQuerySet


class WriteMode(models.TextChoices):
    OFF = "off", "Off: edits are drafted, none is sent"
    ON = "on", "On: edits are sent to Vapi"
    PAUSED = "paused", "Paused: queued edits wait"


class OrganizationQuerySet(ScopedQuerySet["Organization"]):
    def active(self) -> OrganizationQuerySet:
        return self.filter(is_active=True)

    def reachable(self) -> OrganizationQuerySet:
        """Active ones whose key Vapi has not refused."""
        return self.active().filter(paused_at=None)


LONGEST_DAYS = 36_500


def _days(default: int | None = None) -> models.IntegerField[int | None, int | None]:
    """Whole days that something is kept; null for ever."""
    limits = [MinValueValidator(1), MaxValueValidator(LONGEST_DAYS)]
    return models.IntegerField(null=True, blank=True, default=default, validators=limits)


class Organization(models.Model):
    slug = models.TextField(
        unique=True, validators=[RegexValidator(r"^[a-z0-9][a-z0-9-]{0,49}$", "Use a-z, 0-9 and -.")]
    )
    name = models.TextField()
    base_url = models.TextField("Vapi's address", default="https://api.vapi.ai")
    # Empty for `default`, whose key is read from VAPI_API_KEY and never stored.
    api_key = EncryptedTextField("API key", blank=True, default="")
    # Vapi's own id, pinned at the first sync: a key of another organization is noticed at once.
    vapi_org_id = models.TextField("Vapi's organization id", blank=True, default="")
    is_sandbox = models.BooleanField(default=False)
    is_active = models.BooleanField(default=True)
    write_mode = models.TextField(choices=WriteMode.choices, default=WriteMode.OFF)
    report_time_zone = models.TextField(default="UTC")
    # Manners towards Vapi: requests a second on average, and at once.
    requests_per_second = models.FloatField(default=5)
    concurrent_requests = models.IntegerField(default=4)
    # Set when Vapi refuses the key (401, 402, 403): nothing is asked until a person takes it back.
    paused_at = models.DateTimeField(null=True, blank=True)
    paused_reason = models.TextField(blank=True, default="")
    # Older data than this are called old, on every page.
    freshness_goal_seconds = models.IntegerField(default=300)
    # Our own retention in days; null keeps for ever.
    payload_retention_days = _days()
    row_retention_days = _days()
    history_retention_days = _days(365)
    body_retention_days = _days(30)
    event_retention_days = _days(180)
    quarantine_retention_days = _days(180)
    run_retention_days = _days(180)
    notice_retention_days = _days(180)
    requires_reason = models.BooleanField(default=False)
    bulk_delete_needs_approval = models.BooleanField("A second person approves deleting many", default=True)
    created_at = models.DateTimeField(auto_now_add=True)

    objects: ClassVar[OrganizationQuerySet] = OrganizationQuerySet.as_manager()  # type: ignore[assignment]  # as_manager() is typed as the plain manager

    class Meta:
        ordering = ("slug",)
        permissions = [("change_write_mode", "Can turn sending edits to Vapi on and off")]

    def __str__(self) -> str:
        return self.name or self.slug

    def save(self, *args: object, **kwargs: object) -> None:
        self._refuse_mixing()
        super().save(*args, **kwargs)  # type: ignore[arg-type]  # passed through as they came

    def _refuse_mixing(self) -> None:
        """Simulated and real rows never share a database."""
        if Organization.objects.exclude(pk=self.pk).filter(is_sandbox=not self.is_sandbox).exists():
            raise ValidationError(
                "This database holds demo data and cannot take a real organization (or the other way round). "
                "Use another DATABASE_URL."
            )


class WriteModeChange(models.Model):
    """Who turned an organization's write mode, when and why. Rows are added, never changed."""

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="write_mode_changes")
    mode = models.TextField(choices=WriteMode.choices)
    reason = models.TextField()
    author = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True)
    changed_at = models.DateTimeField(auto_now_add=True)

    objects: ClassVar[ScopedQuerySet[WriteModeChange]] = ScopedQuerySet.as_manager()  # type: ignore[assignment]  # as above

    class Meta:
        ordering = ("-changed_at", "-id")

    def __str__(self) -> str:
        return f"{self.organization_id}: {self.mode}"


class KeyPause(models.Model):
    """A time in which nothing was asked with an organization's key, as Vapi refused it; and who ended it."""

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="pauses")
    cause = models.TextField()
    began_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    # A person's name, or what else ended it.
    ended_by = models.TextField(blank=True, default="")
    end_reason = models.TextField(blank=True, default="")

    objects: ClassVar[ScopedQuerySet[KeyPause]] = ScopedQuerySet.as_manager()  # type: ignore[assignment]  # as above

    class Meta:
        ordering = ("-began_at", "-id")

    def __str__(self) -> str:
        return f"{self.organization_id}: {self.cause}"
