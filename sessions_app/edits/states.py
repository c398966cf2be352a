"""Owns every change of an edit's state: one guarded UPDATE, a look at how many rows it met, its audit row,
and the notice of an outcome.

The guard is the state and the claim's number as they were read, so that a worker that slept through its claim, or a
page that has gone stale, changes nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import F, Q
from django.db.models.functions import Now

from sessions_app.edits import trail
from sessions_app.models import Edit
from sessions_app.models.edits import EditState
from sessions_app.notices.causes import note_edit

log = logging.getLogger(__name__)

# A PATCH with its time-outs fits in twice; a killed worker's edit is taken up again after it.
CLAIM = timedelta(seconds=60)

FOLLOWING: dict[EditState, frozenset[EditState]] = {
    EditState.QUEUED: frozenset({EditState.SENDING, EditState.WITHDRAWN, EditState.SUPERSEDED}),
    EditState.SENDING: frozenset(
        {
            EditState.SENDING,
            EditState.QUEUED,
            EditState.APPLIED,
            EditState.CONFLICT,
            EditState.REJECTED,
            EditState.FAILED,
        }
    ),
    EditState.CONFLICT: frozenset({EditState.WITHDRAWN, EditState.SUPERSEDED}),
    EditState.FAILED: frozenset({EditState.SUPERSEDED}),
}
# Waiting for a worker or a person; every other state is reached once and ends the wait.
_UNSETTLED = (EditState.QUEUED, EditState.SENDING, EditState.CONFLICT)


class EditMoved(ValidationError):
    """The edit is no longer in a state that allows this: somebody else, or a worker, was faster."""

    def __init__(self, edit: Edit, words: str = "") -> None:
        state = EditState(edit.state).label
        super().__init__(words or f"This edit is {state} now, so this can no longer be done.", code="moved")


class ClaimLost(Exception):
    """The claim ran out and another worker took the edit: nothing more may be sent or written under it."""


def begin(edit: Edit, actor: str) -> None:
    """Store a new edit, queued, with the first row of its audit. In the caller's transaction."""
    edit.save(force_insert=True)
    trail.record(edit, actor=actor)


def begin_many(edits: Sequence[Edit], actor: str) -> None:
    """The same for edits of many sessions, in few statements, however many they are."""
    Edit.objects.bulk_create(edits)
    trail.record_many(edits, actor)


def move(
    edit: Edit,
    to: EditState,
    *,
    unless: Q | None = None,
    actor: str = "",
    answer: Exception | int | None = None,
    **changes: Any,
) -> bool:
    """Bring the edit from the state it was read in to `to`. False, and nothing written, where it has moved on.

    `changes` are columns written along with it; `unless` is a condition under which the row does not move; `actor`
    and `answer` are for the audit, whose row stands or falls with the change.
    """
    came_from = EditState(edit.state)
    if to not in FOLLOWING.get(came_from, frozenset()):
        return False
    with transaction.atomic():
        if not _update(edit, came_from, to, unless, changes):
            return False
        edit.refresh_from_db(fields=["state", "claim_number", "settled_at", *changes])
        trail.record(edit, actor=actor, answer=answer)
        note_edit(edit, to, answer)
    log.info("edit moved", extra={"edit": edit.pk, "state": to.value})
    return True


def _update(
    edit: Edit, came_from: EditState, to: EditState, unless: Q | None, changes: dict[str, Any]
) -> int:
    if to not in _UNSETTLED:
        changes["settled_at"] = Now()
    if to != EditState.SENDING:
        changes["claimed_until"] = None
    rows = Edit.objects.filter(pk=edit.pk, state=came_from, claim_number=edit.claim_number)
    if unless is not None:
        rows = rows.filter(~unless)
    return rows.update(state=to, **changes)


def claim(edit: Edit, unless: Q) -> bool:
    """Take the edit for CLAIM, by the database's clock. The number grows: whoever held it before holds it no more."""
    return move(
        edit,
        EditState.SENDING,
        unless=unless,
        claim_number=F("claim_number") + 1,
        claimed_until=Now() + CLAIM,
        attempts=F("attempts") + 1,
        next_attempt_at=None,
    )


def note_sending(edit: Edit, **changes: Any) -> None:
    """Note, ahead of a write, that it may leave, and renew the claim to outlast it. Raises ClaimLost.

    No change of state, so no row of the audit. `changes` are columns written along with it.
    """
    changes |= {"claimed_until": Now() + CLAIM, "sent_at": Now()}
    mine = Edit.objects.filter(pk=edit.pk, state=EditState.SENDING, claim_number=edit.claim_number)
    if not mine.update(**changes):
        raise ClaimLost
    edit.refresh_from_db(fields=[*changes])


def settle(edit: Edit, to: EditState, answer: Exception | int | None = None, **changes: Any) -> None:
    """Write the outcome of a claim. Raises ClaimLost."""
    if not move(edit, to, answer=answer, **changes):
        raise ClaimLost


def put_back(
    edit: Edit, why: str, wait: timedelta | None = None, answer: Exception | int | None = None
) -> None:
    """Queue a claimed edit again, due at once or after `wait`. Raises ClaimLost."""
    due = None if wait is None else Now() + wait
    settle(edit, EditState.QUEUED, answer, error=why, next_attempt_at=due, sent_at=edit.sent_at)
