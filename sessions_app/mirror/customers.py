"""Owns whose a session is: a customer's, by number, e-mail address or external id. Numbers are compared by their
digits, addresses without regard to case."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from django.db.models import QuerySet

from sessions_app.mirror.tables import digits_of
from sessions_app.models import Chat, Organization, Session
from sessions_app.vapi.json import dump_payload

NUMBER, EMAIL, EXTERNAL_ID = "number", "email", "external_id"
WAYS = {NUMBER: "phone number", EMAIL: "e-mail address", EXTERNAL_ID: "external id"}
# As Vapi's `customer` has them.
_FIELDS = {NUMBER: "number", EMAIL: "email", EXTERNAL_ID: "externalId"}


def sessions_of(organization: Organization, by: str, value: str) -> QuerySet[Session]:
    """Return a customer's sessions."""
    mine = Session.objects.filter(organization=organization)
    if by == NUMBER:
        digits = digits_of(value)
        return mine.filter(customer_digits=digits) if digits else mine.filter(customer_number=value)
    if by == EMAIL:
        return mine.filter(customer_email__iexact=value)
    return mine.filter(customer_external_id=value)


def chats_of(sessions: QuerySet[Session]) -> QuerySet[Chat]:
    return Chat.objects.filter(session_id__in=sessions.values("pk"))


def is_same(by: str, one: str, other: str) -> bool:
    """Say whether two numbers, addresses or ids are one customer's."""
    if by == NUMBER and digits_of(one):
        return digits_of(one) == digits_of(other)
    return bool(one) and (one.casefold() == other.casefold() if by == EMAIL else one == other)


def is_theirs(by: str, value: str, row: Mapping[str, Any]) -> bool:
    """Say whether a session or chat as Vapi sends it is the customer's."""
    customer = row.get("customer")
    carried = customer.get(_FIELDS[by]) if isinstance(customer, Mapping) else None
    return is_same(by, str(carried or ""), value)


def names_customer(by: str, value: str, body: object) -> bool:
    """Say whether parsed JSON names the customer anywhere, in a field of the name that Vapi gives it."""
    nodes = [body]
    for node in nodes:
        if isinstance(node, Mapping):
            carried = node.get(_FIELDS[by])
            if isinstance(carried, str | int) and is_same(by, str(carried), value):
                return True
            nodes.extend(node.values())
        elif isinstance(node, list):
            nodes.extend(node)
    return False


def spellings_of(by: str, value: str) -> list[str]:
    """Return what to ask Vapi for, whose filters compare texts: a number as it was given and as Vapi writes it."""
    digits = digits_of(value) if by == NUMBER else ""
    return list(dict.fromkeys([value, f"+{digits}"])) if digits else [value]


def texts_of(by: str, value: str) -> set[str]:
    """Return texts of which JSON that names the customer has one, whatever case and spaces: a number's bare digits."""
    digits = digits_of(value) if by == NUMBER else ""
    given = {text for text in (value, digits) if text}
    return {written[1:-1] for text in given for written in (dump_payload(text), json.dumps(text))}
