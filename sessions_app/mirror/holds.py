"""Owns legal holds: set, extended to what came since, released. What they keep is left alone by pruning and erasure.

A hold is by session or by customer; each session that it keeps is a row of its own, which everybody who lets go of
rows looks at. Who set and released it, when and why stays, also after its release.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from sessions_app.mirror.customers import EMAIL, EXTERNAL_ID, NUMBER, is_same, is_theirs, sessions_of
from sessions_app.models import Chat, HeldSession, LegalHold, Organization, Session
from sessions_app.models.forgetting import HoldBy

log = logging.getLogger(__name__)

LONGEST_VALUE = 1000
_AT_ONCE = 1000


def found_by(organization: Organization, by: str, value: str) -> QuerySet[Session]:
    """Return the sessions that a hold by this would keep."""
    if by == HoldBy.SESSION:
        return Session.objects.filter(organization=organization, pk=value)
    return sessions_of(organization, by, value)


def set_hold(organization: Organization, by: str, value: str, reason: str, who: str) -> LegalHold:
    """Keep a session, or all that a customer has and will have. Raises ValidationError by field."""
    value, reason = value.strip(), reason.strip()
    _check(organization, by, value, reason)
    with transaction.atomic():
        hold = LegalHold.objects.create(
            organization=organization, by=by, value=value, reason=reason, set_by=who
        )
        _extend(hold)
    log.info("legal hold set", extra={"organization": organization.slug, "hold": hold.pk, "by": by})
    return hold


def _check(organization: Organization, by: str, value: str, reason: str) -> None:
    problems = {} if reason else {"reason": "Say why."}
    if by not in HoldBy.values:
        problems["by"] = f"Choose {', '.join(HoldBy.values)}."
    elif not value or len(value) > LONGEST_VALUE or "\x00" in value:
        problems["value"] = "Enter what it is found by."
    elif by == HoldBy.SESSION and not found_by(organization, by, value).exists():
        problems["value"] = "There is no such session in this organization."
    if problems:
        raise ValidationError(dict(problems))


def release_hold(hold: LegalHold, reason: str, who: str) -> bool:
    """Let a hold keep nothing any more; False where it was released before. Raises ValidationError by field."""
    if not reason.strip():
        raise ValidationError({"reason": "Say why."})
    with transaction.atomic():
        in_force = LegalHold.objects.filter(pk=hold.pk, released_at=None)
        if not in_force.update(released_at=timezone.now(), released_by=who, release_reason=reason.strip()):
            return False
        HeldSession.objects.filter(hold=hold).delete()
    log.info("legal hold released", extra={"hold": hold.pk})
    return True


def extend_holds(organization: Organization) -> None:
    """Hold what customers under a hold got since. Whoever lets go of rows calls this first."""
    for hold in _of_customers(organization):
        _extend(hold)


def _extend(hold: LegalHold) -> None:
    """Rows are locked: who deletes them meanwhile is waited for, or waits and finds them held."""
    lacking = found_by(hold.organization, hold.by, hold.value).exclude(
        Exists(HeldSession.objects.filter(hold=hold, session_id=OuterRef("pk")))
    )
    while True:
        with transaction.atomic():
            locked = lacking.select_for_update().order_by("pk").values_list("pk", flat=True)
            ids = list(locked[:_AT_ONCE])
            rows = [HeldSession(hold=hold, session_id=session_id) for session_id in ids]
            HeldSession.objects.bulk_create(rows, ignore_conflicts=True)
        if not ids:
            return


# What is held --------------------------------------------------------------------------------------


def held_sessions(key: str = "session_id") -> Exists:
    """Whether the session named by the row's column `key` is held."""
    return Exists(HeldSession.objects.filter(session_id=OuterRef(key)))


def held_subjects(key: str = "remote_id") -> Q:
    """Whether the session or chat named by the row's column `key` is held."""
    chats = Chat.objects.filter(pk=OuterRef(key))
    return Q(held_sessions(key)) | Q(Exists(chats.filter(held_sessions())))


def held_among(ids: Collection[str]) -> set[str]:
    """Return those sessions of `ids` that are held."""
    return set(HeldSession.objects.filter(session_id__in=ids).values_list("session_id", flat=True))


def _of_customers(organization: Organization) -> QuerySet[LegalHold]:
    in_force = LegalHold.objects.filter(organization=organization, released_at=None)
    return in_force.exclude(by=HoldBy.SESSION).select_related("organization").order_by("pk")


def customer_holds(organization: Organization) -> list[LegalHold]:
    """Return the holds in force that keep a customer."""
    return list(_of_customers(organization))


def holds_customer(hold: LegalHold, by: str, value: str) -> bool:
    """Say whether the hold keeps exactly who is meant."""
    return hold.by == by and is_same(by, hold.value, value)


def holds_row(hold: LegalHold, row: Mapping[str, Any]) -> bool:
    """Say whether the hold keeps a session as Vapi sends it, be it here or not."""
    return is_theirs(hold.by, hold.value, row)


def holds_on(holds: QuerySet[LegalHold], session: Session) -> list[LegalHold]:
    """Return those of `holds` that keep the session, also where it came after they were last extended. One query."""
    theirs = {
        NUMBER: session.customer_number,
        EMAIL: session.customer_email,
        EXTERNAL_ID: session.customer_external_id,
    }
    keeping = Exists(HeldSession.objects.filter(hold=OuterRef("pk"), session_id=session.pk))
    in_force = holds.filter(organization=session.organization_id, released_at=None)
    candidates = in_force.filter(Q(keeping) | ~Q(by=HoldBy.SESSION)).annotate(keeps=keeping)
    return [hold for hold in candidates if hold.keeps or is_same(hold.by, hold.value, theirs[hold.by])]


# What an erasure empties ---------------------------------------------------------------------------


def empty_released(organization: Organization, by: str, value: str, ids: Collection[str]) -> None:
    """Take the erased customer's words out of holds that were released: who and when stay."""
    released = LegalHold.objects.filter(organization=organization).exclude(released_at=None).exclude(value="")
    for hold in released:
        if holds_customer(hold, by, value) or found_by(organization, hold.by, hold.value).filter(pk__in=ids):
            LegalHold.objects.filter(pk=hold.pk).update(value="", reason="", release_reason="")
