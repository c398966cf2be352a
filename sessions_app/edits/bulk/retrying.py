"""Owns the second try of what a bulk edit did not bring through."""

from __future__ import annotations

from django.core.exceptions import ValidationError
from django.db import transaction

from sessions_app.edits import settle
from sessions_app.edits.bulk.counts import newest_edits
from sessions_app.edits.bulk.decisions import BulkMoved, Who, move, who_columns
from sessions_app.edits.deletions import queue_delete
from sessions_app.edits.queue import Making, queue_edit
from sessions_app.models import BulkEdit, Edit, Session
from sessions_app.models.bulks import BulkState
from sessions_app.models.edits import EditState

MOST_RETRIES = 500
FAILED = (EditState.FAILED, EditState.REJECTED)


def retry_failed(bulk: BulkEdit, who: Who) -> int:
    """Queue again what Vapi rejected or was given up, some hundreds at a time. Returns how many. Raises BulkMoved."""
    with transaction.atomic():
        again = {"finished_at": None, "next_attempt_at": None}
        move(bulk, "retried", who, BulkState.RUNNING, BulkState.RUNNING, BulkState.DONE, **again)
        failed = list(newest_edits(bulk).filter(state__in=FAILED).order_by("pk")[:MOST_RETRIES])
        if not failed:
            raise BulkMoved("Nothing of this bulk edit was rejected or given up.")
        return sum(_retry(bulk, edit, who) for edit in failed)


def _retry(bulk: BulkEdit, edit: Edit, who: Who) -> bool:
    """On the base of the first try: what has changed since then is a conflict as ever."""
    try:
        if edit.state == EditState.FAILED:
            settle.retry(edit, **who_columns(who), source="bulk")
            return True
        here = Session.objects.filter(organization=bulk.organization_id, missing_since=None)
        session = here.select_related("organization").filter(pk=edit.session_id).first()
        if session is None:
            return False
        if bulk.deletes:
            making = Making("bulk", bulk.reason, **who_columns(who), bulk=bulk)
            queue_delete(session, making, edit.base)
            return True
        queue_edit(
            session=session,
            base=edit.base,
            fields=edit.fields,
            source="bulk",
            reason=bulk.reason,
            **who_columns(who),
            bulk=bulk,
            undoes=edit.undoes,
        )
    except ValidationError:
        # A legal hold keeps it, it is about to be deleted, or somebody else was faster.
        return False
    return True
