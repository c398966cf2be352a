"""Owns the pause of an organization whose key Vapi refuses: when it begins, and the test request that ends it.

Nothing is asked of Vapi for a paused organization but that test; mirror.connection sees to it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from django.db.models.functions import Now

from sessions_app.mirror.connection import open_client
from sessions_app.models import Organization
from sessions_app.models.requests import Purpose
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
    paused = Organization.objects.filter(pk=organization.pk, paused_at=None)
    if paused.update(paused_at=Now(), paused_reason=words):
        log.warning("organization paused", extra={"organization": organization.pk, "status": refusal.status})
    # Whoever holds this object asks nothing more with it.
    organization.refresh_from_db(fields=["paused_at", "paused_reason"])
    return True


@contextmanager
def pausing(organization: Organization) -> Iterator[None]:
    """Let a refused key pause the organization; the error goes on."""
    try:
        yield
    except Refused as refusal:
        pause_if_refused(organization, refusal)
        raise


def take_up_again(organization: Organization) -> None:
    """Ask Vapi for one session, and end the pause when it answers. Raises VapiError or NoKey; it stays paused then."""
    with open_client(organization, Purpose.PERSON, though_paused=True) as client:
        try:
            client.list_sessions(Listing(limit=1))
        except Refused as refusal:
            pause_if_refused(organization, refusal)
            raise
    Organization.objects.filter(pk=organization.pk).update(paused_at=None, paused_reason="")
