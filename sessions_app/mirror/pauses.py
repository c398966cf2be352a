"""Owns the pause of an organization whose key Vapi refuses: when it begins, and the test request that ends it.

Nothing is asked of Vapi for a paused organization but that test; mirror.connection sees to it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import transaction
from django.db.models.functions import Now

from sessions_app.mirror.connection import open_client
from sessions_app.mirror.walk import first_of
from sessions_app.models import KeyPause, Organization
from sessions_app.models.requests import Purpose
from sessions_app.notices.causes import note_pause, note_resumption
from sessions_app.vapi.client import Listing
from sessions_app.vapi.errors import Refused

log = logging.getLogger(__name__)

_WORDS = {
    401: "Vapi refused the API key (401).",
    402: "Vapi asks for payment (402).",
    403: "Vapi forbids this API key to read (403).",
}
# A write may be forbidden for itself; only what is asked of every key alike tells of the key.
_OF_WRITES = (401, 402)


def pause_if_refused(organization: Organization, refusal: Refused, *, by_write: bool = False) -> bool:
    """Pause the organization where Vapi refuses its key, as opposed to what was asked. Says whether it did.

    A key that was replaced while the request was under way is not blamed for the old one.
    """
    words = _WORDS.get(refusal.status or 0)
    if words is None or (by_write and refusal.status not in _OF_WRITES):
        return False
    now = Organization.objects.filter(pk=organization.pk).first()
    if now is None or (now.api_key, now.base_url) != (organization.api_key, organization.base_url):
        return False
    if _begin(organization.pk, words, refusal.status):
        log.warning("organization paused", extra={"organization": organization.pk, "status": refusal.status})
    # Whoever holds this object asks nothing more with it.
    organization.refresh_from_db(fields=["paused_at", "paused_reason"])
    return True


def _begin(organization_id: int, words: str, status: int | None) -> bool:
    with transaction.atomic():
        going = Organization.objects.filter(pk=organization_id, paused_at=None)
        has_begun = bool(going.update(paused_at=Now(), paused_reason=words))
        if has_begun:
            KeyPause.objects.create(organization_id=organization_id, cause=words, began_at=Now())
            note_pause(Organization.objects.get(pk=organization_id), status)
    return has_begun


@contextmanager
def pausing(organization: Organization) -> Iterator[None]:
    """Let a refused key pause the organization; the error goes on."""
    try:
        yield
    except Refused as refusal:
        pause_if_refused(organization, refusal)
        raise


def take_up_again(organization: Organization, who: str = "", reason: str = "") -> None:
    """Ask Vapi for one session, and end the pause when it answers. Raises VapiError or NoKey; it stays paused then.

    Who ended it and why is kept.
    """
    with open_client(organization, Purpose.PERSON, though_paused=True) as client:
        try:
            # Another one than the first where that one cannot be had.
            first_of(client.list_sessions, Listing())
        except Refused as refusal:
            pause_if_refused(organization, refusal)
            raise
    _end(organization.pk, who, reason)


def _end(organization_id: int, who: str, reason: str) -> None:
    with transaction.atomic():
        rows = Organization.objects.select_for_update(no_key=True).filter(pk=organization_id)
        paused = rows.exclude(paused_at=None).first()
        if paused is None:
            return
        rows.update(paused_at=None, paused_reason="")
        standing = KeyPause.objects.filter(organization=organization_id, ended_at=None)
        standing.update(ended_at=Now(), ended_by=who, end_reason=reason)
        note_resumption(paused)
