"""Owns which edits may be sent now, and by whom: order within a session, conflicts that hold back, write mode."""

from __future__ import annotations

from itertools import islice

from django.db import connection
from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import Now

from sessions_app.edits import states
from sessions_app.models import Edit, Organization
from sessions_app.models.edits import UNDER_WAY_STATES, EditState
from sessions_app.models.organizations import WriteMode

_IS_DUE = (Q(state=EditState.QUEUED) & (Q(next_attempt_at=None) | Q(next_attempt_at__lte=Now()))) | Q(
    state=EditState.SENDING, claimed_until__lt=Now()
)


def lock_edits_of(session_id: str) -> None:
    """Until the transaction ends nobody else queues or settles edits of the session, so ids tell their order.

    On SQLite a write transaction is alone anyway. The session's row is not locked: a sync may hold it for long.
    """
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"edits {session_id}"])


def due_edits(session_id: str = "", limit: int = 200) -> list[int]:
    """Return ids of edits to be pushed now, oldest first; of each session only the one whose turn it is."""
    due = Edit.objects.filter(_IS_DUE).filter(~_must_wait()).order_by("pk")
    if session_id:
        due = due.filter(session_id=session_id)
    conflicts = _open_conflicts(session_id)
    free = (edit.pk for edit in due.iterator(chunk_size=limit) if not _is_held(edit, conflicts))
    return list(islice(free, limit))


def take(edit: Edit) -> bool:
    """Claim a due edit. False where it is not due, may not be sent, has to wait, or somebody else was faster."""
    if not states.claim(edit, unless=~_IS_DUE | _must_wait()):
        return False
    # Only now has every earlier edit come to rest, so that each conflict of theirs can be seen.
    if _is_held(edit, _open_conflicts(edit.session_id)):
        states.put_back(edit, edit.error)
        return False
    return True


def is_held(edit: Edit) -> bool:
    """Say whether an earlier edit of the same field is in conflict."""
    return _is_held(edit, _open_conflicts(edit.session_id))


def _must_wait() -> Q:
    earlier = Edit.objects.filter(
        session_id=OuterRef("session_id"), pk__lt=OuterRef("pk"), state__in=UNDER_WAY_STATES
    )
    allowing = Organization.objects.filter(
        pk=OuterRef("organization"), write_mode=WriteMode.ON, is_active=True
    )
    return Q(Exists(earlier)) | ~Q(Exists(allowing))


def _open_conflicts(session_id: str = "") -> dict[str, list[Edit]]:
    """Open conflicts by session: a handful, as people settle them."""
    found = Edit.objects.filter(state=EditState.CONFLICT)
    if session_id:
        found = found.filter(session_id=session_id)
    by_session: dict[str, list[Edit]] = {}
    for edit in found.only("session_id", "fields"):
        by_session.setdefault(edit.session_id, []).append(edit)
    return by_session


def _is_held(edit: Edit, conflicts: dict[str, list[Edit]]) -> bool:
    earlier = (other for other in conflicts.get(edit.session_id, ()) if other.pk < edit.pk)
    return any(edit.fields.keys() & other.fields.keys() for other in earlier)
