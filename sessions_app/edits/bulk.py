"""Owns bulk edits: one change for many sessions, queued in portions and pushed in lanes, each as an ordinary edit.

The BulkEdit row is the queue. What was chosen is kept as ids, so that what was previewed is what is done, whatever the
filter finds by then. A worker that dies leaves a portion whole or not at all, and the next one goes on from there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid5

from django.contrib.auth.models import AbstractBaseUser
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Count, Exists, F, OuterRef, Q
from django.db.models.functions import Now
from django.db.models.lookups import Exact

from sessions_app.edits import settle
from sessions_app.edits.claims import due_edits
from sessions_app.edits.queue import queue_edit
from sessions_app.edits.states import EditMoved
from sessions_app.edits.validation import MOST_SECONDS, NothingChanged, check_changes
from sessions_app.edits.values import DEFAULTS, EDITABLE, Values, mirrored_values
from sessions_app.models import BulkEdit, Edit, Organization, Session
from sessions_app.models.bulks import BulkState
from sessions_app.models.edits import UNDER_WAY_STATES, EditKind, EditQuerySet, EditState

MOST_SESSIONS = 20_000
PORTION = 200
# Few and short, so that a person's edit comes between them.
LANES, LANE_BATCH = 3, 5
# While somebody is at a bulk, nobody else is called to it.
LEASE = timedelta(seconds=30)
MOST_RETRIES = 500
# The seconds that a lifetime grows by, beside Vapi's field names.
EXTEND = "extendSeconds"
ALREADY_SO = "It is so already."
_KEYS = UUID("3d6a6c1e-5d0f-4d43-8a2f-6b1c9f0e7a55")
_UNDER_WAY = (BulkState.RUNNING, BulkState.CANCELLED)
# What a running bulk's lanes leave to the sweep.
NOT_IN_LANES = Q(bulk=None) | ~Q(bulk__state=BulkState.RUNNING)
_FAILED = (EditState.FAILED, EditState.REJECTED)


class BulkMoved(ValidationError):
    """The bulk is no longer in a state that allows this."""

    def __init__(self) -> None:
        super().__init__("This bulk edit has moved on meanwhile. Look at it as it is now.", code="moved")


@dataclass(frozen=True)
class Plan:
    """What a bulk does to one session: what is sent, on which base; or why nothing is."""

    session_id: str
    session: Session | None
    base: Values
    fields: Values
    why: str = ""


@dataclass(frozen=True)
class DryRun:
    changing: int
    already: int
    refused: Mapping[str, int]
    # One that changes, to show the exact request.
    example: Plan | None


# Choosing ------------------------------------------------------------------------------------------


def preview(
    organization: Organization, session_ids: Sequence[str], fields: Values, author: AbstractBaseUser
) -> BulkEdit:
    """Keep a choice and its change, to be looked at. Raises ValidationError, by field where it is a field's."""
    _check(fields)
    if not session_ids:
        raise ValidationError("No session was chosen.")
    if len(session_ids) > MOST_SESSIONS:
        raise ValidationError(f"At most {MOST_SESSIONS:,} sessions at once: filter further.")
    return BulkEdit.objects.create(
        organization=organization,
        fields=dict(fields),
        selection={"ids": sorted(session_ids)},
        total=len(session_ids),
        author=author,  # type: ignore[misc]  # the user model is Django's own, typed by its base
    )


def _check(fields: Values) -> None:
    if fields.keys() == {EXTEND}:
        seconds = fields[EXTEND]
        if isinstance(seconds, int) and 0 < seconds <= MOST_SECONDS:
            return
        raise ValidationError({EXTEND: f"Extend by 1 to {MOST_SECONDS} seconds."})
    # No value can be its own base here: whatever is given is checked.
    check_changes(dict.fromkeys(fields, _Other), fields)


class _Other:
    """Differs from every value."""


