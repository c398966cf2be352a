"""Names of assistants, squads and phone numbers, so that people read names where Vapi has ids."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from sessions_app.models.organizations import Organization
from sessions_app.models.scopes import ScopedQuerySet


class NameKind(models.TextChoices):
    ASSISTANT = "assistant", "assistant"
    SQUAD = "squad", "squad"
    PHONE_NUMBER = "phone_number", "phone number"


class RemoteName(models.Model):
    organization = models.ForeignKey(Organization, models.CASCADE)
    kind = models.TextField(choices=NameKind.choices)
    remote_id = models.TextField()
    name = models.TextField(blank=True, default="")
    updated_at = models.DateTimeField(null=True, blank=True)
    synced_at = models.DateTimeField()
    missing_since = models.DateTimeField(null=True, blank=True)

    objects: ClassVar[ScopedQuerySet[RemoteName]] = ScopedQuerySet.as_manager()  # type: ignore[assignment]  # as_manager() is typed as the plain manager

    class Meta:
        ordering = ("kind", "name", "remote_id")
        constraints = [
            models.UniqueConstraint(fields=["organization", "kind", "remote_id"], name="remotename_key")
        ]

    def __str__(self) -> str:
        return self.name or self.remote_id
