"""Owns what a bulk edit does to each session, as of now; queues nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ValidationError

from sessions_app.edits import settle
from sessions_app.edits.deletions import DELETED, deletion_base
from sessions_app.edits.holds import kept_among
from sessions_app.edits.queue import base_digest
from sessions_app.edits.validation import MOST_SECONDS, NothingChanged, check_changes
from sessions_app.edits.values import DEFAULTS, EDITABLE, Values, mirrored_values
from sessions_app.models import BulkEdit, Edit, Session
from sessions_app.models.edits import OPEN_STATES, UNDER_WAY_STATES, EditKind, EditState

# The seconds that a lifetime grows by, beside Vapi's field names.
EXTEND = "extendSeconds"
ALREADY_SO = "It is so already."
HELD = "A legal hold keeps it."
_NOT_HERE = "It is not mirrored any more."
_CHANGED = "It has changed since the preview."
# Of a digest, enough to tell one state of a session from another.
_DIGITS = 16


@dataclass(frozen=True)
class Plan:
    """What a bulk does to one session: what is sent, on which base; or why nothing is."""

    session_id: str
    session: Session | None
    base: Values
    fields: Values
    why: str = ""
    # Other changes of the session wait, which this one may have to supersede.
    is_crowded: bool = False
    # The edit that it undoes.
    undoes: Edit | None = None


def plan_sessions(bulk: BulkEdit, session_ids: Sequence[str]) -> list[Plan]:
    """Return a plan for each session: two queries, up to four for a deletion, however many they are."""
    sessions, waiting = _read(bulk, session_ids)
    plan = _plan_deletion if bulk.deletes else _plan_change
    plans = [plan(bulk, found, sessions.get(found), waiting.get(found, [])) for found in session_ids]
    return _without_changed(bulk, _without_held(bulk, plans)) if bulk.deletes else plans


def seen_now(bulk: BulkEdit) -> dict[str, str]:
    """Return a digest of each session that would be deleted, as it stands now, by which it is known: {id: digest}."""
    plans = plan_sessions(bulk, bulk.selection["ids"])
    return {plan.session_id: _digest(plan) for plan in plans if not plan.why}


def plan_undoing(bulk: BulkEdit, edits: Sequence[Edit]) -> list[Plan]:
    """Return a plan for each edit that is to be undone, in three queries."""
    sessions, waiting = _read(bulk, [edit.session_id for edit in edits])
    again = Edit.objects.filter(undoes__in=edits, state__in=(*OPEN_STATES, EditState.APPLIED))
    undone = set(again.order_by().values_list("undoes", flat=True))
    return [
        _plan_back(edit, sessions.get(edit.session_id), waiting.get(edit.session_id, []), edit.pk in undone)
        for edit in edits
    ]


def request_of(bulk: BulkEdit, plan: Plan) -> tuple[str, str, dict[str, object]]:
    """Return the exact request that a plan comes to, for a person to see: method, path, body."""
    path = f"/session/{plan.session_id}"
    return ("DELETE", path, {}) if bulk.deletes else ("PATCH", path, dict(plan.fields))


def _read(bulk: BulkEdit, session_ids: Sequence[str]) -> tuple[dict[str, Session], dict[str, list[Edit]]]:
    rows = Session.objects.filter(organization=bulk.organization_id, pk__in=session_ids)
    sessions = {session.pk: session for session in rows}
    waiting: dict[str, list[Edit]] = {}
    for edit in Edit.objects.open().filter(session_id__in=session_ids).order_by("pk"):
        waiting.setdefault(edit.session_id, []).append(edit)
    return sessions, waiting


def _plan_change(bulk: BulkEdit, session_id: str, session: Session | None, waiting: Sequence[Edit]) -> Plan:
    if session is None:
        return Plan(session_id, None, {}, {}, _NOT_HERE)
    shown = _shown(session, waiting)
    wanted = _wanted(bulk.fields, shown)
    why = _obstacle(session, waiting) or _conflict(waiting, wanted)
    if not why:
        try:
            fields = check_changes(shown, wanted)
            return Plan(session_id, session, shown, fields, is_crowded=bool(waiting))
        except NothingChanged:
            why = ALREADY_SO
        except ValidationError as error:
            why = " ".join(error.messages)
    return Plan(session_id, session, shown, {}, why)


def _plan_deletion(bulk: BulkEdit, session_id: str, session: Session | None, waiting: Sequence[Edit]) -> Plan:
    if session is None:
        return Plan(session_id, None, {}, {}, _NOT_HERE)
    base = deletion_base(session, _shown(session, waiting))
    return Plan(session_id, session, base, DELETED, _obstacle(session, waiting))


def _plan_back(edit: Edit, session: Session | None, waiting: Sequence[Edit], is_undone: bool) -> Plan:
    if session is None:
        return Plan(edit.session_id, None, {}, {}, _NOT_HERE)
    why = _obstacle(session, waiting)
    if is_undone or edit.state != EditState.APPLIED:
        why = "It was undone already, or its undoing is on its way."
    if not why:
        try:
            back = settle.values_back(edit)
            return Plan(edit.session_id, session, edit.fields, back, "", bool(waiting), edit)
        except ValidationError as error:
            why = " ".join(error.messages)
    return Plan(edit.session_id, session, {}, {}, why)


def _without_held(bulk: BulkEdit, plans: Sequence[Plan]) -> list[Plan]:
    """What a legal hold keeps is not deleted at Vapi either."""
    kept = kept_among(bulk.organization_id, [plan.session for plan in plans if plan.session and not plan.why])
    return [
        Plan(plan.session_id, plan.session, {}, {}, HELD) if plan.session_id in kept else plan
        for plan in plans
    ]


def _without_changed(bulk: BulkEdit, plans: Sequence[Plan]) -> list[Plan]:
    """Only what the preview showed is deleted, as it was shown."""
    seen = bulk.selection.get("seen")
    return [
        plan
        if plan.why or seen is None or seen.get(plan.session_id) == _digest(plan)
        else Plan(plan.session_id, plan.session, {}, {}, _CHANGED)
        for plan in plans
    ]


def _digest(plan: Plan) -> str:
    return base_digest(plan.base)[:_DIGITS]


def _shown(session: Session, waiting: Sequence[Edit]) -> dict[str, object]:
    shown = mirrored_values(session)
    for edit in waiting:
        if edit.kind == EditKind.UPDATE and edit.state in UNDER_WAY_STATES:
            shown.update({field: value for field, value in edit.fields.items() if field in EDITABLE})
    return shown


def _wanted(fields: Mapping[str, Any], shown: Mapping[str, Any]) -> dict[str, object]:
    if EXTEND not in fields:
        return dict(fields)
    seconds = shown["expirationSeconds"] or DEFAULTS["expirationSeconds"]
    return {"expirationSeconds": min(seconds + fields[EXTEND], MOST_SECONDS)}


def _obstacle(session: Session, waiting: Sequence[Edit]) -> str:
    if session.missing_since is not None:
        return "It is missing at Vapi."
    if any(edit.kind == EditKind.DELETE for edit in waiting):
        return "It is about to be deleted at Vapi."
    return ""


def _conflict(waiting: Sequence[Edit], wanted: Values) -> str:
    if any(edit.state == EditState.CONFLICT and edit.fields.keys() & wanted.keys() for edit in waiting):
        return "An earlier edit of the same field is in conflict."
    return ""
