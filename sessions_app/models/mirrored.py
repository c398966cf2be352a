"""What sessions and chats have in common: Vapi's columns, the version columns and our bookkeeping."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.models import F, Func, Q, QuerySet
from django.db.models.lookups import Exact

from sessions_app.models.fields import UsdField
from sessions_app.models.organizations import Organization

ID_LENGTH = 200
# PostgreSQL refuses longer rows of an index; mirrored text has any length.
INDEXED_LENGTH = 200


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


class Cut(Func):
    """The first 200 characters of a text: what of it is in an index. Written out, as an index knows no parameters."""

    arity = 1
    template = f"LEFT(%(expressions)s, {INDEXED_LENGTH})"
    output_field = models.TextField()

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        template = f"SUBSTR(%(expressions)s, 1, {INDEXED_LENGTH})"
        return super().as_sql(compiler, connection, template=template, **context)


def text_index(model: str, column: str) -> models.Index:
    """An index of the rows that have a text, by the text's beginning."""
    return models.Index(Cut(column), name=f"{model}_{column}"[:30], condition=~Q(**{column: ""}))


def having_text(rows: QuerySet[Any], column: str, text: str) -> QuerySet[Any]:
    """Return the rows whose column is this text, which is not empty, by text_index."""
    found = rows.filter(Exact(Cut(F(column)), text[:INDEXED_LENGTH])).exclude(**{column: ""})
    # Of a shorter text the beginning says all; asked for the whole too, SQLite would pass over the index.
    return found if len(text) < INDEXED_LENGTH else found.filter(**{column: text})


def rare_index(model: str, name: str, condition: Q) -> models.Index:
    """An index of the few rows that are looked for by what happened to them, in the order of lists."""
    return models.Index(fields=["created_at", "id"], name=f"{model}_{name}", condition=condition)


IS_MISSING = Q(missing_since__isnull=False)
HAS_FAILED_TOOLS = Q(failed_tool_count__gt=0)