def dry_run(bulk: BulkEdit) -> DryRun:
    """Say what the bulk would do if it began now; a few queries for every portion."""
    whys: Counter[str] = Counter()
    example, changing = None, 0
    for portion in _portions(bulk.selection["ids"]):
        for plan in plan_sessions(bulk, portion):
            if plan.why:
                whys[plan.why] += 1
                continue
            changing += 1
            example = example or plan
    already = whys.pop(ALREADY_SO, 0)
    return DryRun(changing, already, dict(whys.most_common()), example)


def plan_sessions(bulk: BulkEdit, session_ids: Sequence[str]) -> list[Plan]:
    """Return a plan for each session, in two queries."""
    rows = Session.objects.filter(organization=bulk.organization_id).select_related("organization")
    sessions = rows.in_bulk(session_ids)
    waiting: dict[str, list[Edit]] = {}
    for edit in Edit.objects.open().filter(session_id__in=session_ids).order_by("pk"):
        waiting.setdefault(edit.session_id, []).append(edit)
    return [_plan(bulk, found, sessions.get(found), waiting.get(found, [])) for found in session_ids]


def _plan(bulk: BulkEdit, session_id: str, session: Session | None, waiting: Sequence[Edit]) -> Plan:
    if session is None:
        return Plan(session_id, None, {}, {}, "It is not mirrored any more.")
    shown = mirrored_values(session)
    for edit in waiting:
        if edit.kind == EditKind.UPDATE and edit.state in UNDER_WAY_STATES:
            shown.update({field: value for field, value in edit.fields.items() if field in EDITABLE})
    wanted = _wanted(bulk.fields, shown)
    why = _obstacle(session, waiting, wanted)
    if not why:
        try:
            return Plan(session_id, session, shown, check_changes(shown, wanted))
        except NothingChanged:
            why = ALREADY_SO
        except ValidationError as error:
            why = " ".join(error.messages)
    return Plan(session_id, session, shown, {}, why)


def _wanted(fields: Mapping[str, Any], shown: Mapping[str, Any]) -> dict[str, object]:
    if EXTEND not in fields:
        return dict(fields)
    seconds = shown["expirationSeconds"] or DEFAULTS["expirationSeconds"]
    return {"expirationSeconds": min(seconds + fields[EXTEND], MOST_SECONDS)}


def _obstacle(session: Session, waiting: Sequence[Edit], wanted: Values) -> str:
    if session.missing_since is not None:
        return "It is missing at Vapi."
    if any(edit.kind == EditKind.DELETE for edit in waiting):
        return "It is about to be deleted at Vapi."
    if any(edit.state == EditState.CONFLICT and edit.fields.keys() & wanted.keys() for edit in waiting):
        return "An earlier edit of the same field is in conflict."
    return ""


# Deciding ------------------------------------------------------------------------------------------


def confirm(bulk: BulkEdit, author: AbstractBaseUser, reason: str) -> None:
    """Let a previewed bulk begin. Raises ValidationError by field, BulkMoved."""
    _demand_reason(reason)
    _move(bulk, BulkState.RUNNING, BulkState.PREVIEWED, reason=reason.strip(), author=author)


def pause(bulk: BulkEdit) -> None:
    """Queue and send no more until it goes on; what is being sent ends as ever. Raises BulkMoved."""
    _move(bulk, BulkState.PAUSED, BulkState.RUNNING)


def go_on(bulk: BulkEdit) -> None:
    _move(bulk, BulkState.RUNNING, BulkState.PAUSED, next_attempt_at=None)


def cancel(bulk: BulkEdit) -> None:
    """Send nothing more; the workers withdraw what waits. Raises BulkMoved."""
    _move(bulk, BulkState.CANCELLED, BulkState.PREVIEWED, BulkState.RUNNING, BulkState.PAUSED)


