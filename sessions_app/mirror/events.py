"""Owns what becomes of a stored server message: written, ignored, or settled by asking Vapi; once, whatever the order.

A message is a hint and never wins a tie. An event is taken by a guarded UPDATE that counts attempts; the count is the
claim's number, so that a worker that was killed loses nothing and one that slept too long changes nothing.
Knows no request and no secret.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db import connection
from django.db.models import F, QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from sessions_app.logs import describe_error
from sessions_app.mirror.connection import NoKey, open_client
from sessions_app.mirror.forgetting import erase_with_sessions, forgotten_among
from sessions_app.mirror.quarantine import quarantine
from sessions_app.mirror.streams import STREAMS, StreamSpec, mirror_results
from sessions_app.mirror.tables import Record, session_of
from sessions_app.mirror.versions import Version, stored_versions
from sessions_app.mirror.writer import mirror_hint
from sessions_app.models import WebhookEvent
from sessions_app.models.history import ChangeSource
from sessions_app.models.mirrored import MissingReason
from sessions_app.models.requests import Purpose
from sessions_app.models.runs import Stream
from sessions_app.models.webhooks import EventState
from sessions_app.vapi.errors import Gone, Refused, Unavailable, VapiError
from sessions_app.vapi.json import BadJson, load_payload
from sessions_app.vapi.payloads import BadRecord

log = logging.getLogger(__name__)

# Longer than one GET with its repetitions; what a killed worker held is taken up again after it.
CLAIM = timedelta(seconds=150)
MOST_ATTEMPTS = 10
_FIRST_WAIT_SECONDS = 10.0
_LONGEST_WAIT_SECONDS = 3600.0
_AT_ONCE = 100

_STREAM_OF = {"session": Stream.SESSIONS, "chat": Stream.CHATS}
CREATED, UPDATED, DELETED = "created", "updated", "deleted"
_REPLACED_CHARACTER = "\N{REPLACEMENT CHARACTER}"


@dataclass(frozen=True)
class Outcome:
    state: EventState
    # In words for people; never a value of the message.
    verdict: str
    # Of what was let go here not even the message's body stays.
    keeps_body: bool = True


@dataclass(frozen=True)
class _Subject:
    """What an event is about."""

    event: WebhookEvent
    spec: StreamSpec
    stream: Stream
    name: str


def due_events(limit: int = _AT_ONCE) -> list[int]:
    """Return ids of events to be processed now, oldest first. Those of organizations that stand still wait."""
    due = _due().filter(organization__is_active=True, organization__paused_at=None)
    return list(due.order_by("next_attempt_at", "pk").values_list("pk", flat=True)[:limit])


def process_due(seconds: float = 20) -> int:
    """Process what is due until nothing is left or the time is up. Returns how many events came to an end."""
    deadline, ended = time.monotonic() + seconds, 0
    while time.monotonic() < deadline:
        ids = due_events()
        if not ids:
            break
        for event_id in ids:
            ended += process_event(event_id) is not None
    return ended


def process_event(event_id: int) -> EventState | None:
    """Process one event that is due. None where it is not, or could not be brought to an end now."""
    event = _claim(event_id)
    if event is None:
        return None
    try:
        outcome = _look(event)
    except (VapiError, NoKey) as problem:
        return _postpone(event, problem)
    except Exception as error:  # Others wait: one that cannot be processed must not stop them.
        log.warning("event not processed", extra={"kind": event.kind}, exc_info=True)
        return _postpone(event, error)
    return _end(event, outcome)


def replay_event(event_id: int) -> bool:
    """Make an event that came to an end due again. False where it is still on its way."""
    ended = WebhookEvent.objects.filter(pk=event_id).exclude(state=EventState.RECEIVED)
    changes = {"verdict": "", "attempts": 0, "processed_at": None, "next_attempt_at": Now()}
    return bool(ended.update(state=EventState.RECEIVED, **changes))


# Taking and ending ---------------------------------------------------------------------------------


def _due() -> QuerySet[WebhookEvent]:
    return WebhookEvent.objects.filter(state=EventState.RECEIVED, next_attempt_at__lte=Now())


def _claim(event_id: int) -> WebhookEvent | None:
    if not _due().filter(pk=event_id).update(attempts=F("attempts") + 1, next_attempt_at=Now() + CLAIM):
        return None
    return WebhookEvent.objects.select_related("organization").get(pk=event_id)


def _held(event: WebhookEvent) -> QuerySet[WebhookEvent]:
    return WebhookEvent.objects.filter(pk=event.pk, state=EventState.RECEIVED, attempts=event.attempts)


def _end(event: WebhookEvent, outcome: Outcome) -> EventState | None:
    changes = {"verdict": outcome.verdict, "processed_at": Now(), "next_attempt_at": None}
    changes |= {} if outcome.keeps_body else {"body_json": ""}
    return outcome.state if _held(event).update(state=outcome.state, **changes) else None


def _postpone(event: WebhookEvent, problem: Exception) -> EventState | None:
    words = str(problem) if isinstance(problem, VapiError | NoKey) else describe_error(problem)
    if isinstance(problem, Refused) and problem.status is None:
        return _end(event, Outcome(EventState.FAILED, "Vapi cannot be asked for such an id."))
    if event.attempts >= MOST_ATTEMPTS:
        return _end(event, Outcome(EventState.FAILED, f"Gave up after {event.attempts} attempts: {words}"))
    wait = min(_FIRST_WAIT_SECONDS * 2 ** (event.attempts - 1), _LONGEST_WAIT_SECONDS)
    if isinstance(problem, Unavailable) and problem.retry_after is not None:
        wait = max(wait, min(problem.retry_after, _LONGEST_WAIT_SECONDS))
    _held(event).update(verdict=f"Waits: {words}", next_attempt_at=Now() + timedelta(seconds=wait))
    return None


# Deciding ------------------------------------------------------------------------------------------


def _look(event: WebhookEvent) -> Outcome:
    name, _, what = event.kind.partition(".")
    stream = _STREAM_OF.get(name)
    if stream is None or what not in (CREATED, UPDATED, DELETED):
        return Outcome(EventState.IGNORED, "No message about a session or chat.")
    if not event.remote_id:
        return Outcome(EventState.IGNORED, f"Names no {name}.")
    subject = _Subject(event, STREAMS[stream], stream, name)
    if _was_let_go(subject):
        return Outcome(EventState.IGNORED, f"This {name} was let go here: nothing is kept.", keeps_body=False)
    if what == DELETED:
        return _confirm_deletion(subject)
    record = _read_record(subject)
    if record is None:
        return _ask(subject, "The message does not tell all.")
    return _offer(subject, record)


def _was_let_go(subject: _Subject) -> bool:
    """Say whether it was pruned or erased here. A new chat of an erased session is erased with it."""
    event = subject.event
    if forgotten_among(event.organization, subject.stream, [event.remote_id]):
        return True
    chat = _read_record(subject) if subject.stream == Stream.CHATS else None
    if chat is None:
        return False
    return bool(erase_with_sessions(event.organization, {chat.id: (session_of(chat), chat.created_at)}))


def _read_record(subject: _Subject) -> Record | None:
    """The session or chat in the message; None where it does not suffice to store one."""
    text = subject.event.body_json
    # Which characters were replaced when it was stored is not known: ask.
    if not text or _REPLACED_CHARACTER in text:
        return None
    try:
        message = load_payload(text).get("message")
        carried = message.get(subject.name) if isinstance(message, dict) else None
        record: Record = subject.spec.parse(carried)
    except (BadJson, BadRecord):
        return None
    return record


def _offer(subject: _Subject, record: Record) -> Outcome:
    organization = subject.event.organization
    result = mirror_hint(subject.spec.table, organization, record)
    if result.quarantined:
        return Outcome(EventState.FAILED, "Could not be stored: see Quarantine.")
    if record.id in result.written_ids:
        # Only now: a deletion that was processed before the row was there had nothing to mark.
        if _was_deleted(subject):
            return _ask(subject, "A deletion came before it.")
        return Outcome(EventState.PROCESSED, "Stored.")
    return _compare(subject, record, _stored_version(subject))


def _stored_version(subject: _Subject) -> Version | None:
    with connection.cursor() as cursor:
        return stored_versions(cursor, subject.spec.table, [subject.event.remote_id]).get(
            subject.event.remote_id
        )


def _compare(subject: _Subject, record: Record, stored: Version | None) -> Outcome:
    """Why it was not written, looked at after the attempt: whoever lost a race sees the winner now."""
    if stored is None:
        return _ask(subject, "It was not taken.")
    if stored.is_missing:
        return _ask(subject, "It is missing here.")
    if record.updated_at < stored.updated_at:
        return Outcome(EventState.IGNORED, "Older than what is here.")
    if record.updated_at == stored.updated_at and record.fingerprint == stored.fingerprint:
        return Outcome(EventState.IGNORED, "The same as what is here.")
    return _ask(subject, "Of the same time as what is here, and different.")


# Asking --------------------------------------------------------------------------------------------


def _ask(subject: _Subject, why: str) -> Outcome:
    """Let Vapi decide. Raises VapiError or NoKey where it could not be asked."""
    event = subject.event
    with open_client(event.organization, Purpose.WEBHOOK) as client:
        try:
            fetched = client.get_stream(subject.spec.path, event.remote_id)
        except Gone:
            return _mark_missing(subject, why, is_deletion=_was_deleted(subject))
    try:
        record: Record = subject.spec.parse(fetched.payload, text_replaced=fetched.text_replaced)
    except BadRecord as problem:
        quarantine(event.organization, subject.stream, remote_id=event.remote_id, reason=str(problem))
        return Outcome(EventState.FAILED, f"{why} Vapi's answer could not be read: {problem}.")
    if record.id != event.remote_id:
        return Outcome(EventState.FAILED, f"{why} Vapi answered with another id.")
    result = mirror_results(
        subject.spec,
        event.organization,
        [record],
        asked_at=fetched.asked_at,
        deep=True,
        source=ChangeSource.WEBHOOK,
    )
    if result.quarantined:
        return Outcome(EventState.FAILED, f"{why} Vapi's answer could not be stored: see Quarantine.")
    found = "its answer is stored" if result.written_ids else "nothing new"
    return Outcome(EventState.PROCESSED, f"{why} Vapi was asked: {found}.")


def _confirm_deletion(subject: _Subject) -> Outcome:
    """Only a 404 says that it is gone; the message alone does not."""
    event = subject.event
    with open_client(event.organization, Purpose.WEBHOOK) as client:
        try:
            client.get_stream(subject.spec.path, event.remote_id)
        except Gone:
            return _mark_missing(subject, "Deleted.", is_deletion=True)
    return Outcome(EventState.IGNORED, f"Vapi still has this {subject.name}: not marked.")


def _mark_missing(subject: _Subject, why: str, *, is_deletion: bool) -> Outcome:
    rows: QuerySet[Any] = subject.spec.table.model.objects.filter(
        organization=subject.event.organization, id=subject.event.remote_id
    )
    reason = MissingReason.DELETED if is_deletion else MissingReason.GONE
    now = timezone.now()
    # A page that was asked for before, and still shows it, does not lift the mark.
    marked = rows.filter(missing_since=None).update(missing_since=now, missing_reason=reason, asked_at=now)
    if is_deletion:
        # Found missing before the message came: the cause is known now.
        rows.filter(missing_reason=MissingReason.GONE).update(missing_reason=reason)
    words = "Marked as missing" if marked else "Marked before" if rows.exists() else "It is not mirrored here"
    return Outcome(EventState.PROCESSED, f"{why} Vapi no longer has it: {words[0].lower()}{words[1:]}.")


def _was_deleted(subject: _Subject) -> bool:
    """Say whether a message of its deletion is in the inbox, processed or not."""
    return WebhookEvent.objects.filter(
        organization=subject.event.organization,
        remote_id=subject.event.remote_id,
        kind=f"{subject.name}.{DELETED}",
    ).exists()
