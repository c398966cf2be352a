"""Field history: each change of a session that sync, a webhook or an edit brought."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from sessions_app.models.edits import Edit
from sessions_app.models.organizations import Organization
from sessions_app.models.scopes import ScopedQuerySet


class ChangeSource(models.TextChoices):
    SYNC = "sync", "sync"
    REFETCH = "refetch", "fetched again"
    WEBHOOK = "webhook", "webhook"
    EDIT = "edit", "edit"


class FieldChange(models.Model):
    """One new state of one session, as far as it differs from the one before."""

    organization = models.ForeignKey(Organization, models.PROTECT, db_index=False)
    session_id = models.TextField()
    source = models.TextField(choices=ChangeSource.choices)
    edit = models.ForeignKey(Edit, models.SET_NULL, null=True, blank=True)
    # When we saw it, and Vapi's updatedAt of the new state.
    seen_at = models.DateTimeField()
    updated_at = models.DateTimeField()
    # {field: [old, new]} by Vapi's field names; of messages only what was appended or changed:
    # {"messages": {"from": position, "old": [...], "new": [...]}}.
    fields = models.JSONField(default=dict)

    objects: ClassVar[ScopedQuerySet[FieldChange]] = ScopedQuerySet.as_manager()  # type: ignore[assignment]  # as_manager() is typed as the plain manager

    class Meta:
        ordering = ("-seen_at", "-id")
        indexes = [
            models.Index(fields=["session_id", "seen_at", "id"], name="fieldchange_session"),
            models.Index(fields=["seen_at"], name="fieldchange_seen_at"),
        ]

    def __str__(self) -> str:
        return f"{self.session_id} {self.seen_at}"