def undo(bulk: BulkEdit, author: AbstractBaseUser, reason: str) -> BulkEdit:
    """Return a bulk of its own, begun, that undoes every applied edit. Raises ValidationError, BulkMoved."""
    _demand_reason(reason)
    if bulk.finished_at is None:
        raise BulkMoved
    applied = Edit.objects.filter(bulk=bulk, state=EditState.APPLIED).order_by("session_id", "-pk")
    edits = [str(pk) for pk in applied.values_list("pk", flat=True)]
    with transaction.atomic():
        # One at a time, so that an impatient click undoes once.
        BulkEdit.objects.select_for_update(no_key=True).get(pk=bulk.pk)
        if not edits or BulkEdit.objects.filter(undoes=bulk).exclude(state=BulkState.CANCELLED).exists():
            raise ValidationError("There is nothing to undo, or it was undone already.", code="undone")
        return BulkEdit.objects.create(
            organization_id=bulk.organization_id,
            state=BulkState.RUNNING,
            fields=bulk.fields,
            selection={"edits": edits},
            total=len(edits),
            reason=reason.strip(),
            author=author,  # type: ignore[misc]  # the user model is Django's own, typed by its base
            undoes=bulk,
        )


def retry_failed(bulk: BulkEdit, author: AbstractBaseUser) -> int:
    """Queue again what Vapi rejected or was given up, some hundreds at a time. Returns how many. Raises BulkMoved."""
    _move(bulk, BulkState.RUNNING, BulkState.RUNNING, BulkState.DONE, finished_at=None, next_attempt_at=None)
    failed = newest_edits(bulk).filter(state__in=_FAILED).order_by("pk")[:MOST_RETRIES]
    return sum(_retry(bulk, edit, author) for edit in failed)


def _retry(bulk: BulkEdit, edit: Edit, author: AbstractBaseUser) -> bool:
    try:
        if edit.state == EditState.FAILED:
            settle.retry(edit, author, source="bulk")
            return True
        [plan] = plan_sessions(bulk, [edit.session_id])
        if plan.session is None or plan.session.missing_since is not None:
            return False
        queue_edit(
            session=plan.session,
            base=plan.base,
            fields=edit.fields,
            source="bulk",
            reason=bulk.reason,
            author=author,
            bulk=bulk,
            undoes=edit.undoes,
        )
    except ValidationError:
        # It is as it should be by now, or somebody else was faster.
        return False
    return True


def _demand_reason(reason: str) -> None:
    if not reason.strip():
        raise ValidationError({"reason": "Say why."})


def _move(bulk: BulkEdit, to: BulkState, *from_states: BulkState, **changes: Any) -> None:
    if not BulkEdit.objects.filter(pk=bulk.pk, state__in=from_states).update(state=to, **changes):
        raise BulkMoved
    bulk.refresh_from_db(fields=["state", *changes])


# Working -------------------------------------------------------------------------------------------


def due_bulks() -> list[int]:
    """Return ids of bulks that nobody is at: a worker died, or their edits waited."""
    free = Q(next_attempt_at=None) | Q(next_attempt_at__lte=Now())
    open_ones = BulkEdit.objects.filter(free, state__in=_UNDER_WAY, finished_at=None)
    return list(open_ones.order_by("pk").values_list("pk", flat=True))


def advance(bulk_id: int) -> bool:
    """Queue one portion, or withdraw one of a cancelled bulk. True where there is another."""
    BulkEdit.objects.filter(pk=bulk_id).update(next_attempt_at=Now() + LEASE)
    if _queue_portion(bulk_id) or _withdraw_portion(bulk_id):
        return True
    finish(bulk_id)
    return False


def due_in_lane(bulk_id: int, lane: int) -> list[int]:
    """Return ids of the bulk's edits that this lane pushes next."""
    in_lane = Q(bulk=bulk_id) & Q(Exact(F("pk") % LANES, lane))
    due = due_edits(only=in_lane, limit=LANE_BATCH)
    if due:
        BulkEdit.objects.filter(pk=bulk_id).update(next_attempt_at=Now() + LEASE)
    return due


def came_forward(edit_ids: Sequence[int]) -> bool:
    """Say whether any of them left the queue; where none did, it is no use to try again at once."""
    return Edit.objects.filter(pk__in=edit_ids).exclude(state=EditState.QUEUED).exists()


