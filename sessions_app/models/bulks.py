"""Bulk edits: one change for many sessions, previewed, confirmed, run, and undone as one."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser
from django.db import models

from sessions_app.models.access import ApiToken
from sessions_app.models.organizations import Organization
from sessions_app.models.scopes import ScopedQuerySet

# In `fields`, beside Vapi's field names: every chosen session is deleted at Vapi.
DELETE = "delete"


class BulkState(models.TextChoices):
    PREVIEWED = "previewed", "previewed"
    AWAITING = "awaiting", "waiting for approval"
    RUNNING = "running", "running"
    PAUSED = "paused", "paused"
    DONE = "done", "done"
    CANCELLED = "cancelled", "cancelled"
    REFUSED = "refused", "refused"


class BulkEdit(models.Model):
    organization = models.ForeignKey(Organization, models.PROTECT)
    state = models.TextField(choices=BulkState.choices, default=BulkState.PREVIEWED)
    # {field: value} by Vapi's field names, or {"delete": true}.
    fields = models.JSONField(default=dict)
    # What was chosen: {"ids": [...]}, or for an undoing {"edits": [...]}. Of a deletion also {"seen": {id: digest}} of
    # what the preview showed: what has changed since is left out.
    selection = models.JSONField(default=dict)
    reason = models.TextField(blank=True, default="")
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="bulk_edits"
    )
    token = models.ForeignKey(ApiToken, models.SET_NULL, null=True, blank=True, related_name="bulk_edits")
    # Two submissions over REST with one key are one bulk; the digest tells whether they asked for the same.
    submission_key = models.UUIDField(null=True, blank=True, unique=True, editable=False)
    submission_digest = models.TextField(blank=True, default="", editable=False)
    # Deleting many asks for a second person: who approved or refused, when and why.
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="decided_bulk_edits"
    )
    decided_at = models.DateTimeField(null=True, blank=True)
    decision_reason = models.TextField(blank=True, default="")
    undoes = models.ForeignKey("self", models.SET_NULL, null=True, blank=True, related_name="undone_by")
    # How far the queueing came: edits are made in portions, in the order of ids.
    queued_through = models.TextField(blank=True, default="")
    total = models.IntegerField(default=0)
    skipped = models.JSONField(default=list, blank=True)
    # One of its sessions was erased: its values and reasons go too, as soon as it has ended.
    is_erased = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)
    next_attempt_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    objects: ClassVar[ScopedQuerySet[BulkEdit]] = ScopedQuerySet.as_manager()  # type: ignore[assignment]  # as_manager() is typed as the plain manager

    class Meta:
        ordering = ("-created_at", "-id")
        permissions = [("bulk_edit_session", "Can correct many sessions at once")]

    def __str__(self) -> str:
        return f"Bulk edit {self.pk}"

    @property
    def deletes(self) -> bool:
        return DELETE in self.fields

    @property
    def author_name(self) -> str:
        if self.author:
            return self.author.get_username()
        return f"token {self.token.name}" if self.token else ""

    @property
    def asker(self) -> AbstractBaseUser | None:
        """The person behind it: a token counts as its owner."""
        return self.author or (self.token.created_by if self.token else None)
