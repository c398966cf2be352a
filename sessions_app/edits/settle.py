"""Owns what people decide about an edit that is not sent or did not get through; sends nothing."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.core.exceptions import ValidationError
from django.db import transaction

from sessions_app.edits import states
from sessions_app.edits.claims import lock_edits_of
from sessions_app.edits.message_edits import queue_messages_back, settled_columns
from sessions_app.edits.queue import Making, copy_of, demand_reason, submit, supersede_pending
from sessions_app.edits.states import EditMoved
from sessions_app.edits.trail import actor_of
from sessions_app.edits.validation import NothingChanged, check_changes
from sessions_app.edits.values import DEFAULTS
from sessions_app.models import ApiToken, BulkEdit, Edit, Session
from sessions_app.models.bulks import BulkState
from sessions_app.models.edits import OPEN_STATES, EditKind, EditState

log = logging.getLogger(__name__)

# For a field: "mine", "theirs" or {"value": ...}.
Choice = object


def resolve_conflict(
    edit: Edit,
    choices: Mapping[str, Choice],
    author: AbstractBaseUser | None = None,
    *,
    token: ApiToken | None = None,
    source: str = "admin",
) -> Edit:
    """Settle each field that is in conflict, and queue what is still to be sent on the base of theirs.

    Fields that did not collide stay mine. Returns the new edit, by whoever settled it; or, where nothing is left to
    send, this one, withdrawn. Later queued edits of the session come after the new one. Raises ValidationError by
    field, EditMoved where the edit is no longer in conflict.
    """
    if edit.state != EditState.CONFLICT:
        raise EditMoved(edit)
    columns = _SETTLINGS[edit.kind](edit, choices)
    actor = actor_of(author or token)
    with transaction.atomic():
        lock_edits_of(edit.session_id)
        if columns is None:
            return _end(edit, EditState.WITHDRAWN, actor=actor)
        columns |= {"author_id": author.pk if author else None, "token_id": token.pk if token else None}
        new = copy_of(edit, actor=actor, source=source, bulk_id=_bulk_of(edit), **columns)
        _end(edit, EditState.SUPERSEDED, actor=actor, superseded_by=new)
        _put_later_edits_behind(edit, new, actor)
    return new


def withdraw(edit: Edit, who: AbstractBaseUser | ApiToken | None = None) -> Edit:
    """End an edit that was not sent, or that is in conflict. Raises EditMoved where a change may have left."""
    if edit.state == EditState.QUEUED and edit.sent_at is not None:
        raise EditMoved(
            edit,
            "This edit may have reached Vapi already: the answer was lost. It will be settled by a look.",
        )
    edit = _end(edit, EditState.WITHDRAWN, actor=actor_of(who))
    log.info("edit withdrawn", extra={"edit": edit.pk, "author": _label(who)})
    return edit


def retry(
    edit: Edit,
    author: AbstractBaseUser | None = None,
    *,
    token: ApiToken | None = None,
    source: str = "admin",
) -> Edit:
    """Queue again, as a new edit on the same base, one that was given up. Raises EditMoved."""
    if edit.state != EditState.FAILED:
        raise EditMoved(edit)
    actor = actor_of(author or token)
    with transaction.atomic():
        lock_edits_of(edit.session_id)
        new = copy_of(
            edit,
            author_id=author.pk if author else None,
            token_id=token.pk if token else None,
            source=source,
            bulk_id=_bulk_of(edit),
            actor=actor,
        )
        _end(edit, EditState.SUPERSEDED, actor=actor, superseded_by=new)
    return new


def undo(
    edit: Edit,
    author: AbstractBaseUser | None = None,
    *,
    token: ApiToken | None = None,
    source: str = "undo",
    reason: str = "",
    bulk: BulkEdit | None = None,
) -> Edit:
    """Queue an edit back to the base values of one that was applied; what moved since is a conflict as ever.

    Raises EditMoved where it is not applied, ValidationError where it was undone already or can't be.
    """
    if edit.state != EditState.APPLIED:
        raise EditMoved(edit)
    making = Making(source, reason or f"Undo of edit {edit.pk}", author, token, bulk=bulk, undoes=edit)
    with transaction.atomic():
        lock_edits_of(edit.session_id)
        if Edit.objects.filter(undoes=edit, state__in=(*OPEN_STATES, EditState.APPLIED)).exists():
            raise ValidationError(
                "This edit was undone already, or its undoing is on its way.", code="undone"
            )
        if edit.kind == EditKind.MESSAGES:
            return queue_messages_back(edit, making)
        return _queue_back(edit, making)


def values_back(edit: Edit) -> dict[str, object]:
    """Return what undoes an applied update. Raises ValidationError, as for any change."""
    # PATCH takes no null: what stood for none is sent as what it means.
    back = {field: edit.base.get(field) or DEFAULTS[field] for field in edit.fields}
    return check_changes(edit.fields, back)


def _queue_back(edit: Edit, making: Making) -> Edit:
    if edit.kind == EditKind.CREATE:
        raise ValidationError("Delete the session at Vapi instead.", code="final")
    if edit.kind == EditKind.DELETE:
        raise ValidationError("What was deleted at Vapi can't be brought back.", code="final")
    session = Session.objects.select_related("organization").filter(pk=edit.session_id).first()
    if session is None:
        raise ValidationError("This session is not mirrored any more.")
    wanted = values_back(edit)
    new = making.edit(edit.organization_id, edit.session_id, base=dict(edit.fields), fields=wanted)
    demand_reason(session.organization, making.reason)
    return submit(new, making, supersede=supersede_pending)


def _settled_update(edit: Edit, choices: Mapping[str, Choice]) -> dict[str, Any] | None:
    fields = _settled_fields(edit, choices)
    base = {field: edit.theirs.get(field, edit.base.get(field)) for field in fields}
    return {"base": base, "fields": fields} if fields else None


def _settled_messages(edit: Edit, choices: Mapping[str, Choice]) -> dict[str, Any] | None:
    if choices.keys() - {"messages"}:
        raise ValidationError(dict.fromkeys(choices.keys() - {"messages"}, "This field is not in conflict."))
    return settled_columns(edit, choices.get("messages"))


def _settled_delete(edit: Edit, choices: Mapping[str, Choice]) -> dict[str, Any] | None:
    """A deletion stands whole or not at all."""
    chosen = [choices.get(field) for field in edit.theirs]
    if "theirs" in chosen:
        return None
    if any(choice != "mine" for choice in chosen):
        raise ValidationError('Choose "mine" to delete what stands now, or "theirs" to leave it.')
    return {"base": {**edit.base, **edit.theirs}}


_SETTLINGS: dict[str, Callable[[Edit, Mapping[str, Choice]], dict[str, Any] | None]] = {
    EditKind.UPDATE: _settled_update,
    EditKind.MESSAGES: _settled_messages,
    EditKind.DELETE: _settled_delete,
}


def _settled_fields(edit: Edit, choices: Mapping[str, Choice]) -> dict[str, object]:
    """Return what is to be sent after all: mine, the new values, and what never collided."""
    problems = {field: "This field is not in conflict." for field in choices if field not in edit.theirs}
    fields = {field: value for field, value in edit.fields.items() if field not in edit.theirs}
    for field in edit.theirs:
        try:
            fields |= _settled(edit, field, choices.get(field))
        except ValidationError as error:
            problems[field] = error.messages[0]
    if problems:
        raise ValidationError(dict(problems))
    return fields


def _settled(edit: Edit, field: str, choice: Choice) -> dict[str, object]:
    if choice == "theirs":
        return {}
    if choice == "mine":
        return {field: edit.fields[field]}
    if isinstance(choice, dict) and choice.keys() == {"value"}:
        try:
            return check_changes(edit.theirs, {field: choice["value"]})
        except NothingChanged:
            return {}
    raise ValidationError('Choose "mine", "theirs" or {"value": ...}.')


def _put_later_edits_behind(edit: Edit, new: Edit, actor: str) -> None:
    """Let edits that were queued after the conflicting one, of the same fields, follow what was settled."""
    later = Edit.objects.filter(
        session_id=edit.session_id, state=EditState.QUEUED, sent_at=None, pk__gt=edit.pk, pk__lt=new.pk
    ).order_by("pk")
    for waiting in later:
        if waiting.fields.keys() & new.fields.keys() or waiting.kind == EditKind.DELETE:
            with transaction.atomic():
                copy = copy_of(waiting, actor=actor)
                if not states.move(waiting, EditState.SUPERSEDED, actor=actor, superseded_by=copy):
                    # A worker was faster: the copy was never made.
                    transaction.set_rollback(True)


def _bulk_of(edit: Edit) -> int | None:
    """What is decided of an edit that a cancelled bulk left is no part of that bulk, which sends nothing more."""
    cancelled = BulkEdit.objects.filter(edits=edit, state=BulkState.CANCELLED)
    return None if cancelled.exists() else edit.bulk_id


def _label(who: AbstractBaseUser | ApiToken | None) -> str:
    return f"{type(who).__name__} {who.pk}" if who else ""


def _end(edit: Edit, to: EditState, *, actor: str, **changes: Any) -> Edit:
    if not states.move(edit, to, actor=actor, **changes):
        edit.refresh_from_db(fields=["state", "claim_number"])
        raise EditMoved(edit)
    return edit
