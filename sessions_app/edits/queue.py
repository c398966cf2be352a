"""Owns how a correction becomes an Edit that waits to be sent; sends nothing."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.contrib.auth.models import AbstractBaseUser
from django.core.exceptions import ValidationError
from django.db import transaction

from sessions_app.edits import states
from sessions_app.edits.claims import lock_edits_of
from sessions_app.edits.trail import actor_of
from sessions_app.edits.validation import check_changes
from sessions_app.edits.values import EDITABLE, Values, differing, is_same, mirrored_values
from sessions_app.models import ApiToken, BulkEdit, Edit, Organization, Session
from sessions_app.models.edits import OPEN_STATES, UNDER_WAY_STATES, EditKind, EditQuerySet, EditState
from sessions_app.request_ids import current_request_id


class SubmissionReused(ValidationError):
    """The submission's key was used before, for something else."""

    def __init__(self) -> None:
        super().__init__("This form was sent before. Load the page again.", code="reused")


def shown_values(session: Session) -> dict[str, object]:
    """Return what a form shows, and carries as its base: the mirrored values with pending edits applied.

    Pending edits are read first and the row anew: one that is applied in between is then still in either.
    """
    pending = Edit.objects.filter(
        session_id=session.pk, kind=EditKind.UPDATE, state__in=UNDER_WAY_STATES
    ).order_by("pk")
    changes = list(pending.values_list("fields", flat=True))
    shown = mirrored_values(Session.objects.filter(pk=session.pk).first() or session)
    for fields in changes:
        shown.update({field: value for field, value in fields.items() if field in EDITABLE})
    return shown


def base_digest(values: Values) -> str:
    """Return a digest by which a page can tell whether what it showed is what is shown now."""
    text = json.dumps(dict(values), sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class Making:
    """Who makes an edit, from where and why. The same submission twice is one edit."""

    source: str
    reason: str = ""
    author: AbstractBaseUser | None = None
    token: ApiToken | None = None
    submission_key: UUID | None = None
    bulk: BulkEdit | None = None
    undoes: Edit | None = None

    @property
    def actor(self) -> str:
        return actor_of(self.author or self.token)

    def edit(self, organization_id: int, session_id: str, **columns: Any) -> Edit:
        """Return an edit of this making, not stored yet."""
        return Edit(
            organization_id=organization_id,
            session_id=session_id,
            reason=self.reason.strip(),
            source=self.source,
            author=self.author,  # type: ignore[misc]  # the user model is Django's own, typed by its base
            token=self.token,
            bulk=self.bulk,
            undoes=self.undoes,
            request_id=current_request_id(),
            **columns,
        )


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
    bulk: BulkEdit | None = None,
    undoes: Edit | None = None,
    keep_shown: bool = False,
) -> Edit:
    """Queue what `fields` changes against `base`, which is what the person was shown. By Vapi's field names.

    The same submission twice is one edit. A pending change of the same field is superseded if its author made
    this one too, or if its value is what was shown; else both stand, and the later one will meet a conflict.
    `keep_shown`: the base keeps what was asked for but stood so already, for who sends again without a base.
    Raises ValidationError (by field; NothingChanged; SubmissionReused). The caller enqueues the push.
    """
    making = Making(source, reason, author, token, submission_key, bulk, undoes)
    known = submitted_before(making, session.pk, EditKind.UPDATE)
    if known is not None:
        return _same_changes(known, base, fields)
    wanted = check_changes(base, fields)
    demand_reason(session.organization, reason)
    edit = making.edit(
        session.organization_id,
        session.pk,
        base={field: base.get(field) for field in (fields if keep_shown else wanted)},
        fields=wanted,
    )
    return submit(edit, making, supersede=supersede_pending)


def submitted_before(making: Making, session_id: str, kind: EditKind) -> Edit | None:
    """Return the edit that was made of the same submission. Raises SubmissionReused where that was another's."""
    if making.submission_key is None:
        return None
    known = Edit.objects.filter(submission_key=making.submission_key).first()
    if known is not None and not _is_same_making(
        known, making.edit(known.organization_id, session_id, kind=kind)
    ):
        raise SubmissionReused
    return known


