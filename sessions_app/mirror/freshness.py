"""Brings what is new at Vapi while a person waits: the newest rows, what they look for, the session they have open.

What is asked is shared by all people, web processes and workers, by guarded UPDATEs on the database's clock. It
proves nothing and moves no watermark: the sync that follows does.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import islice
from typing import Any

from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.crypto import salted_hmac

from sessions_app.mirror.connection import NoKey, open_client
from sessions_app.mirror.moments import Work, begin
from sessions_app.mirror.pauses import pausing
from sessions_app.mirror.pinning import Pin
from sessions_app.mirror.refetch import refetch_session
from sessions_app.mirror.streams import STREAMS, StreamSpec, mirror_results
from sessions_app.mirror.walk import Walk
from sessions_app.models import Lookup, Organization, Session, Watermark
from sessions_app.models.requests import Purpose
from sessions_app.models.runs import Stream
from sessions_app.search.box import digits_in
from sessions_app.vapi.answers import Page
from sessions_app.vapi.client import Listing, VapiClient
from sessions_app.vapi.errors import Unavailable, VapiError
from sessions_app.vapi.reading import parse_results

# The newest rows are asked for this often while somebody is signed in, and by searches at most.
SWEEP_EVERY = timedelta(seconds=12)
TOP_UP_EVERY = timedelta(seconds=5)
MISS_REMEMBERED = timedelta(seconds=30)
# A little less than the page's 15 s, which come late now and then.
READ_AGAIN_EVERY = timedelta(seconds=13)

# A sweep that is further behind than this leaves the rest to the next one and to the sync.
_MOST_STEPS = 5
_FIRST_LIMIT = 100
_FORGET_LOOKUPS_AFTER = timedelta(hours=1)
_MOST_AHEAD = timedelta(days=1)
_NEVER = datetime(2000, 1, 1, tzinfo=UTC)

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_SHORTEST_NUMBER, _LONGEST_NUMBER = 7, 15
_SHORTEST_EXTERNAL_ID, _LONGEST_FILTER = 4, 40
_SHORTEST_ID, _LONGEST_ID = 20, 200


class _NotNow(Exception):
    """Vapi could not answer, and nobody waits for the next try."""

    def __init__(self, problem: Unavailable) -> None:
        self.problem = problem


# The newest rows -------------------------------------------------------------------------------------


def sweep_head(
    organization: Organization, every: timedelta = SWEEP_EVERY, purpose: Purpose = Purpose.INCREMENTAL
) -> int:
    """Mirror what was created since the newest row. Returns how many rows were written.

    Asks nothing where somebody asked less than `every` ago, and nothing before the first full sync has begun.
    Raises VapiError or NoKey.
    """
    due = [stream for stream in STREAMS if _claim_sweep(organization, stream, every)]
    if not due:
        return 0
    with pausing(organization), open_client(organization, purpose) as client:
        return sum(_sweep_stream(client, organization, stream) for stream in due)


def _claim_sweep(organization: Organization, stream: Stream, every: timedelta) -> bool:
    due = Q(swept_at=None) | Q(swept_at__lte=Now() - every)
    marks = Watermark.objects.filter(due, organization=organization, stream=stream, updated_at__isnull=False)
    return bool(marks.update(swept_at=Now()))


def _sweep_stream(client: VapiClient, organization: Organization, stream: Stream) -> int:
    spec = STREAMS[stream]
    return _mirror_walk(client, organization, spec, Listing(created_at_ge=_head(organization, stream)))


def _head(organization: Organization, stream: Stream) -> datetime | None:
    """The createdAt of the newest row. During the first full sync not what that one is about to read."""
    # One of the far future would hide what is created until then.
    rows = STREAMS[stream].table.model.objects.filter(
        organization=organization, created_at__lte=timezone.now() + _MOST_AHEAD
    )
    newest = rows.order_by("-created_at").values_list("created_at", flat=True).first()
    mark = Watermark.objects.get(organization=organization, stream=stream)
    if newest is None or (mark.backfilled_at is None and mark.updated_at and mark.updated_at > newest):
        return mark.updated_at
    moment: datetime = newest
    return moment


def _mirror_walk(client: VapiClient, organization: Organization, spec: StreamSpec, listing: Listing) -> int:
    """Mirror rows until an answer brings nothing new. What cannot be read is left to the sync, which keeps it."""
    walk = Walk(
        partial(_ask_once, partial(client.list_stream, spec.path)),
        listing,
        partial(client.get_stream, spec.path),
        limit=_FIRST_LIMIT,
    )
    written = 0
    try:
        for step in islice(walk.steps(), _MOST_STEPS):
            records, _ = parse_results(spec.path, step.results, step.text_replaced)
            result = mirror_results(spec, organization, records, asked_at=step.page.asked_at)
            if not result.written_ids:
                break
            written += len(result.written_ids)
    except _NotNow as late:
        raise late.problem from None
    return written


def _ask_once(list_page: Callable[[Listing], Page], listing: Listing) -> Page:
    try:
        return list_page(listing)
    except Unavailable as problem:
        raise _NotNow(problem) from None


def read_newest(organization: Organization) -> int:
    """Mirror the newest sessions where none is here yet, so that there is something to read before the full sync comes
    to it. Returns how many. Raises VapiError, NoKey or WrongOrganization.
    """
    if Session.objects.filter(organization=organization).exists():
        return 0
    spec = STREAMS[Stream.SESSIONS]
    with pausing(organization), open_client(organization, Purpose.PERSON) as client:
        page = client.list_stream(spec.path, Listing(limit=_FIRST_LIMIT, sort_order="DESC"))
        Pin(client, spec, organization).check(
            [org_id for row in page.results if isinstance(org_id := row.get("orgId"), str)]
        )
    replaced = [place in page.text_replaced for place in range(len(page.results))]
    records, _ = parse_results(spec.path, page.results, replaced)
    return mirror_results(spec, organization, records, asked_at=page.asked_at).created


# What a person looks for -----------------------------------------------------------------------------


def top_up(organizations: Sequence[Organization], look_for: str = "") -> list[Organization]:
    """Sweep for a search, and look at Vapi for `look_for`; both at once, waiting a moment at most.

    Returns the organizations that Vapi was too slow for or gave no answer.
    """
    sweep = partial(sweep_head, every=TOP_UP_EVERY, purpose=Purpose.PERSON)
    asking = [(one, begin(("head", one.pk), partial(sweep, one))) for one in organizations]
    return _wait([*asking, *_begin_look_up(organizations, look_for)])


def look_up(organizations: Sequence[Organization], text: str) -> list[Organization]:
    """Ask Vapi's own filters for a full number, e-mail, external id or id, and mirror what they find.

    Returns the organizations that could not be asked in a moment. What nobody knew is not asked again for 30 s.
    """
    return _wait(_begin_look_up(organizations, text))


def _begin_look_up(organizations: Sequence[Organization], text: str) -> list[tuple[Organization, Work]]:
    questions = questions_for(text)
    if not questions:
        return []
    digest = _digest("search", text.strip())
    return [
        (one, begin(("search", one.pk, digest), partial(_look_up, one, digest, questions)))
        for one in organizations
    ]


def questions_for(text: str) -> list[Listing]:
    """What to ask Vapi for a text: nothing unless it is written as a whole number, e-mail, external id or id."""
    text = text.strip()
    if any(character.isspace() for character in text) and not digits_in(text):
        return []
    digits = digits_in(text)
    questions = []
    if _SHORTEST_NUMBER <= len(digits) <= _LONGEST_NUMBER:
        questions.append(Listing(number=f"+{digits}"))
    if _EMAIL.fullmatch(text):
        return [Listing(email=text)] if len(text) <= _LONGEST_FILTER else []
    if _UUID.fullmatch(text):
        return [Listing(id_any=(text,))]
    if " " in text or not any(map(str.isdigit, text)):
        return questions
    if _SHORTEST_EXTERNAL_ID <= len(text) <= _LONGEST_FILTER and not text.startswith("+"):
        questions.append(Listing(external_id=text))
    if _SHORTEST_ID <= len(text) <= _LONGEST_ID and "," not in text:
        questions.append(Listing(id_any=(text,)))
    return questions


def _look_up(organization: Organization, digest: str, questions: Sequence[Listing]) -> None:
    if not _claim_lookup(organization, digest, MISS_REMEMBERED):
        return
    spec = STREAMS[Stream.SESSIONS]
    lookups = Lookup.objects.filter(organization=organization, digest=digest)
    try:
        with pausing(organization), open_client(organization, Purpose.PERSON) as client:
            found = sum(_mirror_walk(client, organization, spec, question) for question in questions)
    except (VapiError, NoKey):
        # It was not answered, so it is no miss.
        lookups.update(asked_at=_NEVER)
        raise
    lookups.update(was_found=bool(found))


# The session that is open ----------------------------------------------------------------------------


def read_again(session: Session) -> bool:
    """Read a session and its chats again, at most once in 13 s by all who have it open. False where Vapi was slow."""
    work = begin(("session", session.pk), partial(_read_again, session.organization, session.pk))
    return work.has_ended() and work.problem is None


def _read_again(organization: Organization, session_id: str) -> None:
    if _claim_lookup(organization, _digest("session", session_id), READ_AGAIN_EVERY):
        with pausing(organization):
            refetch_session(organization, session_id)


# Sharing ---------------------------------------------------------------------------------------------


def _wait(asking: Sequence[tuple[Organization, Work]]) -> list[Organization]:
    late = {one.pk: one for one, work in asking if not work.has_ended() or work.problem is not None}
    return list(late.values())


def _claim_lookup(organization: Organization, digest: str, every: timedelta) -> bool:
    """Note that this is asked now. False where it was asked less than `every` ago."""
    Lookup.objects.filter(asked_at__lt=Now() - _FORGET_LOOKUPS_AFTER).delete()
    new: dict[str, Any] = {"asked_at": _NEVER}
    Lookup.objects.get_or_create(organization=organization, digest=digest, defaults=new)
    due = Lookup.objects.filter(organization=organization, digest=digest, asked_at__lte=Now() - every)
    return bool(due.update(asked_at=Now(), was_found=False))


def _digest(what: str, text: str) -> str:
    """A keyed hash: what was looked for cannot be guessed from it."""
    return salted_hmac(f"sessions_app.lookup.{what}", text, algorithm="sha256").hexdigest()
