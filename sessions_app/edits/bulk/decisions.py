"""Owns what people decide about a bulk edit: each a guarded change of its state, with a row of its audit.

Queues and sends nothing itself.
"""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import AbstractBaseUser, User
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models.functions import Now

from sessions_app.edits.trail import actor_of, this_process
from sessions_app.models import ApiToken, BulkEdit, BulkTransition, Edit
from sessions_app.models.bulks import BulkState
from sessions_app.models.edits import EditState
from sessions_app.notices.causes import note_approval_asked, note_refusal
from sessions_app.request_ids import current_request_id

_RIGHTS = ("sessions_app.edit_session", "sessions_app.bulk_edit_session", "sessions_app.delete_at_vapi")
# A person or a token; None is this process.
Who = AbstractBaseUser | ApiToken | None


class BulkMoved(ValidationError):
    """The bulk is no longer in a state that allows this."""

    def __init__(
        self, words: str = "This bulk edit has moved on meanwhile. Look at it as it is now."
    ) -> None:
        super().__init__(words, code="moved")


def confirm(bulk: BulkEdit, who: Who, reason: str) -> None:
    """Let a previewed bulk begin, or wait for a second person. Raises ValidationError by field, BulkMoved."""
    demand_reason(reason)
    columns: dict[str, Any] = {"reason": reason.strip(), **who_columns(who)}
    if not needs_approval(bulk):
        move(bulk, "begun", who, BulkState.RUNNING, BulkState.PREVIEWED, **columns)
        return
    if person_of(who) is None:
        raise ValidationError("Nobody owns this token, so it can't ask a second person to approve.")
    with transaction.atomic():
        move(bulk, "asked for approval", who, BulkState.AWAITING, BulkState.PREVIEWED, **columns)
        note_approval_asked(bulk)


def needs_approval(bulk: BulkEdit) -> bool:
    """Say whether a second person has to agree before anything of it is queued."""
    return bulk.deletes and bulk.organization.bulk_delete_needs_approval


def approve(bulk: BulkEdit, who: Who, reason: str) -> None:
    """Let begin what somebody else asked for. Raises ValidationError, BulkMoved."""
    _decide(bulk, who, reason, "approved", BulkState.RUNNING)


def refuse(bulk: BulkEdit, who: Who, reason: str) -> None:
    """End what somebody else asked for; nothing of it is ever queued. Raises ValidationError, BulkMoved."""
    with transaction.atomic():
        _decide(bulk, who, reason, "refused", BulkState.REFUSED, finished_at=Now())
        note_refusal(bulk)


def may_decide(bulk: BulkEdit, who: Who) -> bool:
    """Say whether `who` is another person than the one who asked, with the rights to delete many.

    A token counts as its owner; where nobody is known to have asked, nobody is known to be another.
    """
    person, asker = person_of(who), bulk.asker
    if not isinstance(person, User) or asker is None or person.pk == asker.pk:
        return False
    return person.is_active and person.has_perms(_RIGHTS)


def _decide(bulk: BulkEdit, who: Who, reason: str, act: str, to: BulkState, **columns: Any) -> None:
    if not may_decide(bulk, who):
        raise ValidationError(
            "A second person decides this, who may delete many: not whoever asked.", code="own"
        )
    demand_reason(reason)
    decision = {"decided_by": person_of(who), "decided_at": Now(), "decision_reason": reason.strip()}
    move(bulk, act, who, to, BulkState.AWAITING, **decision, **columns)


def pause(bulk: BulkEdit, who: Who = None) -> None:
    """Queue and send no more until it goes on; what is being sent ends as ever. Raises BulkMoved."""
    move(bulk, "paused", who, BulkState.PAUSED, BulkState.RUNNING)


def go_on(bulk: BulkEdit, who: Who = None) -> None:
    move(bulk, "continued", who, BulkState.RUNNING, BulkState.PAUSED, next_attempt_at=None)


def cancel(bulk: BulkEdit, who: Who = None) -> None:
    """Send nothing more; the workers withdraw what waits. Raises BulkMoved."""
    before = (BulkState.PREVIEWED, BulkState.AWAITING, BulkState.RUNNING, BulkState.PAUSED)
    move(bulk, "cancelled", who, BulkState.CANCELLED, *before)


def undo(bulk: BulkEdit, who: Who, reason: str) -> BulkEdit:
    """Return a bulk of its own, begun, that undoes every applied edit. Raises ValidationError, BulkMoved."""
    demand_reason(reason)
    if bulk.finished_at is None:
        raise BulkMoved
    if bulk.deletes:
        raise ValidationError("What was deleted at Vapi can't be brought back.", code="final")
    with transaction.atomic():
        # One at a time, so that an impatient click undoes once.
        BulkEdit.objects.select_for_update(no_key=True).get(pk=bulk.pk)
        applied = Edit.objects.filter(bulk=bulk, state=EditState.APPLIED).order_by("session_id", "-pk")
        edits = [str(pk) for pk in applied.values_list("pk", flat=True)]
        if not edits or BulkEdit.objects.filter(undoes=bulk).exclude(state=BulkState.CANCELLED).exists():
            raise ValidationError("There is nothing to undo, or it was undone already.", code="undone")
        back = BulkEdit.objects.create(
            organization_id=bulk.organization_id,
            state=BulkState.RUNNING,
            fields=bulk.fields,
            selection={"edits": edits},
            total=len(edits),
            reason=reason.strip(),
            undoes=bulk,
            **who_columns(who),
        )
        note(back, "begun", who)
    return back


def demand_reason(reason: str) -> None:
    if not reason.strip():
        raise ValidationError({"reason": "Say why."})


def person_of(who: Who) -> AbstractBaseUser | None:
    """A token counts as its owner; one that was made on the command line has none."""
    return who.created_by if isinstance(who, ApiToken) else who


def who_columns(who: Who) -> dict[str, Any]:
    is_token = isinstance(who, ApiToken)
    return {"author": None if is_token else who, "token": who if is_token else None}


def move(bulk: BulkEdit, act: str, who: Who, to: BulkState, *from_states: BulkState, **changes: Any) -> None:
    """Bring the bulk to a state, with a row of its audit, or raise BulkMoved."""
    with transaction.atomic():
        if not BulkEdit.objects.filter(pk=bulk.pk, state__in=from_states).update(state=to, **changes):
            raise BulkMoved
        note(bulk, act, who)
    bulk.refresh_from_db(fields=["state", *changes])


def note(bulk: BulkEdit, act: str, who: Who = None) -> None:
    """Add a row to the bulk's audit, in the caller's transaction."""
    BulkTransition.objects.create(
        organization_id=bulk.organization_id,
        bulk=bulk,
        act=act,
        sessions=bulk.total,
        actor=actor_of(who) if who is not None else this_process(),
        request_id=current_request_id(),
        happened_at=Now(),
    )
