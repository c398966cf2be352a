"""Owns deleting a session at Vapi: queueing it against what the person saw, and its one DELETE. The row stays."""

from __future__ import annotations

from django.core.exceptions import ValidationError

from sessions_app.edits import states
from sessions_app.edits.holds import KEPT, is_kept, keeps_from
from sessions_app.edits.outcomes import collide, send_once
from sessions_app.edits.queue import Making, demand_reason, shown_values, submit, submitted_before
from sessions_app.edits.values import Values, differing, remote_values
from sessions_app.mirror.refetch import stamp_missing
from sessions_app.models import Edit, Session
from sessions_app.models.edits import EditKind, EditState
from sessions_app.models.mirrored import MissingReason
from sessions_app.vapi import Gone, JsonObject, VapiClient, parse_session

# What stands in the place of fields: there is nothing else to send.
DELETED: dict[str, object] = {"deleted": True}


def deletion_base(session: Session, shown: Values | None = None) -> dict[str, object]:
    """Return what a person sees of a session that they delete: its fields, and how much was said."""
    return {**(shown_values(session) if shown is None else shown), "messages": session.message_count}


def check_typed(session: Session, typed: str) -> None:
    """A deletion is meant where the session's name or id was typed. Raises ValidationError by field."""
    if typed.strip() not in {session.pk, session.name} - {""}:
        raise ValidationError({"typed": "Type the session's name or id as it stands here."})


def queue_delete(session: Session, making: Making, base: Values | None = None) -> Edit:
    """Queue the deletion of what was shown. Raises ValidationError. The caller enqueues the push."""
    known = submitted_before(making, session.pk, EditKind.DELETE)
    if known is not None:
        return known
    demand_reason(session.organization, making.reason)
    if is_kept(session):
        raise ValidationError(KEPT)
    edit = making.edit(
        session.organization_id,
        session.pk,
        kind=EditKind.DELETE,
        base=dict(base or deletion_base(session)),
        fields=DELETED,
    )
    return submit(edit, making)


def push_delete(client: VapiClient, edit: Edit) -> None:
    """One attempt. A 404 means that it is done; what a legal hold keeps by now stays. Raises VapiError or BadRecord."""
    try:
        found = client.get_session(edit.session_id)
    except Gone:
        _done(edit, 404)
        return
    remote = _remote(found.payload)
    moved = differing(edit.base, remote, edit.base)
    if moved:
        collide(edit, found, {field: remote[field] for field in moved})
    elif keeps_from(edit, found.payload):
        states.settle(edit, EditState.REJECTED, error=KEPT, sent_at=edit.sent_at)
    else:
        _done(edit, send_once(edit, lambda: _delete(client, edit), lambda: _look(client, edit)))


def _delete(client: VapiClient, edit: Edit) -> int:
    try:
        client.delete_session(edit.session_id)
    except Gone:
        return 404
    return 200


def _look(client: VapiClient, edit: Edit) -> int | None:
    try:
        client.get_session(edit.session_id)
    except Gone:
        return 404
    return None


def _done(edit: Edit, status: int) -> None:
    """Stamp first: a worker that dies in between leaves a claim, and the next look ends here again."""
    was_us = edit.sent_at is not None
    stamp_missing(edit.organization, edit.session_id, MissingReason.DELETED if was_us else MissingReason.GONE)
    states.settle(edit, EditState.APPLIED, status, error="")


def _remote(payload: JsonObject) -> dict[str, object]:
    return {**remote_values(payload), "messages": parse_session(payload).message_count}
