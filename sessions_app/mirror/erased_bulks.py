"""Owns what an erasure takes out of bulk edits: the customer's ids, and values and reasons that may name them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db import transaction
from django.db.models.functions import Now

from sessions_app.models import BulkEdit, Organization
from sessions_app.models.bulks import DELETE, BulkState

_AT_ONCE = 20
_NOT_BEGUN = (BulkState.PREVIEWED, BulkState.AWAITING)


def forget_in_bulks(organization: Organization, session_ids: Iterable[str]) -> None:
    """Take sessions out of every bulk edit's choice. What has not begun is cancelled, what runs goes on without them.

    Values and reasons go once the bulk has ended: until then the other sessions need them.
    """
    gone = set(session_ids)
    rows = BulkEdit.objects.filter(organization=organization).values_list("pk", "selection", "skipped")
    for pk, selection, skipped in rows.iterator(chunk_size=_AT_ONCE):
        known = {*selection.get("ids", ()), *(entry["id"] for entry in skipped)}
        if known & gone:
            _forget(pk, gone)
    empty_erased()


def empty_erased() -> None:
    """Let go of the values and reasons of bulk edits that have ended and held an erased session."""
    BulkEdit.objects.filter(undoes__is_erased=True, is_erased=False).update(is_erased=True)
    ended = BulkEdit.objects.filter(is_erased=True).exclude(finished_at=None)
    ended.update(reason="", decision_reason="")
    # That something was deleted names nobody.
    ended.exclude(fields__has_key=DELETE).update(fields={})


@transaction.atomic
def _forget(bulk_id: int, gone: set[str]) -> None:
    bulk = BulkEdit.objects.select_for_update(no_key=True).get(pk=bulk_id)
    bulk.selection = _without(bulk, gone)
    bulk.skipped = [entry for entry in bulk.skipped if entry["id"] not in gone]
    bulk.is_erased = True
    if bulk.state in _NOT_BEGUN:
        bulk.state, bulk.finished_at = BulkState.CANCELLED, Now()
    bulk.save(update_fields=["selection", "skipped", "is_erased", "state", "finished_at", "queued_through"])


def _without(bulk: BulkEdit, gone: set[str]) -> dict[str, Any]:
    """The choice without them. How far its queueing came is told by an id, which must not be one of them."""
    if "ids" not in bulk.selection:
        return {**bulk.selection}
    ids: list[str] = bulk.selection["ids"]
    if bulk.queued_through in gone:
        done = [found for found in ids[: ids.index(bulk.queued_through)] if found not in gone]
        bulk.queued_through = done[-1] if done else ""
    kept: dict[str, Any] = {"ids": [found for found in ids if found not in gone]}
    if "seen" in bulk.selection:
        kept["seen"] = {
            found: digest for found, digest in bulk.selection["seen"].items() if found not in gone
        }
    return kept
