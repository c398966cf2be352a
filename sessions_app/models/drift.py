"""Schema drift: what Vapi sends that this version does not know by name."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from sessions_app.models.organizations import Organization
from sessions_app.models.runs import Stream
from sessions_app.models.scopes import ScopedQuerySet


class DriftKind(models.TextChoices):
    FIELD = "field", "unknown field"
    STATUS = "status", "unknown status"
    ROLE = "role", "unknown role"
    COST_KIND = "cost_kind", "unknown kind of cost"


class SchemaDrift(models.Model):
    organization = models.ForeignKey(Organization, models.CASCADE)
    stream = models.TextField(choices=Stream.choices)
    kind = models.TextField(choices=DriftKind.choices)
    # The field's path ("artifact.newThing"), or the unknown word itself where it is a status, role or kind.
    name = models.TextField()
    # Types only, never a value: {"a": "string", "b": ["number"]}.
    shape = models.JSONField(default=dict, blank=True)
    first_seen_at = models.DateTimeField()
    last_seen_at = models.DateTimeField()
    count = models.BigIntegerField(default=0)

    objects: ClassVar[ScopedQuerySet[SchemaDrift]] = ScopedQuerySet.as_manager()  # type: ignore[assignment]  # as_manager() is typed as the plain manager

    class Meta:
        verbose_name_plural = "schema drift"
        ordering = ("-first_seen_at", "-id")
        constraints = [
            models.UniqueConstraint(fields=["organization", "stream", "kind", "name"], name="schemadrift_key")
        ]

    def __str__(self) -> str:
        return f"{self.stream} {self.kind} {self.name}"
