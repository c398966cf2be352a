"""Owns whether a legal hold in force keeps sessions from being deleted at Vapi, as of now. Asks Vapi nothing.

Customers are compared anew each time: what they got since their hold was last extended is held too.
"""

from __future__ import annotations

from collections.abc import Collection

from sessions_app.mirror.customers import EMAIL, EXTERNAL_ID, NUMBER
from sessions_app.mirror.holds import customer_holds, held_among, holds_on, holds_row
from sessions_app.mirror.tables import digits_of
from sessions_app.models import Edit, LegalHold, Session
from sessions_app.vapi import JsonObject

KEPT = "A legal hold keeps this session: it is not deleted at Vapi either."


def is_kept(session: Session) -> bool:
    """Say whether a hold keeps the session. One query."""
    return bool(holds_on(LegalHold.objects.all(), session))


def keeps_from(edit: Edit, payload: JsonObject) -> bool:
    """Say whether a hold keeps an edit's session, as it is mirrored or as Vapi has it."""
    session = Session.objects.filter(pk=edit.session_id).first()
    if session is not None and is_kept(session):
        return True
    return any(holds_row(hold, payload) for hold in customer_holds(edit.organization))


def kept_among(organization_id: int, sessions: Collection[Session]) -> set[str]:
    """Return the ids of those that are kept: one query where nothing is held, else two, however many there are."""
    holds = list(LegalHold.objects.filter(organization=organization_id, released_at=None))
    if not holds:
        return set()
    customers = {(hold.by, _alike(hold.by, hold.value)) for hold in holds}
    theirs = {session.pk for session in sessions if not customers.isdisjoint(_names(session))}
    return theirs | held_among([session.pk for session in sessions])


def _names(session: Session) -> set[tuple[str, str]]:
    """What a customer's hold may be of."""
    names = {
        NUMBER: session.customer_number,
        EMAIL: session.customer_email,
        EXTERNAL_ID: session.customer_external_id,
    }
    return {(by, _alike(by, name)) for by, name in names.items() if name}


def _alike(by: str, name: str) -> str:
    """The same text for all that `is_same` takes for one customer's."""
    if by == NUMBER:
        return digits_of(name) or name
    return name.casefold() if by == EMAIL else name
