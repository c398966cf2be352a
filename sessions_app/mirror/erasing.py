"""Owns the erasure of one customer: at Vapi where that may be written to, and everywhere here.

An erasure is a row, done in small portions that may be repeated: whoever was killed is followed by the next sweep.
Sums of costs stay. What a legal hold keeps stays, and the erasure says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, date, timedelta
from typing import Any

from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Now

from sessions_app.mirror.connection import NoKey, open_client
from sessions_app.mirror.forgetting import (
    forget_rows,
    not_held,
    overwrite_deleted,
    purge_index_and_journal,
    remember,
)
from sessions_app.mirror.tables import CHATS, SESSIONS, digits_of
from sessions_app.mirror.walk import Walk
from sessions_app.models import (
    Chat,
    Edit,
    Erasure,
    LegalHold,
    Lookup,
    Organization,
    QuarantinedRecord,
    Session,
    WebhookEvent,
)
from sessions_app.models.edits import EditState
from sessions_app.models.forgetting import ErasureState, ForgottenReason
from sessions_app.models.requests import Purpose
from sessions_app.models.runs import Stream
from sessions_app.vapi.client import Listing, VapiClient
from sessions_app.vapi.errors import Gone, Unavailable, VapiError, WritesOff
from sessions_app.vapi.json import BadJson, JsonObject, dump_payload, load_payload
from sessions_app.vapi.times import parse_time

NUMBER, EMAIL, EXTERNAL_ID = "number", "email", "external_id"
WAYS = {NUMBER: "phone number", EMAIL: "e-mail address", EXTERNAL_ID: "external id"}
_AT_ONCE = 50
# A killed worker's erasure is taken up again after this.
_CLAIM = timedelta(minutes=10)
_WAIT = timedelta(minutes=5)
_SETTLED = (
    EditState.APPLIED,
    EditState.REJECTED,
    EditState.FAILED,
    EditState.WITHDRAWN,
    EditState.SUPERSEDED,
)


def sessions_of(organization: Organization, by: str, value: str) -> QuerySet[Session]:
    """Return a customer's sessions. Numbers are compared by their digits, addresses without regard to case."""
    mine = Session.objects.filter(organization=organization)
    if by == NUMBER:
        digits = digits_of(value)
        return mine.filter(customer_digits=digits) if digits else mine.filter(customer_number=value)
    if by == EMAIL:
        return mine.filter(customer_email__iexact=value)
    return mine.filter(customer_external_id=value)


def chats_of(sessions: QuerySet[Session]) -> QuerySet[Chat]:
    return Chat.objects.filter(session_id__in=sessions.values("pk"))


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
    notes: list[str] = []
    if erasure.at_vapi:
        try:
            notes += _erase_at_vapi(erasure)
        except Unavailable as problem:
            # Not here first: by the rows here more is found at Vapi than by its own filter.
            _mine(erasure).update(note=f"Waits for Vapi: {problem}", next_attempt_at=Now() + _WAIT)
            return _read(erasure_id)
        except (VapiError, NoKey) as problem:
            notes.append(f"Not erased at Vapi: {problem}")
    _erase_here(erasure)
    held = _held(erasure)
    if held:
        notes.append(f"{held:,} sessions stay: a legal hold keeps them.")
    purge_index_and_journal()
    _mine(erasure).update(
        state=ErasureState.PARTIAL if notes else ErasureState.DONE,
        value="",
        note=" ".join(notes),
        next_attempt_at=None,
        finished_at=Now(),
    )
    return _read(erasure_id)


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


def _held(erasure: Erasure) -> int:
    return _sessions(erasure).filter(pk__in=LegalHold.objects.values("session_id")).count()


# At Vapi -------------------------------------------------------------------------------------------


def _erase_at_vapi(erasure: Erasure) -> list[str]:
    """Delete the customer's sessions at Vapi, those that are not here too. Raises VapiError or NoKey."""
    with open_client(erasure.organization, Purpose.PERSON) as client:
        ids = set(not_held(_sessions(erasure), SESSIONS).values_list("pk", flat=True))
        ids |= _listed_at_vapi(client, erasure)
        for session_id in sorted(ids):
            try:
                client.delete_session(session_id)
            except Gone:
                continue
            except WritesOff:
                return [
                    "Not erased at Vapi: sending to Vapi is off. Turn it on and ask for the erasure again."
                ]
            _mine(erasure).update(erased_at_vapi=F("erased_at_vapi") + 1)
    return []


