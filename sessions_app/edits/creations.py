"""Owns creating a session at Vapi, and finding again one whose answer was lost: POST knows no idempotency key."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from django.utils import timezone

from sessions_app.edits import states
from sessions_app.edits.outcomes import NotSettledYet, apply
from sessions_app.edits.queue import Making, demand_reason, submit
from sessions_app.edits.validation import check_create
from sessions_app.mirror.walk import Walk
from sessions_app.models import Edit, Organization
from sessions_app.models.edits import EditKind, EditState
from sessions_app.vapi import BadRecord, JsonObject, Listing, Unavailable, VapiClient, VapiError

# After so long without a trace a lost create is taken for one that never arrived.
SEND_AGAIN_AFTER = timedelta(seconds=60)
# Vapi's Date header has whole seconds.
_SLACK = timedelta(seconds=2)
_NEWEST = 100
_WAITS = "The answer was lost. Vapi is asked again whether the session was made."


def queue_create(organization: Organization, fields: Mapping[str, object], making: Making) -> Edit:
    """Queue a new session, by Vapi's field names. Raises ValidationError by field. The caller enqueues the push."""
    wanted = check_create(fields)
    demand_reason(organization, making.reason)
    return submit(making.edit(organization.pk, "", kind=EditKind.CREATE, fields=wanted), making)


def push_create(client: VapiClient, edit: Edit) -> None:
    """One attempt. Raises VapiError or BadRecord."""
    if edit.sent_at is None:
        newest = client.list_sessions(Listing(limit=_NEWEST, sort_order="DESC"))
        since = (newest.date or newest.asked_at) - _SLACK
        known = [row["id"] for row in newest.results if is_alike(edit.fields, row)]
        _send(client, edit, {"since": since.isoformat(), "known": known})
    elif not _settle_lost(client, edit):
        if timezone.now() - edit.sent_at < SEND_AGAIN_AFTER:
            raise NotSettledYet(_WAITS, SEND_AGAIN_AFTER.total_seconds())
        _send(client, edit, edit.sent)


def is_alike(fields: Mapping[str, Any], row: Mapping[str, Any]) -> bool:
    """Say whether a session could be what was asked for: the same assistant, customer and name."""
    same = all(
        (row.get(name) or "") == (fields.get(name) or "")
        for name in ("name", "assistantId", "squadId", "customerId", "phoneNumberId")
    )
    asked, given = fields.get("customer") or {}, row.get("customer") or {}
    return same and isinstance(given, dict) and all(given.get(name) == asked[name] for name in asked)


def _send(client: VapiClient, edit: Edit, sent: dict[str, Any]) -> None:
    sent_before = edit.sent_at
    states.note_sending(edit, sent=sent)
    try:
        answer = client.create_session(edit.fields)
        session_id = _id_of(answer.payload)
    except (Unavailable, BadRecord) as trouble:
        if getattr(trouble, "kind", "") == "rate_limited":
            edit.sent_at = sent_before
            raise
        if not _settle_lost(client, edit):
            raise NotSettledYet(_WAITS, SEND_AGAIN_AFTER.total_seconds()) from None
        return
    except VapiError:
        edit.sent_at = sent_before
        raise
    apply(edit, answer, session_id=session_id)


def _settle_lost(client: VapiClient, edit: Edit) -> bool:
    """Look for what a lost create may have made. True where the edit has ended by it."""
    found = [row["id"] for row in _made_since(client, edit)]
    if len(found) == 1:
        apply(edit, client.get_session(found[0]), session_id=found[0])
    elif found:
        words = f"The answer was lost, and the session may exist. Check these: {', '.join(found)}."
        states.settle(edit, EditState.FAILED, error=words, sent_at=edit.sent_at)
    return bool(found)


def _made_since(client: VapiClient, edit: Edit) -> Iterator[JsonObject]:
    since = datetime.fromisoformat(edit.sent["since"]).astimezone(UTC)
    others = Edit.objects.filter(kind=EditKind.CREATE, organization_id=edit.organization_id)
    ours = set(others.exclude(pk=edit.pk).exclude(session_id="").values_list("session_id", flat=True))
    walk = Walk(
        partial(client.list_stream, "session"),
        Listing(created_at_ge=since),
        partial(client.get_stream, "session"),
    )
    for step in walk.steps():
        for row in step.results:
            if row.get("id") not in ours | set(edit.sent["known"]) and is_alike(edit.fields, row):
                yield row


def _id_of(payload: JsonObject) -> str:
    found = payload.get("id")
    if not isinstance(found, str) or not found:
        raise BadRecord("id", "missing")
    return found
