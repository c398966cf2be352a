"""Owns how a correction becomes an Edit that waits to be sent; sends nothing."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from django.contrib.auth.models import AbstractBaseUser
from django.core.exceptions import ValidationError
from django.db import transaction

from sessions_app.edits import states
from sessions_app.edits.claims import lock_edits_of
from sessions_app.edits.validation import check_changes
from sessions_app.edits.values import EDITABLE, Values, is_same, mirrored_values
from sessions_app.models import ApiToken, Edit, Session
from sessions_app.models.edits import UNDER_WAY_STATES, EditState


class SubmissionReused(ValidationError):
    """The submission's key was used before, for something else."""

    def __init__(self) -> None:
        super().__init__("This form was sent before. Load the page again.", code="reused")


def shown_values(session: Session) -> dict[str, object]:
    """Return what a form shows, and carries as its base: the mirrored values with pending edits applied.

    Pending edits are read first and the row anew: one that is applied in between is then still in either.
    """
    pending = Edit.objects.filter(session_id=session.pk, state__in=UNDER_WAY_STATES).order_by("pk")
    changes = list(pending.values_list("fields", flat=True))
    shown = mirrored_values(Session.objects.filter(pk=session.pk).first() or session)
    for fields in changes:
        shown.update({field: value for field, value in fields.items() if field in EDITABLE})
    return shown


def base_digest(values: Values) -> str:
    """Return a digest by which a page can tell whether what it showed is what is shown now."""
    text = json.dumps(dict(values), sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def queue_edit(
    *,
    session: Session,
    base: Values,
    fields: Values,
    source: str,
    reason: str = "",
    author: AbstractBaseUser | None = None,
    token: ApiToken | None = None,
    submission_key: UUID | None = None,
) -> Edit:
    """Queue what `fields` changes against `base`, which is what the person was shown. By Vapi's field names.

    The same submission twice is one edit. A pending change of the same field is superseded if its author made
    this one too, or if its value is what was shown; else both stand, and the later one will meet a conflict.
    Raises ValidationError (by field; NothingChanged; SubmissionReused). The caller enqueues the push.
    """
    wanted = check_changes(base, fields)
    edit = Edit(
        organization_id=session.organization_id,
        session_id=session.pk,
        base={field: base.get(field) for field in wanted},
        fields=wanted,
        reason=reason,
        source=source,
        author=author,  # type: ignore[misc]  # the user model is Django's own, typed by its base
        token=token,
    )
    with transaction.atomic():
        lock_edits_of(session.pk)
        if submission_key is not None:
            known = Edit.objects.filter(submission_key=submission_key).first()
            if known is not None:
                return _same_submission(known, edit)
            edit.submission_key = submission_key
        edit.save(force_insert=True)
        _supersede_pending(edit)
    return edit


def copy_of(edit: Edit, names: Iterable[str] | None = None, **changes: Any) -> Edit:
    """Store a queued copy of an edit, by its author and for its reason, of all or some of its fields."""
    names = list(edit.fields if names is None else names)
    copy = Edit(
        organization_id=edit.organization_id,
        session_id=edit.session_id,
        kind=edit.kind,
        base=_only(edit.base, names),
        fields=_only(edit.fields, names),
        reason=edit.reason,
        source=edit.source,
        author_id=edit.author_id,
        token_id=edit.token_id,
    )
    for column, value in changes.items():
        setattr(copy, column, value)
    copy.save(force_insert=True)
    return copy


def _same_submission(known: Edit, edit: Edit) -> Edit:
    same_author = _author(known) == _author(edit)
    if not same_author or known.session_id != edit.session_id or known.fields != edit.fields:
        raise SubmissionReused
    return known


def _supersede_pending(edit: Edit) -> None:
    """Take the place of edits of the same fields that have not left yet, newest first, and of their bases."""
    pending = Edit.objects.filter(
        session_id=edit.session_id, state=EditState.QUEUED, sent_at=None, pk__lt=edit.pk
    ).order_by("-pk")
    for old in pending:
        shared = [field for field in old.fields if field in edit.fields]
        if not shared or not _may_supersede(edit, old, shared):
            continue
        if not states.move(old, EditState.SUPERSEDED, superseded_by=edit):
            continue
        inherited = {
            field: old.base.get(field)
            for field in shared
            if is_same(field, edit.base[field], old.fields[field])
        }
        edit.base = {**edit.base, **inherited}
        rest = [field for field in old.fields if field not in edit.fields]
        if rest:
            copy_of(old, rest)
    edit.save(update_fields=["base"])


def _may_supersede(edit: Edit, old: Edit, shared: Iterable[str]) -> bool:
    was_shown = all(is_same(field, edit.base[field], old.fields[field]) for field in shared)
    return was_shown or _author(edit) == _author(old)


def _author(edit: Edit) -> tuple[int | None, int | None]:
    return edit.author_id, edit.token_id


def _only(values: Mapping[str, object], names: Iterable[str]) -> dict[str, object]:
    return {name: values[name] for name in names if name in values}