def _listed_at_vapi(client: VapiClient, erasure: Erasure) -> set[str]:
    """Ask Vapi's own filter, and note ids that are not here: no later sync brings them."""
    query = replace(Listing(), **{erasure.by: erasure.value})  # type: ignore[arg-type]  # one of three texts
    found: dict[str, date] = {}
    for step in Walk(client.list_sessions, query, client.get_session).steps():
        found |= {
            str(row["id"]): day for row in step.results if (day := _day_of(row)) and _is_theirs(erasure, row)
        }
    held = set(LegalHold.objects.filter(session_id__in=found).values_list("session_id", flat=True))
    free = {key: day for key, day in found.items() if key not in held}
    here = set(Session.objects.filter(pk__in=free).values_list("pk", flat=True))
    lacking = {key: day for key, day in free.items() if key not in here}
    remember(erasure.organization, Stream.SESSIONS, lacking, ForgottenReason.ERASED)
    return set(free)


def _is_theirs(erasure: Erasure, row: JsonObject) -> bool:
    """A filter that Vapi left out of account must not delete everybody."""
    customer = row.get("customer")
    names = {NUMBER: "number", EMAIL: "email", EXTERNAL_ID: "externalId"}
    value = str(customer.get(names[erasure.by]) or "") if isinstance(customer, Mapping) else ""
    if erasure.by == NUMBER:
        return bool(value) and digits_of(value) == digits_of(erasure.value)
    return value.casefold() == erasure.value.casefold()


def _day_of(row: Mapping[str, Any]) -> date | None:
    moment = parse_time(row.get("createdAt"))
    return moment.astimezone(UTC).date() if moment and isinstance(row.get("id"), str) else None


# Here ----------------------------------------------------------------------------------------------


def _erase_here(erasure: Erasure) -> None:
    organization = erasure.organization
    free = not_held(_sessions(erasure), SESSIONS).order_by("pk")
    while ids := list(free.values_list("pk", flat=True)[:_AT_ONCE]):
        # A session goes last: by it a killed worker's follower finds the rest.
        for part in _portions(not_held(Chat.objects.filter(session_id__in=ids), CHATS)):
            _erase_traces(organization, part)
            forget_rows(organization, CHATS, part, ForgottenReason.ERASED)
        _erase_traces(organization, ids)
        done = forget_rows(organization, SESSIONS, ids, ForgottenReason.ERASED)
        _mine(erasure).update(erased_here=F("erased_here") + done, next_attempt_at=Now() + _CLAIM)
    _erase_mentions(erasure)
    # Plain digests of what was looked for: a number could be guessed from its digest.
    Lookup.objects.filter(organization=organization).delete()


def _portions(chats: QuerySet[Chat]) -> Iterator[list[str]]:
    while ids := list(chats.order_by("pk").values_list("pk", flat=True)[:_AT_ONCE]):
        yield ids


def _erase_traces(organization: Organization, ids: list[str]) -> None:
    """What is kept about these ids beside their rows."""
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


def _erase_mentions(erasure: Erasure) -> None:
    """Messages and kept-apart records that name the customer although no session here does."""
    organization, field = erasure.organization, _json_field(erasure)
    held = list(LegalHold.objects.filter(organization=organization).values_list("session_id", flat=True))
    events = _events(organization).filter(body_json__icontains=field).exclude(remote_id__in=held)
    while ids := list(events.values_list("pk", flat=True)[:_AT_ONCE]):
        WebhookEvent.objects.filter(pk__in=ids).update(body_json="")
    records = QuarantinedRecord.objects.filter(organization=organization, payload_json__icontains=field)
    for record in records.exclude(remote_id__in=held):
        day = _day_of(_payload_of(record))
        if record.remote_id and day:
            remember(organization, record.stream, {record.remote_id: day}, ForgottenReason.ERASED)
        record.delete()


def _json_field(erasure: Erasure) -> str:
    """The customer's field as a stored body has it: `"number":"+49..."`."""
    name = {NUMBER: "number", EMAIL: "email", EXTERNAL_ID: "externalId"}[erasure.by]
    return dump_payload({name: erasure.value})[1:-1]


def _payload_of(record: QuarantinedRecord) -> JsonObject:
    try:
        return load_payload(record.payload_json)
    except BadJson:
        return {}


def _events(organization: Organization) -> QuerySet[WebhookEvent]:
    return WebhookEvent.objects.filter(organization=organization).exclude(body_json="")
