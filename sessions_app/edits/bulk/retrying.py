"""Owns the second try of what a bulk edit did not bring through."""

from __future__ import annotations

from django.core.exceptions import ValidationError
from django.db import transaction

from sessions_app.edits import settle
from sessions_app.edits.bulk.counts import newest_edits
from sessions_app.edits.bulk.decisions import Who, move, who_columns
from sessions_app.edits.bulk.plans import plan_sessions
from sessions_app.edits.deletions import queue_delete
from sessions_app.edits.queue import Making, queue_edit
from sessions_app.models import BulkEdit, Edit
from sessions_app.models.bulks import BulkState
from sessions_app.models.edits import EditState

MOST_RETRIES = 500
FAILED = (EditState.FAILED, EditState.REJECTED)


def retry_failed(bulk: BulkEdit, who: Who) -> int:
    """Queue again what Vapi rejected or was given up, some hundreds at a time. Returns how many. Raises BulkMoved."""
    with transaction.atomic():
        again = {"finished_at": None, "next_attempt_at": None}
        move(bulk, "retried", who, BulkState.RUNNING, BulkState.RUNNING, BulkState.DONE, **again)
        failed = newest_edits(bulk).filter(state__in=FAILED).order_by("pk")[:MOST_RETRIES]
        return sum(_retry(bulk, edit, who) for edit in failed)


def _retry(bulk: BulkEdit, edit: Edit, who: Who) -> bool:
    try:
        if edit.state == EditState.FAILED:
            settle.retry(edit, **who_columns(who), source="bulk")
            return True
        [plan] = plan_sessions(bulk, [edit.session_id])
        if plan.session is None or plan.session.missing_since is not None:
            return False
        if bulk.deletes:
            making = Making("bulk", bulk.reason, **who_columns(who), bulk=bulk)
            queue_delete(plan.session, making, plan.base)
            return True
        queue_edit(
            session=plan.session,
            base=plan.base,
            fields=edit.fields,
            source="bulk",
            reason=bulk.reason,
            **who_columns(who),
            bulk=bulk,
            undoes=edit.undoes,
        )
    except ValidationError:
        # It is as it should be by now, or somebody else was faster.
        return False
    return True
