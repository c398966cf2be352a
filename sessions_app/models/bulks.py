"""Bulk edits: one change for many sessions, previewed, confirmed, run, and undone as one."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models

from sessions_app.models.organizations import Organization
from sessions_app.models.scopes import ScopedQuerySet


class BulkState(models.TextChoices):
    PREVIEWED = "previewed", "previewed"
    RUNNING = "running", "running"
    PAUSED = "paused", "paused"
    DONE = "done", "done"
    CANCELLED = "cancelled", "cancelled"


class BulkEdit(models.Model):
    organization = models.ForeignKey(Organization, models.PROTECT)
    state = models.TextField(choices=BulkState.choices, default=BulkState.PREVIEWED)
    # {field: value} by Vapi's field names, or {"delete": true}.
    fields = models.JSONField(default=dict)
    # What was chosen: {"ids": [...]} or {"query": "status=active&assistant_id=..."} as the list showed it.
    selection = models.JSONField(default=dict)
    reason = models.TextField(blank=True, default="")
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="bulk_edits"
    )
    # Deleting many asks for a second person.
    confirmed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="confirmed_bulk_edits"
    )
    undoes = models.ForeignKey("self", models.SET_NULL, null=True, blank=True, related_name="undone_by")
    # How far the queueing came: edits are made in portions, in the order of ids.
    queued_through = models.TextField(blank=True, default="")
    total = models.IntegerField(default=0)
    skipped = models.JSONField(default=list, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    next_attempt_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    objects: ClassVar[ScopedQuerySet[BulkEdit]] = ScopedQuerySet.as_manager()  # type: ignore[assignment]  # as_manager() is typed as the plain manager

    class Meta:
        ordering = ("-created_at", "-id")
        permissions = [("bulk_edit_session", "Can correct many sessions at once")]

    def __str__(self) -> str:
        return f"Bulk edit {self.pk}"
