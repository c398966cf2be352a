"""Who may have been meant by a number that nobody here has: whose number only holds what was typed."""

from __future__ import annotations

from django.contrib.auth.models import AnonymousUser, User

from sessions_app.models import Organization, Session
from sessions_app.search.box import number_parts, numbers_meant

_SHOWN = 3
_NUMBERS = 100


def similar_numbers(who: User | AnonymousUser, organization: Organization, typed: str) -> list[str]:
    """Return a few customers' numbers of which what was typed is a part, to who may see customers.

    Two queries; none for what is no number.
    """
    if not (number_parts(typed) and who.has_perm("sessions_app.view_session")):
        return []
    digits = list(numbers_meant(typed)[:_NUMBERS])
    sessions = Session.objects.visible_to(who).filter(organization=organization, customer_digits__in=digits)
    return list(
        sessions.order_by("customer_number").values_list("customer_number", flat=True).distinct()[:_SHOWN]
    )


def nobody_has(value: str, similar: list[str]) -> str:
    """Say that nobody here has this, and whom it may have been meant for."""
    words = f"Nobody here has exactly \N{LEFT DOUBLE QUOTATION MARK}{value}\N{RIGHT DOUBLE QUOTATION MARK}."
    return f"{words} Did you mean {' or '.join(similar)}?" if similar else words
