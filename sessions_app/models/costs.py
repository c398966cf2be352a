"""Costs: lines as Vapi itemizes them, what each session or chat reports in all, and the daily rollup of both."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from sessions_app.models.fields import UsdField
from sessions_app.models.organizations import Organization
from sessions_app.models.scopes import ScopedQuerySet


class Source(models.TextChoices):
    """Where an amount was reported. Whether a session's cost includes its chats' is not known: never add them."""

    SESSION = "session", "sessions"
    CHAT = "chat", "chats"


class Attributed(models.Model):
    """To whom and what an amount belongs; '' for none, so that a key never holds NULL."""

    source = models.TextField(choices=Source.choices)
    assistant_id = models.TextField(blank=True, default="")
    squad_id = models.TextField(blank=True, default="")
    phone_number_id = models.TextField(blank=True, default="")

    class Meta:
        abstract = True


class CostLine(Attributed):
    """One entry of a session's or chat's `costs`."""

    # "session:<id>:<position>": the same after every sync.
    id = models.TextField(primary_key=True)
    organization = models.ForeignKey(Organization, models.PROTECT, db_index=False)
    # The session's or chat's own id, by source.
    parent_id = models.TextField()
    # The session that the line belongs to, also through its chat; '' for a chat without one.
    session_id = models.TextField(blank=True, default="")
    chat_id = models.TextField(blank=True, default="")
    position = models.IntegerField()
    kind = models.TextField(blank=True, default="")
    analysis_type = models.TextField(blank=True, default="")
    provider = models.TextField(blank=True, default="")
    model = models.TextField(blank=True, default="")
    prompt_tokens = models.BigIntegerField(null=True, blank=True)
    completion_tokens = models.BigIntegerField(null=True, blank=True)
    cached_prompt_tokens = models.BigIntegerField(null=True, blank=True)
    # A subset of completion_tokens.
    reasoning_tokens = models.BigIntegerField(null=True, blank=True)
    cost_usd = UsdField(null=True, blank=True)
    # The session's or chat's created_at.
    occurred_at = models.DateTimeField()

    objects: ClassVar[ScopedQuerySet[CostLine]] = ScopedQuerySet.as_manager()  # type: ignore[assignment]  # as_manager() is typed as the plain manager

    class Meta:
        ordering = ("-occurred_at", "-id")
        permissions = [("export_costline", "Can export costs")]
        indexes = [
            models.Index(fields=["source", "parent_id"], name="costline_parent"),
            models.Index(fields=["organization", "occurred_at", "id"], name="costline_occurred_at"),
            models.Index(fields=["organization", "cost_usd", "id"], name="costline_cost_usd"),
            models.Index(fields=["session_id", "occurred_at"], name="costline_session"),
        ]

    def __str__(self) -> str:
        return self.id


class ReportedCost(Attributed):
    """What a session or chat itself reports as its cost, as the rollup has counted it."""

    # "session:<id>" or "chat:<id>".
    id = models.TextField(primary_key=True)
    organization = models.ForeignKey(Organization, models.PROTECT, db_index=False)
    parent_id = models.TextField()
    cost_usd = UsdField(null=True, blank=True)
    occurred_at = models.DateTimeField()

    objects: ClassVar[ScopedQuerySet[ReportedCost]] = ScopedQuerySet.as_manager()  # type: ignore[assignment]  # as above

    def __str__(self) -> str:
        return self.id


class CostRollup(Attributed):
    """Sums of a day in the organization's report time zone.

    Rows that are not itemized hold, under kind '', what sessions and chats report of themselves:
    `line_count` counts them, `without_cost_count` those that report none. Itemized rows hold cost lines.
    """

    organization = models.ForeignKey(Organization, models.CASCADE, db_index=False)
    day = models.DateField()
    # False: reported by the session or chat itself. True: one of its lines (whose kind may be '').
    is_itemized = models.BooleanField()
    kind = models.TextField(blank=True, default="")
    analysis_type = models.TextField(blank=True, default="")
    provider = models.TextField(blank=True, default="")
    model = models.TextField(blank=True, default="")
    cost_usd = UsdField(default=0)
    line_count = models.BigIntegerField(default=0)
    without_cost_count = models.BigIntegerField(default=0)
    prompt_tokens = models.BigIntegerField(default=0)
    completion_tokens = models.BigIntegerField(default=0)
    cached_prompt_tokens = models.BigIntegerField(default=0)
    reasoning_tokens = models.BigIntegerField(default=0)

    objects: ClassVar[ScopedQuerySet[CostRollup]] = ScopedQuerySet.as_manager()  # type: ignore[assignment]  # as above

    KEY = (
        "organization_id",
        "day",
        "source",
        "is_itemized",
        "kind",
        "analysis_type",
        "provider",
        "model",
        "assistant_id",
        "squad_id",
        "phone_number_id",
    )
    MEASURES = (
        "cost_usd",
        "line_count",
        "without_cost_count",
        "prompt_tokens",
        "completion_tokens",
        "cached_prompt_tokens",
        "reasoning_tokens",
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=[
                    "organization",
                    "day",
                    "source",
                    "is_itemized",
                    "kind",
                    "analysis_type",
                    "provider",
                    "model",
                    "assistant_id",
                    "squad_id",
                    "phone_number_id",
                ],
                name="costrollup_key",
            )
        ]

    def __str__(self) -> str:
        return f"{self.day} {self.source} {self.kind}"
