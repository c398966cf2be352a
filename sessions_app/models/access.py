"""API tokens: hashed, scoped, expiring."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.utils import timezone

from sessions_app.models.scopes import ScopedQuerySet


class Scope(models.TextChoices):
    SESSIONS_READ = "sessions:read", "read sessions, chats and edits"
    SESSIONS_WRITE = "sessions:write", "correct sessions"
    MESSAGES_WRITE = "messages:write", "correct messages of sessions"
    SESSIONS_DELETE = "sessions:delete", "delete sessions at Vapi"
    COSTS_READ = "costs:read", "read costs"
    RUNS_READ = "runs:read", "read sync runs"
    HOLDS_WRITE = "holds:write", "see, set and release legal holds"


# What a scope opens, as the permissions that a person needs for the same; the first where a view names none of its own.
RIGHTS_OF_SCOPE: Mapping[str, tuple[str, ...]] = {
    Scope.SESSIONS_READ: ("sessions_app.view_session", "sessions_app.view_chat", "sessions_app.view_edit"),
    Scope.SESSIONS_WRITE: (
        "sessions_app.edit_session",
        "sessions_app.refetch_session",
        "sessions_app.bulk_edit_session",
    ),
    Scope.MESSAGES_WRITE: ("sessions_app.edit_messages",),
    Scope.SESSIONS_DELETE: ("sessions_app.delete_at_vapi",),
    Scope.COSTS_READ: ("sessions_app.view_costline",),
    Scope.RUNS_READ: ("sessions_app.view_syncrun", "sessions_app.view_coverage"),
    Scope.HOLDS_WRITE: ("sessions_app.hold_sessions", "sessions_app.view_legalhold"),
}


class ApiToken(models.Model):
    name = models.TextField()
    # SHA-256 of the token, which has 256 random bits and needs no slow hash. The token is shown once.
    digest = models.TextField(unique=True, editable=False)
    # The first characters, by which a person tells tokens apart.
    prefix = models.TextField(editable=False)
    scopes = models.JSONField(default=list)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    objects: ClassVar[ScopedQuerySet[ApiToken]] = ScopedQuerySet.as_manager()  # type: ignore[assignment]  # as_manager() is typed as the plain manager

    class Meta:
        verbose_name = "API token"
        ordering = ("-created_at", "-id")

    def __str__(self) -> str:
        return self.name

    @property
    def is_active(self) -> bool:
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > timezone.now())
