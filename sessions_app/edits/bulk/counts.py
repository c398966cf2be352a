"""Owns how far a bulk edit has come, counted from its edits."""

from __future__ import annotations

from collections.abc import Collection

from django.db.models import Count, Exists, OuterRef

from sessions_app.models import BulkEdit, Edit
from sessions_app.models.edits import EditQuerySet


def newest_edits(*bulks: BulkEdit | int) -> EditQuerySet:
    """The edits that count: of each session the last one, which may be a second try."""
    later = Edit.objects.filter(
        bulk=OuterRef("bulk"), session_id=OuterRef("session_id"), pk__gt=OuterRef("pk")
    )
    return Edit.objects.filter(~Exists(later), bulk__in=bulks)


def count_states(bulk: BulkEdit) -> dict[str, int]:
    """Return how many sessions' edits are in which state. One query."""
    return count_states_of([bulk.pk]).get(bulk.pk, {})


def count_states_of(bulk_ids: Collection[int]) -> dict[int, dict[str, int]]:
    """The same for several bulk edits, in one query: {id: {state: count}}."""
    counted = newest_edits(*bulk_ids).order_by().values("bulk", "state").annotate(count=Count("pk"))
    found: dict[int, dict[str, int]] = {}
    for row in counted:
        found.setdefault(row["bulk"], {})[row["state"]] = row["count"]
    return found