def _same_changes(known: Edit, base: Values, fields: Values) -> Edit:
    """Compared with what was shown then: what stands there by now is another matter."""
    then = {**base, **known.base, **known.fields}
    if known.fields.keys() - fields.keys() or differing(fields, then, fields):
        raise SubmissionReused
    return known


def submit(edit: Edit, making: Making, supersede: Callable[[Edit, str], None] | None = None) -> Edit:
    """Store an edit once for its submission, behind what its session's other edits are doing."""
    with transaction.atomic():
        lock_edits_of(edit.session_id or str(making.submission_key))
        if making.submission_key is not None:
            known = Edit.objects.filter(submission_key=making.submission_key).first()
            if known is not None:
                return _same_submission(known, edit)
            edit.submission_key = making.submission_key
        refuse_after_delete(edit.session_id)
        states.begin(edit, making.actor)
        if supersede is not None:
            supersede(edit, making.actor)
    return edit


def demand_reason(organization: Organization, reason: str) -> None:
    if organization.requires_reason and not reason.strip():
        raise ValidationError({"reason": "Say why: this organization asks for a reason with every edit."})


def refuse_after_delete(session_id: str) -> None:
    """What comes after a deletion could not be sent any more."""
    leaving = Edit.objects.filter(session_id=session_id, kind=EditKind.DELETE, state__in=OPEN_STATES)
    if session_id and leaving.exists():
        raise ValidationError("This session is about to be deleted at Vapi. Withdraw that first.")


def copy_of(edit: Edit, names: Iterable[str] | None = None, *, actor: str = "", **changes: Any) -> Edit:
    """Store a queued copy of an edit, by its author and for its reason, of all or some of its fields."""
    names = list(edit.fields if names is None else names)
    copy = Edit(
        organization_id=edit.organization_id,
        session_id=edit.session_id,
        kind=edit.kind,
        base=edit.base if edit.kind == EditKind.DELETE else _only(edit.base, names),
        fields=_only(edit.fields, names),
        operations=edit.operations,
        reason=edit.reason,
        source=edit.source,
        author_id=edit.author_id,
        token_id=edit.token_id,
        bulk_id=edit.bulk_id,
        undoes_id=edit.undoes_id,
        request_id=current_request_id() or edit.request_id,
    )
    for column, value in changes.items():
        setattr(copy, column, value)
    states.begin(copy, actor or copy.author_name)
    return copy


def _same_submission(known: Edit, edit: Edit) -> Edit:
    same = known.fields == edit.fields and known.operations == edit.operations
    if not (same and _is_same_making(known, edit)):
        raise SubmissionReused
    return known


def _is_same_making(known: Edit, edit: Edit) -> bool:
    same_session = known.session_id == edit.session_id or edit.kind == EditKind.CREATE
    return same_session and known.kind == edit.kind and _author(known) == _author(edit)


def supersede_pending(edit: Edit, actor: str) -> None:
    """Take the place of edits of the same fields that have not left yet, newest first, and of their bases."""
    for old in pending_before(edit, EditKind.UPDATE):
        shared = [field for field in old.fields if field in edit.fields]
        if not shared or not _may_supersede(edit, old, shared):
            continue
        if not states.move(old, EditState.SUPERSEDED, actor=actor, superseded_by=edit):
            continue
        inherited = {
            field: old.base.get(field)
            for field in shared
            if is_same(field, edit.base[field], old.fields[field])
        }
        edit.base = {**edit.base, **inherited}
        rest = [field for field in old.fields if field not in edit.fields]
        if rest:
            copy_of(old, rest, actor=actor)
    edit.save(update_fields=["base"])


def pending_before(edit: Edit, kind: EditKind) -> EditQuerySet:
    """Earlier edits of the session that have not left yet, newest first."""
    waiting = Edit.objects.filter(session_id=edit.session_id, kind=kind, state=EditState.QUEUED, sent_at=None)
    return waiting.filter(pk__lt=edit.pk).order_by("-pk")


def _may_supersede(edit: Edit, old: Edit, shared: Iterable[str]) -> bool:
    was_shown = all(is_same(field, edit.base[field], old.fields[field]) for field in shared)
    return was_shown or _author(edit) == _author(old)


def _author(edit: Edit) -> tuple[int | None, int | None]:
    return edit.author_id, edit.token_id


def _only(values: Mapping[str, object], names: Iterable[str]) -> dict[str, object]:
    return {name: values[name] for name in names if name in values}
