"""Owns the erasure of one customer: at Vapi where that may be written to, and everywhere here.

An erasure is a row, done in small portions that may be repeated: whoever was killed is followed by the next sweep.
Sums of costs stay. What a legal hold keeps stays, and the erasure says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date, timedelta

from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Now

from sessions_app.mirror.connection import NoKey, open_client
from sessions_app.mirror.customers import is_theirs, sessions_of, spellings_of
from sessions_app.mirror.erased_bulks import forget_in_bulks
from sessions_app.mirror.forgetting import (
    forget_rows,
    not_held,
    overwrite_deleted,
    purge_index_and_journal,
    remember,
    writers_held,
)
from sessions_app.mirror.holds import (
    customer_holds,
    empty_released,
    extend_holds,
    held_among,
    holds_customer,
    holds_row,
)
from sessions_app.mirror.mentions import day_of, erase_mentions
from sessions_app.mirror.refetch import stamp_missing
from sessions_app.mirror.tables import CHATS, SESSIONS
from sessions_app.mirror.walk import Walk
from sessions_app.models import (
    Chat,
    Edit,
    Erasure,
    HeldSession,
    Lookup,
    Organization,
    QuarantinedRecord,
    Session,
    WebhookEvent,
)
from sessions_app.models.edits import EditState
from sessions_app.models.forgetting import ErasureState, ForgottenReason
from sessions_app.models.mirrored import MissingReason
from sessions_app.models.requests import Purpose
from sessions_app.models.runs import Stream
from sessions_app.vapi.client import Listing, VapiClient
from sessions_app.vapi.errors import Gone, Refused, Unavailable, VapiError, WritesOff
from sessions_app.vapi.json import JsonObject

_AT_ONCE = 50
# A killed worker's erasure is taken up again after this.
_CLAIM = timedelta(minutes=10)
_WAIT = timedelta(minutes=5)
# Of rows that went beyond Vapi's retention something may be left there.
_NOT_THERE = (MissingReason.DELETED, MissingReason.GONE)
# Refusals that every other request would meet as well.
_OF_THE_KEY = (401, 402, 403)
_SETTLED = (
    EditState.APPLIED,
    EditState.REJECTED,
    EditState.FAILED,
    EditState.WITHDRAWN,
    EditState.SUPERSEDED,
)


def request_erasure(
    organization: Organization, by: str, value: str, reason: str, *, at_vapi: bool, author: User | None = None
) -> Erasure:
    """Keep the request. The caller lets it run."""
    return Erasure.objects.create(
        organization=organization,
        by=by,
        value=value,
        reason=reason,
        author=author,
        at_vapi=at_vapi,
        found=sessions_of(organization, by, value).count(),
    )


def due_erasures() -> list[int]:
    due = Erasure.objects.filter(state__in=(ErasureState.QUEUED, ErasureState.RUNNING))
    due = due.filter(Q(next_attempt_at=None) | Q(next_attempt_at__lte=Now()))
    return list(due.order_by("pk").values_list("pk", flat=True))


def run_erasure(erasure_id: int) -> Erasure | None:
    """Erase what is asked for, as far as that can be done now. None where it is done or somebody is at it."""
    if not _claim(erasure_id):
        return None
    erasure = Erasure.objects.select_related("organization").get(pk=erasure_id)
    overwrite_deleted()
    extend_holds(erasure.organization)
    try:
        notes = _refuse_held(erasure) or [*_erase_everywhere(erasure), *_tell_held(erasure)]
    except Unavailable as problem:
        _mine(erasure).update(note=f"Waits for Vapi: {problem}", next_attempt_at=Now() + _WAIT)
        return _read(erasure_id)
    purge_index_and_journal()
    _mine(erasure).update(
        state=ErasureState.PARTIAL if notes else ErasureState.DONE,
        value="",
        note=" ".join(notes),
        next_attempt_at=None,
        finished_at=Now(),
    )
    return _read(erasure_id)


def _erase_everywhere(erasure: Erasure) -> list[str]:
    """Raises Unavailable. Not here first: by the rows here more is found at Vapi than by its own filter."""
    notes: list[str] = []
    try:
        notes += _erase_at_vapi(erasure) if erasure.at_vapi else []
    except Unavailable:
        raise
    except (VapiError, NoKey) as problem:
        notes.append(f"Not erased at Vapi: {problem}")
    _erase_here(erasure)
    return notes


def _claim(erasure_id: int) -> bool:
    due = Erasure.objects.filter(
        Q(next_attempt_at=None) | Q(next_attempt_at__lte=Now()),
        pk=erasure_id,
        state__in=(ErasureState.QUEUED, ErasureState.RUNNING),
    )
    return bool(due.update(state=ErasureState.RUNNING, next_attempt_at=Now() + _CLAIM))


def _mine(erasure: Erasure) -> QuerySet[Erasure]:
    return Erasure.objects.filter(pk=erasure.pk)


def _read(erasure_id: int) -> Erasure:
    return Erasure.objects.select_related("organization").get(pk=erasure_id)


def _sessions(erasure: Erasure) -> QuerySet[Session]:
    return sessions_of(erasure.organization, erasure.by, erasure.value)


def _refuse_held(erasure: Erasure) -> list[str]:
    """What to say where the customer is held: nothing of theirs is touched, here or at Vapi."""
    holds = customer_holds(erasure.organization)
    keeping = [hold.pk for hold in holds if holds_customer(hold, erasure.by, erasure.value)]
    return [f"Nothing was erased: {_named(keeping)} keeps this customer."] if keeping else []


def _tell_held(erasure: Erasure) -> list[str]:
    held = HeldSession.objects.filter(session_id__in=_sessions(erasure).values("pk"))
    found = sorted(set(held.values_list("session_id", "hold_id")))
    if not found:
        return []
    count = len({session_id for session_id, _ in found})
    what = "1 session stays" if count == 1 else f"{count:,} sessions stay"
    return [f"{what}: {_named(sorted({hold_id for _, hold_id in found}))}."]


def _named(holds: Sequence[int]) -> str:
    return f"legal hold {', '.join(map(str, holds))}"


# At Vapi -------------------------------------------------------------------------------------------


def _erase_at_vapi(erasure: Erasure) -> list[str]:
    """Delete the customer's sessions at Vapi, those that are not here too. Raises VapiError or NoKey."""
    # Nobody waits before a page for it, and there may be many: as edits are sent, each may wait for the budget.
    refused = 0
    with open_client(erasure.organization, Purpose.PUSH) as client:
        for session_id in sorted(_still_at_vapi(erasure) | _listed_at_vapi(client, erasure)):
            try:
                _delete_at_vapi(client, erasure, session_id)
            except WritesOff:
                return [
                    "Not erased at Vapi: sending to Vapi is off. Turn it on and ask for the erasure again."
                ]
            except Refused as problem:
                if problem.status in _OF_THE_KEY:
                    raise
                refused += 1
    what = "1 session" if refused == 1 else f"{refused:,} sessions"
    return [f"Vapi refused to delete {what}: ask for the erasure again, or delete there."] if refused else []


