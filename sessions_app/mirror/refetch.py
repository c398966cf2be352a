"""Fetches one session again, with its chats, because a person or an edit asked for it."""

from __future__ import annotations

from datetime import datetime
from functools import partial

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.utils import timezone

from sessions_app.mirror.connection import NoKey, open_client
from sessions_app.mirror.forgetting import forgotten_among
from sessions_app.mirror.streams import STREAMS, store_answer
from sessions_app.mirror.walk import Walk
from sessions_app.models import ApiToken, Organization, Session
from sessions_app.models.history import ChangeSource
from sessions_app.models.mirrored import MissingReason
from sessions_app.models.requests import Purpose
from sessions_app.models.runs import Stream
from sessions_app.vapi.client import Listing, VapiClient
from sessions_app.vapi.errors import Gone, VapiError
from sessions_app.vapi.reading import parse_results


class Unstorable(VapiError):
    """Vapi answered, and the answer could not be stored: it stands in Quarantine. The row stays as it was."""

    def __init__(self) -> None:
        words = "Vapi has this session, but what it answers cannot be stored: see Quarantine."
        super().__init__("GET", "/session/{id}", None, (words,))

    def _outcome(self) -> str:
        return "answered, but could not be stored"


def refetch_session(organization: Organization, session_id: str) -> Session | None:
    """GET a session and its chats and mirror them. None, and the row stamped, where Vapi answers 404.

    Raises VapiError or NoKey when Vapi could not be asked, or Unstorable; nothing changes then.
    """
    with open_client(organization, Purpose.PERSON) as client:
        try:
            found = mirror_one(client, organization, session_id)
        except Gone:
            stamp_missing(organization, session_id, MissingReason.GONE)
            return None
        _mirror_chats_of(client, organization, session_id)
    return found


def adopt_session(session_id: str, who: AbstractBaseUser | AnonymousUser | ApiToken) -> Session | None:
    """Ask every active organization that `who` sees for an id that is not mirrored yet.

    None where nobody knows it, or it was let go here. Raises the last VapiError where one could not be asked and
    none had it.
    """
    problem: VapiError | None = None
    for organization in Organization.objects.visible_to(who).filter(is_active=True):
        if forgotten_among(organization, Stream.SESSIONS, [session_id]):
            continue
        try:
            with open_client(organization, Purpose.PERSON) as client:
                found = mirror_one(client, organization, session_id)
                _mirror_chats_of(client, organization, session_id)
                return found
        except (Gone, NoKey):
            continue
        except VapiError as error:
            problem = error
    if problem:
        raise problem
    return None


def mirror_one(client: VapiClient, organization: Organization, session_id: str) -> Session:
    """GET one session and mirror it. Raises VapiError, Unstorable where what came could not be stored."""
    fetched = client.get_session(session_id)
    found = mirror_answer(
        organization, fetched.payload, text_replaced=fetched.text_replaced, asked_at=fetched.asked_at
    )
    if found is None:
        raise Unstorable
    return found


def mirror_answer(
    organization: Organization,
    payload: dict[str, object],
    *,
    text_replaced: bool,
    asked_at: datetime,
    source: ChangeSource = ChangeSource.REFETCH,
    edit_id: int | None = None,
) -> Session | None:
    """Mirror one session as Vapi answered it to a GET or a PATCH. None where it could not be stored."""
    spec = STREAMS[Stream.SESSIONS]
    records, bad = parse_results(spec.path, [payload], [text_replaced])
    written = store_answer(
        spec, organization, records, bad, asked_at=asked_at, deep=True, source=source, edit_id=edit_id
    )
    if written.quarantined:
        return None
    ids = [record.id for record in records]
    session = Session.objects.filter(organization=organization, id__in=ids).first()
    if session is not None:
        session.synced_at = timezone.now()
        session.save(update_fields=["synced_at"])
    return session


def stamp_missing(organization: Organization, session_id: str, reason: MissingReason) -> int:
    """Stamp a session that Vapi answers 404 for. Its row stays. Returns how many were stamped (0 or 1).

    A listing that was asked for before, and still shows the session, does not lift the stamp.
    """
    now = timezone.now()
    return Session.objects.filter(
        organization=organization, id=session_id, missing_since__isnull=True
    ).update(missing_since=now, missing_reason=reason, asked_at=now)


def _mirror_chats_of(client: VapiClient, organization: Organization, session_id: str) -> None:
    spec = STREAMS[Stream.CHATS]
    walk = Walk(
        partial(client.list_stream, spec.path),
        Listing(session_id=session_id),
        partial(client.get_stream, spec.path),
    )
    for step in walk.steps():
        records, bad = parse_results(spec.path, step.results, step.text_replaced)
        store_answer(
            spec,
            organization,
            records,
            bad,
            broken=step.broken,
            asked_at=step.page.asked_at,
            deep=True,
        )
