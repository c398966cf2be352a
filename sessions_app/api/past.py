"""A session over REST as it stood at a time, made from its history."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django import forms
from rest_framework.exceptions import NotFound, ValidationError

from sessions_app.api.lists import Row, stored_json, with_organization
from sessions_app.mirror.history import PastState, state_at
from sessions_app.mirror.tables import SESSIONS
from sessions_app.models import Session
from sessions_app.models.fields import UsdField
from sessions_app.search.parameters import MomentField
from sessions_app.vapi.json import dump_payload
from sessions_app.vapi.payloads import BadRecord, parse_session

_DOLLARS = ("cost_usd", "itemized_cost_usd")


def parse_moment(text: str) -> datetime:
    """Return the time that was asked for; 400 where it is none."""
    try:
        moment: datetime = MomentField().clean(text)
    except forms.ValidationError as error:
        raise ValidationError({"as_of": error.messages}) from None
    return moment


def past_session(
    session: Session, moment: datetime, columns: Sequence[str], slugs: Mapping[int, str]
) -> dict[str, Any]:
    """Return the detail of a session at that time; 404 before it was created, and where no payload is kept."""
    if moment < session.created_at:
        raise NotFound("The session was created later.")
    state = state_at(session, moment)
    if state is None:
        raise NotFound("The payload of this session is not kept, so its past is not known.")
    row = {name: value for name, value in _columns_at(session, state).items() if name in columns}
    if session.missing_since and session.missing_since <= moment:
        row |= {"missing_since": session.missing_since, "missing_reason": session.missing_reason}
    return {
        **with_organization({name: row[name] for name in columns}, slugs),
        "pending": {},
        "newest_edit": None,
        "payload": stored_json(dump_payload(state.payload)),
        "as_of": {
            "at": moment,
            "known_from": state.known_from,
            "is_cut": state.is_cut,
            "note": _note(state),
        },
    }


def _columns_at(session: Session, state: PastState) -> Row:
    try:
        record = parse_session(state.payload)
    except BadRecord:
        raise NotFound("This state cannot be made again from what is kept.") from None
    values = SESSIONS.row(record, session.organization_id, session.asked_at, session.synced_at)
    row = dict(zip(SESSIONS.columns, values, strict=True))
    dollars = {name: UsdField().from_db_value(row[name], None, None) for name in _DOLLARS}
    # A session without a name has '' in its column.
    return {**row, **dollars, "name": row["name"] or ""}


def _note(state: PastState) -> str:
    if not state.is_cut:
        return ""
    return "Not known that far back: earlier states were not seen, or history is no longer kept. This is the oldest."