def _still_at_vapi(erasure: Erasure) -> set[str]:
    """The customer's sessions here that Vapi did not answer 404 for."""
    sessions = not_held(_sessions(erasure), SESSIONS)
    return set(sessions.exclude(missing_reason__in=_NOT_THERE).values_list("pk", flat=True))


def _delete_at_vapi(client: VapiClient, erasure: Erasure, session_id: str) -> None:
    """Delete one, and stamp it: who takes the erasure up again does not ask for it again. What is held by now stays."""
    if held_among([session_id]) or _refuse_held(erasure):
        return
    try:
        client.delete_session(session_id)
        reason, deleted = MissingReason.DELETED, 1
    except Gone:
        reason, deleted = MissingReason.GONE, 0
    stamp_missing(erasure.organization, session_id, reason)
    _mine(erasure).update(erased_at_vapi=F("erased_at_vapi") + deleted, next_attempt_at=Now() + _CLAIM)


def _listed_at_vapi(client: VapiClient, erasure: Erasure) -> set[str]:
    """Ask Vapi's own filter. What is not here is noted, so that no later sync brings it, and nothing of it stays."""
    holds = customer_holds(erasure.organization)
    found: dict[str, date] = {}
    for row in _rows_at_vapi(client, erasure):
        # Held by another of their names: rows that are not here too.
        if (day := day_of(row)) and not any(holds_row(hold, row) for hold in holds):
            found[str(row["id"])] = day
    held = held_among(found)
    free = {key: day for key, day in found.items() if key not in held}
    here = set(Session.objects.filter(pk__in=free).values_list("pk", flat=True))
    lacking = {key: day for key, day in free.items() if key not in here}
    _erase_lacking(erasure, lacking)
    return set(free)


