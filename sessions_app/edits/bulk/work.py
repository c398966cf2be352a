"""Owns the workers' part of a bulk edit: a portion at a time, pushed in lanes, until nothing is under way.

The BulkEdit row is the queue. A worker that dies leaves a portion whole or not at all, and the next one goes on.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from django.db import transaction
from django.db.models import Exists, F, Max, OuterRef, Q
from django.db.models.functions import Now
from django.db.models.lookups import Exact

from sessions_app.edits.bulk.counts import count_states
from sessions_app.edits.bulk.decisions import note
from sessions_app.edits.bulk.portions import left_of, queue_portion, withdraw_portion
from sessions_app.edits.claims import due_edits
from sessions_app.mirror.erased_bulks import empty_erased
from sessions_app.models import BulkEdit, Edit
from sessions_app.models.bulks import BulkState
from sessions_app.models.edits import UNDER_WAY_STATES, EditState
from sessions_app.notices.causes import note_bulk

# Few and short, so that a person's edit comes between them.
LANES, LANE_BATCH = 3, 5
# While somebody is at a bulk, nobody else is called to it.
LEASE = timedelta(seconds=30)
_UNDER_WAY = (BulkState.RUNNING, BulkState.CANCELLED)
# What a running bulk's lanes leave to the sweep.
NOT_IN_LANES = Q(bulk=None) | ~Q(bulk__state=BulkState.RUNNING)


def due_bulks() -> list[int]:
    """Return ids of bulks that nobody is at: a worker died, or their edits waited."""
    free = Q(next_attempt_at=None) | Q(next_attempt_at__lte=Now())
    open_ones = BulkEdit.objects.filter(free, state__in=_UNDER_WAY, finished_at=None)
    return list(open_ones.order_by("pk").values_list("pk", flat=True))


def advance(bulk_id: int) -> bool:
    """Queue one portion, or withdraw one of a cancelled bulk. True where there is another."""
    BulkEdit.objects.filter(pk=bulk_id).update(next_attempt_at=Now() + LEASE)
    if queue_portion(bulk_id) or withdraw_portion(bulk_id):
        return True
    finish(bulk_id)
    return False


def due_in_lane(bulk_id: int, lane: int) -> list[int]:
    """Return ids of the bulk's edits that this lane pushes next."""
    in_lane = Q(bulk=bulk_id) & Q(Exact(F("pk") % LANES, lane))
    due = due_edits(only=in_lane, limit=LANE_BATCH)
    if due:
        BulkEdit.objects.filter(pk=bulk_id).update(next_attempt_at=Now() + LEASE)
    return due


def came_forward(edit_ids: Sequence[int]) -> bool:
    """Say whether any of them left the queue; where none did, it is no use to try again at once."""
    return Edit.objects.filter(pk__in=edit_ids).exclude(state=EditState.QUEUED).exists()


def finish(bulk_id: int) -> None:
    """Note that a bulk has ended, if it has: everything queued, nothing under way."""
    bulk = BulkEdit.objects.filter(pk=bulk_id, state__in=_UNDER_WAY, finished_at=None).first()
    if bulk is None or (bulk.state == BulkState.RUNNING and left_of(bulk)):
        return
    moving = Edit.objects.filter(bulk=OuterRef("pk"), state__in=UNDER_WAY_STATES)
    still = BulkEdit.objects.filter(~Exists(moving), pk=bulk_id, state=bulk.state, finished_at=None)
    to = BulkState.DONE if bulk.state == BulkState.RUNNING else BulkState.CANCELLED
    with transaction.atomic():
        if still.update(state=to, finished_at=Now()):
            if to == BulkState.DONE:
                note(bulk, "done")
            newest = Edit.objects.filter(bulk=bulk).aggregate(pk=Max("pk"))["pk"]
            note_bulk(bulk, count_states(bulk), newest or 0)
            empty_erased()
