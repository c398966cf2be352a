"""What sessions and chats have in common: Vapi's columns, the version columns and our bookkeeping."""

from __future__ import annotations

from django.db import models

from sessions_app.models.fields import UsdField
from sessions_app.models.organizations import Organization

ID_LENGTH = 200


class MissingReason(models.TextChoices):
    DELETED = "deleted", "deleted at Vapi"
    BEYOND_RETENTION = "beyond_retention", "beyond Vapi's retention"
    GONE = "gone", "gone from Vapi, cause unknown"


class Mirrored(models.Model):
    # Vapi's own id: a plain string, not always a UUID.
    id = models.TextField(primary_key=True)
    organization = models.ForeignKey(Organization, models.PROTECT, db_index=False)
    name = models.TextField(blank=True, default="")
    assistant_id = models.TextField(blank=True, default="")
    squad_id = models.TextField(blank=True, default="")
    cost_usd = UsdField(null=True, blank=True)
    # The sum of the cost lines; null where there are none. May differ from cost_usd, and then says so.
    itemized_cost_usd = UsdField(null=True, blank=True)
    message_count = models.IntegerField(default=0)
    failed_tool_count = models.IntegerField(default=0)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    # Versions: updated_at, a cheap fingerprint, a hash of all but volatile content, and when it was asked for.
    fingerprint = models.TextField(default="", editable=False)
    content_hash = models.TextField(default="", editable=False)
    asked_at = models.DateTimeField(editable=False)

    # Bookkeeping.
    synced_at = models.DateTimeField()
    missing_since = models.DateTimeField(null=True, blank=True)
    missing_reason = models.TextField(choices=MissingReason.choices, blank=True, default="")
    has_blank_content = models.BooleanField(default=False)
    has_replaced_text = models.BooleanField(default=False)
    oddities = models.TextField(blank=True, default="")

    class Meta:
        abstract = True


def keyset_index(model: str, column: str) -> models.Index:
    """An index that serves a keyset page of one organization in one order, either way."""
    return models.Index(fields=["organization", column, "id"], name=f"{model}_{column}"[:30])
