"""Owns what people decide about an edit that is not sent or did not get through; sends nothing."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.core.exceptions import ValidationError
from django.db import transaction

from sessions_app.edits import states
from sessions_app.edits.claims import lock_edits_of
from sessions_app.edits.queue import copy_of
from sessions_app.edits.states import EditMoved
from sessions_app.edits.trail import actor_of
from sessions_app.edits.validation import NothingChanged, check_changes
from sessions_app.models import ApiToken, Edit
from sessions_app.models.edits import EditState

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
    fields = _settled_fields(edit, choices)
    actor = actor_of(author or token)
    with transaction.atomic():
        lock_edits_of(edit.session_id)
        if not fields:
            return _end(edit, EditState.WITHDRAWN, actor=actor)
        base = {field: edit.theirs.get(field, edit.base.get(field)) for field in fields}
        new = copy_of(
            edit,
            fields,
            base=base,
            fields=fields,
            author_id=author.pk if author else None,
            token_id=token.pk if token else None,
            source=source,
            actor=actor,
        )
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
    actor = actor_of(author or token)
    with transaction.atomic():
        lock_edits_of(edit.session_id)
        new = copy_of(
            edit,
            author_id=author.pk if author else None,
            token_id=token.pk if token else None,
            source=source,
            actor=actor,
        )
        _end(edit, EditState.SUPERSEDED, actor=actor, superseded_by=new)
    return new


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
        if waiting.fields.keys() & new.fields.keys():
            with transaction.atomic():
                copy = copy_of(waiting, actor=actor)
                if not states.move(waiting, EditState.SUPERSEDED, actor=actor, superseded_by=copy):
                    # A worker was faster: the copy was never made.
                    transaction.set_rollback(True)


def _label(who: AbstractBaseUser | ApiToken | None) -> str:
    return f"{type(who).__name__} {who.pk}" if who else ""


def _end(edit: Edit, to: EditState, *, actor: str, **changes: Any) -> Edit:
    if not states.move(edit, to, actor=actor, **changes):
        edit.refresh_from_db(fields=["state", "claim_number"])
        raise EditMoved(edit)
    return edit
