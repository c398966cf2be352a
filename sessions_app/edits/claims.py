"""Owns which edits may be sent now, and by whom: order within a session, conflicts that hold back, write mode."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache, reduce
from operator import or_

from django.db import connection
from django.db.models import BooleanField, Exists, F, OuterRef, Q
from django.db.models.expressions import RawSQL
from django.db.models.functions import Now

from sessions_app.edits import states
from sessions_app.edits.values import EDITABLE
from sessions_app.models import BulkEdit, Edit, Organization
from sessions_app.models.bulks import BulkState
from sessions_app.models.edits import OPEN_STATES, UNDER_WAY_STATES, EditKind, EditQuerySet, EditState
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


def lock_edits_of_many(session_ids: Iterable[str]) -> None:
    """The same for many, in one statement. In the order of ids, so that two who do this never wait for each other."""
    if connection.vendor == "postgresql":
        names = sorted(f"edits {session_id}" for session_id in {*session_ids})
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_advisory_xact_lock(hashtextextended(name, 0)) FROM unnest(%s::text[]) AS name",
                [names],
            )


def due_edits(session_id: str = "", limit: int = 200, only: Q = Q()) -> list[int]:  # noqa: B008 - never changed
    """Return ids of edits to be pushed now, people's before bulks', oldest first; of each session those in turn."""
    due = Edit.objects.filter(_IS_DUE).filter(only).filter(~_must_wait())
    if session_id:
        due = due.filter(session_id=session_id)
    return list(due.order_by(F("bulk").asc(nulls_first=True), "pk").values_list("pk", flat=True)[:limit])


def take(edit: Edit) -> bool:
    """Claim a due edit. False where it is not due, may not be sent, has to wait, or somebody else was faster."""
    return states.claim(edit, unless=~_IS_DUE | _must_wait())


def is_held(edit: Edit) -> bool:
    """Say whether an earlier edit of the same field is in conflict."""
    return Edit.objects.filter(pk=edit.pk).filter(_shares_a_field_with_earlier(EditState.CONFLICT)).exists()


def is_behind(edit: Edit) -> bool:
    """Say whether an earlier edit of the session has to leave first."""
    behind = Q(Exists(_moving_before())) | _shares_a_field_with_earlier(*UNDER_WAY_STATES)
    return Edit.objects.filter(pk=edit.pk).filter(behind).exists()


def _must_wait() -> Q:
    """The condition as it was once written: Django takes 12 ms of a worker's time for it, several times an edit."""
    return Q(RawSQL(*_written(connection.vendor), output_field=BooleanField()))  # noqa: S611 - Django's own words


@cache
def _written(_vendor: str) -> tuple[str, tuple[object, ...]]:
    query = Edit.objects.filter(_waits()).query
    words, values = query.where.as_sql(query.get_compiler(connection=connection), connection)
    return f"({words})", tuple(values)


def _waits() -> Q:
    """In order within a session, but what waits for a person holds back only edits of its own fields."""
    allowing = Organization.objects.filter(
        pk=OuterRef("organization"), write_mode=WriteMode.ON, is_active=True, paused_at=None
    )
    shares = _shares_a_field_with_earlier(*OPEN_STATES)
    return Q(Exists(_moving_before())) | shares | ~Q(Exists(allowing)) | _of_stopped_bulk()


def _moving_before() -> EditQuerySet:
    """Earlier edits that wait for nobody's decision: neither on a conflict nor on their bulk."""
    waits = _shares_a_field_with_earlier(EditState.CONFLICT) | _of_stopped_bulk()
    return _earlier(*UNDER_WAY_STATES).filter(~waits)


def _of_stopped_bulk() -> Q:
    """Has not left, and its bulk is paused or about to withdraw it; what is queued after that stands for itself."""
    bulk = BulkEdit.objects.filter(pk=OuterRef("bulk"))
    stopped = bulk.filter(Q(state=BulkState.PAUSED) | Q(state=BulkState.CANCELLED, finished_at=None))
    return Q(state=EditState.QUEUED, sent_at=None) & Q(Exists(stopped))


def _shares_a_field_with_earlier(*in_states: EditState) -> Q:
    """A deletion has every field in common with whatever came before it."""
    shares = [
        Q(fields__has_key=field) & Q(Exists(_earlier(*in_states).filter(fields__has_key=field)))
        for field in (*EDITABLE, "messages")
    ]
    shares.append(Q(kind=EditKind.DELETE) & Q(Exists(_earlier(*in_states))))
    return reduce(or_, shares)


def _earlier(*in_states: EditState) -> EditQuerySet:
    """What is to be created has no session yet, so nothing comes before it."""
    earlier = Edit.objects.filter(
        session_id=OuterRef("session_id"), pk__lt=OuterRef("pk"), state__in=in_states
    )
    return earlier.exclude(session_id="")