def _rows_at_vapi(client: VapiClient, erasure: Erasure) -> Iterator[JsonObject]:
    for value in spellings_of(erasure.by, erasure.value):
        query = replace(Listing(), **{erasure.by: value})  # type: ignore[arg-type]  # one of three texts
        for step in Walk(client.list_sessions, query, client.get_session).steps():
            yield from (row for row in step.results if is_theirs(erasure.by, erasure.value, row))


def _erase_lacking(erasure: Erasure, lacking: dict[str, date]) -> None:
    """Sessions whose rows are not here, with the days of their createdAt: chats and other traces of them may be."""
    ids = sorted(lacking)
    for start in range(0, len(ids), _AT_ONCE):
        part = ids[start : start + _AT_ONCE]
        _erase_chats(erasure, part)
        with writers_held(erasure.organization):
            _erase_chats(erasure, part)
            days = {session_id: lacking[session_id] for session_id in part}
            remember(erasure.organization, Stream.SESSIONS, days, ForgottenReason.ERASED)
        forget_in_bulks(erasure.organization, part)
        _erase_traces(erasure, part)


# Here ----------------------------------------------------------------------------------------------


def _erase_here(erasure: Erasure) -> None:
    organization = erasure.organization
    free = not_held(_sessions(erasure), SESSIONS).order_by("pk")
    forget_in_bulks(organization, free.values_list("pk", flat=True))
    while ids := list(free.values_list("pk", flat=True)[:_AT_ONCE]):
        # A session goes last: by it a killed worker's follower finds the rest.
        _erase_chats(erasure, ids)
        _erase_traces(erasure, ids)
        with writers_held(organization):
            # Those that came meanwhile. Once the session is known as erased, no chat of it is stored.
            _erase_chats(erasure, ids)
            done = forget_rows(organization, SESSIONS, ids, ForgottenReason.ERASED)
        _mine(erasure).update(erased_here=F("erased_here") + done, next_attempt_at=Now() + _CLAIM)
    erase_mentions(organization, erasure.by, erasure.value)
    empty_released(organization, erasure.by, erasure.value, ())
    # Plain digests of what was looked for: a number could be guessed from its digest.
    Lookup.objects.filter(organization=organization).delete()


def _erase_chats(erasure: Erasure, session_ids: Sequence[str]) -> None:
    chats = Chat.objects.filter(organization=erasure.organization, session_id__in=session_ids)
    for part in _portions(not_held(chats, CHATS)):
        _erase_traces(erasure, part)
        forget_rows(erasure.organization, CHATS, part, ForgottenReason.ERASED)


def _portions(chats: QuerySet[Chat]) -> Iterator[list[str]]:
    while ids := list(chats.order_by("pk").values_list("pk", flat=True)[:_AT_ONCE]):
        yield ids


def _erase_traces(erasure: Erasure, ids: list[str]) -> None:
    """What is kept about these ids beside their rows."""
    organization = erasure.organization
    with transaction.atomic():
        of_them = Edit.objects.filter(organization=organization, session_id__in=ids)
        # Withdrawn first: what still waits would be sent without its values.
        of_them.exclude(state__in=_SETTLED).update(
            state=EditState.WITHDRAWN, settled_at=Now(), next_attempt_at=None
        )
        of_them.update(base={}, fields={}, theirs={}, operations=[], sent={}, reason="", error="")
        _events(organization).filter(remote_id__in=ids).update(body_json="")
        QuarantinedRecord.objects.filter(organization=organization, remote_id__in=ids).delete()
        LogEntry.objects.filter(object_id__in=ids).delete()
        empty_released(organization, erasure.by, erasure.value, ids)


def _events(organization: Organization) -> QuerySet[WebhookEvent]:
    return WebhookEvent.objects.filter(organization=organization).exclude(body_json="")
