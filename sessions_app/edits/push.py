"""Owns an edit's way to Vapi: look, compare, PATCH, mirror the answer. One attempt a call, on the caller's thread.

Whatever dies at whatever moment, the next attempt begins with a look, so a change is never sent twice to a different
effect. Nothing can be done about a change made at Vapi between our GET and our PATCH: Vapi knows no If-Match.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import islice

from django.db import connection

from sessions_app.edits import states
from sessions_app.edits.claims import due_edits, take
from sessions_app.edits.creations import push_create
from sessions_app.edits.deletions import push_delete
from sessions_app.edits.message_push import push_messages
from sessions_app.edits.outcomes import NotSettledYet, apply, collide, not_kept, send_once
from sessions_app.edits.values import differing, remote_values
from sessions_app.mirror.connection import NoKey, Paused, open_client
from sessions_app.mirror.pauses import pause_if_refused
from sessions_app.mirror.refetch import stamp_missing
from sessions_app.models import Edit
from sessions_app.models.edits import EditKind, EditState
from sessions_app.models.mirrored import MissingReason
from sessions_app.models.requests import Purpose
from sessions_app.vapi import (
    BadRecord,
    Fetched,
    Gone,
    Refused,
    Unavailable,
    VapiClient,
    WritesOff,
)

log = logging.getLogger(__name__)

FIRST_WAIT = timedelta(seconds=5)
LONGEST_WAIT = timedelta(minutes=5)
# With these waits, about three hours without an answer.
MOST_ATTEMPTS = 40
# A Retry-After beyond this is taken for a mistake.
LONGEST_RETRY_AFTER_SECONDS = 86_400.0
_BATCH = 200
_GONE = "This session is gone from Vapi (404)."
_UNREADABLE = "Vapi's answer could not be read"
_TROUBLE = {
    "rate_limited": "Vapi asked us to wait",
    "server": "Vapi had an error",
    "timeout": "Vapi did not answer in time",
    "connection": "Vapi could not be reached",
    "bad_body": _UNREADABLE,
}


def push_edit(edit_id: int) -> EditState:
    """Push an edit if it is due and nobody else has it. Returns the state it is in afterwards."""
    if connection.in_atomic_block:
        raise RuntimeError("an edit is pushed outside of any transaction: it asks the network")
    edit = Edit.objects.select_related("organization", "author", "token").get(pk=edit_id)
    try:
        if take(edit):
            _attempt(edit)
    except states.ClaimLost:
        log.warning("claim lost", extra={"edit": edit_id})
    edit.refresh_from_db(fields=["state"])
    return EditState(edit.state)


def push_due(limit: int = 200) -> int:
    """Push what is due, oldest first, at most `limit` edits. Returns how many were tried."""
    return sum(1 for _ in islice(iter_pushes(), limit))


def iter_pushes() -> Iterator[tuple[int, EditState]]:
    """Push what is due until nothing is, each edit once; yield its id and its state afterwards."""
    tried: set[int] = set()
    while due := [edit_id for edit_id in due_edits(limit=len(tried) + _BATCH) if edit_id not in tried]:
        for edit_id in due:
            tried.add(edit_id)
            yield edit_id, push_edit(edit_id)


def patch_of(edit: Edit) -> tuple[str, str, dict[str, object]]:
    """Return the exact request that the edit stands for, for a person to see: method, path, body.

    A correction of messages sends the whole array as it is then; what is shown is what it does to it.
    """
    if edit.kind == EditKind.CREATE:
        return "POST", "/session", dict(edit.fields)
    path = f"/session/{edit.session_id}"
    if edit.kind == EditKind.DELETE:
        return "DELETE", path, {}
    if edit.kind == EditKind.MESSAGES:
        shown = ("do", "position", "text")
        return "PATCH", path, {"messages": [{k: op[k] for k in shown if k in op} for op in edit.operations]}
    return "PATCH", path, dict(edit.fields)


def _attempt(edit: Edit) -> None:
    try:
        with open_client(edit.organization, Purpose.PUSH) as client:
            _PUSHES[edit.kind](client, edit)
    except Gone:
        stamp_missing(edit.organization, edit.session_id, MissingReason.GONE)
        states.settle(edit, EditState.REJECTED, 404, error=_GONE, sent_at=edit.sent_at)
    except Refused as refusal:
        if pause_if_refused(edit.organization, refusal, by_write=True):
            states.put_back(edit, str(Paused(edit.organization)), FIRST_WAIT, refusal)
            return
        words = "\n".join(refusal.words) or str(refusal)
        states.settle(edit, EditState.REJECTED, refusal, error=words, sent_at=edit.sent_at)
    except WritesOff as off:
        states.put_back(edit, "", answer=off)
    except Unavailable as trouble:
        _postpone(edit, _describe(trouble), trouble, trouble.retry_after)
    except BadRecord as problem:
        _postpone(edit, f"{_UNREADABLE}.", problem)
    except NotSettledYet as unsettled:
        _postpone(edit, str(unsettled), unsettled, unsettled.wait)
    except NoKey as problem:
        _postpone(edit, str(problem), problem)


def _compare_and_patch(client: VapiClient, edit: Edit) -> None:
    found = client.get_session(edit.session_id)
    remote = remote_values(found.payload)
    to_send = differing(edit.fields, remote, edit.fields)
    moved = differing(edit.base, remote, to_send)
    if moved:
        collide(edit, found, {field: remote[field] for field in moved})
    elif to_send:
        _patch(client, edit, to_send)
    else:
        apply(edit, found)


def _patch(client: VapiClient, edit: Edit, fields: list[str]) -> None:
    def send() -> tuple[Fetched, bool]:
        answer = client.patch_session(edit.session_id, {field: edit.fields[field] for field in fields})
        return answer, _stands(edit, answer)

    def look() -> tuple[Fetched, bool] | None:
        found = client.get_session(edit.session_id)
        return (found, True) if _stands(edit, found) else None

    answer, stands = send_once(edit, send, look)
    if stands:
        apply(edit, answer)
    else:
        not_kept(edit, answer)


def _stands(edit: Edit, fetched: Fetched) -> bool:
    """Say whether Vapi holds every value of the edit. Raises BadRecord."""
    return not differing(edit.fields, remote_values(fetched.payload), edit.fields)


_PUSHES: dict[str, Callable[[VapiClient, Edit], None]] = {
    EditKind.UPDATE: _compare_and_patch,
    EditKind.MESSAGES: push_messages,
    EditKind.CREATE: push_create,
    EditKind.DELETE: push_delete,
}


def _postpone(edit: Edit, why: str, problem: Exception, retry_after: float | None = None) -> None:
    if edit.attempts >= MOST_ATTEMPTS:
        why = f"{why} Given up after {edit.attempts} attempts."
        states.settle(edit, EditState.FAILED, problem, error=why, sent_at=edit.sent_at)
        return
    wait = min(FIRST_WAIT * 2 ** min(edit.attempts - 1, 10), LONGEST_WAIT)
    if retry_after is not None:
        wait = max(wait, timedelta(seconds=min(retry_after, LONGEST_RETRY_AFTER_SECONDS)))
    states.put_back(edit, why, wait, problem)


def _describe(trouble: Unavailable) -> str:
    status = f" ({trouble.status})" if trouble.status else ""
    return f"{_TROUBLE[trouble.kind]}{status}."