def finish(bulk_id: int) -> None:
    """Note that a bulk has ended, if it has: everything queued, nothing under way."""
    bulk = BulkEdit.objects.filter(pk=bulk_id, state__in=_UNDER_WAY, finished_at=None).first()
    if bulk is None or (bulk.state == BulkState.RUNNING and _left(bulk)):
        return
    moving = Edit.objects.filter(bulk=OuterRef("pk"), state__in=UNDER_WAY_STATES)
    still = BulkEdit.objects.filter(~Exists(moving), pk=bulk_id, state=bulk.state, finished_at=None)
    still.update(
        state=BulkState.DONE if bulk.state == BulkState.RUNNING else BulkState.CANCELLED, finished_at=Now()
    )


def _queue_portion(bulk_id: int) -> bool:
    """In one transaction with how far it came."""
    with transaction.atomic():
        bulk = BulkEdit.objects.select_for_update(no_key=True).filter(pk=bulk_id).first()
        if bulk is None or bulk.state != BulkState.RUNNING:
            return False
        left = _left(bulk)
        portion = left[:PORTION]
        if not portion:
            return False
        make = _undo_each if bulk.undoes_id else _queue_each
        bulk.skipped = [*bulk.skipped, *make(bulk, portion)]
        bulk.queued_through = portion[-1]
        bulk.save(update_fields=["skipped", "queued_through"])
    return len(left) > PORTION


def _queue_each(bulk: BulkEdit, session_ids: Sequence[str]) -> Iterator[dict[str, str]]:
    """Queue an edit of each session; yield those that get none, and why."""
    for plan in plan_sessions(bulk, session_ids):
        why = plan.why
        try:
            if plan.session is not None and not why:
                queue_edit(
                    session=plan.session,
                    base=plan.base,
                    fields=plan.fields,
                    source="bulk",
                    reason=bulk.reason,
                    author=bulk.author,
                    submission_key=uuid5(_KEYS, f"{bulk.pk} {plan.session_id}"),
                    bulk=bulk,
                )
        except ValidationError as error:
            why = " ".join(error.messages)
        if why:
            yield {"id": plan.session_id, "why": why}


def _undo_each(bulk: BulkEdit, edit_ids: Sequence[str]) -> Iterator[dict[str, str]]:
    edits = Edit.objects.select_related("organization").in_bulk([int(found) for found in edit_ids])
    for edit in filter(None, (edits.get(int(found)) for found in edit_ids)):
        try:
            settle.undo(edit, bulk.author, source="undo", reason=bulk.reason, bulk=bulk)
        except ValidationError as error:
            yield {"id": edit.session_id, "why": " ".join(error.messages)}


def _withdraw_portion(bulk_id: int) -> bool:
    """True where there was one. What may have left already is settled by a look, as ever."""
    bulk = BulkEdit.objects.filter(pk=bulk_id, state=BulkState.CANCELLED, finished_at=None).first()
    if bulk is None:
        return False
    waiting = Edit.objects.filter(bulk=bulk, state=EditState.QUEUED, sent_at=None).order_by("pk")
    ended = 0
    for edit in waiting[:PORTION]:
        try:
            settle.withdraw(edit, bulk.author)
            ended += 1
        except EditMoved:
            continue
    return ended > 0


def _left(bulk: BulkEdit) -> list[str]:
    chosen: list[str] = bulk.selection["edits" if bulk.undoes_id else "ids"]
    return chosen[chosen.index(bulk.queued_through) + 1 :] if bulk.queued_through else chosen


def _portions(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    return (ids[start : start + PORTION] for start in range(0, len(ids), PORTION))


# Looking -------------------------------------------------------------------------------------------


def newest_edits(bulk: BulkEdit) -> EditQuerySet:
    """The edits that count: of each session the last one, which may be a second try."""
    later = Edit.objects.filter(bulk=bulk, session_id=OuterRef("session_id"), pk__gt=OuterRef("pk"))
    return Edit.objects.filter(~Exists(later), bulk=bulk)


def count_states(bulk: BulkEdit) -> dict[str, int]:
    """Return how many sessions' edits are in which state. One query."""
    counted = newest_edits(bulk).order_by().values("state").annotate(count=Count("pk"))
    return {row["state"]: row["count"] for row in counted}
