"""Owns the portions in which a bulk edit is queued and withdrawn: each whole or not at all, whoever dies."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from uuid import UUID, uuid5

from django.core.exceptions import ValidationError
from django.db import transaction

from sessions_app.edits import settle, states
from sessions_app.edits.bulk.plans import Plan, plan_sessions, plan_undoing
from sessions_app.edits.claims import lock_edits_of_many
from sessions_app.edits.queue import Making, queue_edit
from sessions_app.edits.states import EditMoved
from sessions_app.models import BulkEdit, Edit
from sessions_app.models.bulks import BulkState
from sessions_app.models.edits import EditKind, EditState

# With an audit row for each, the most that one transaction writes on SQLite.
PORTION = 500
_KEYS = UUID("3d6a6c1e-5d0f-4d43-8a2f-6b1c9f0e7a55")


def queue_portion(bulk_id: int) -> bool:
    """In one transaction with how far it came."""
    with transaction.atomic():
        bulk = BulkEdit.objects.select_for_update(no_key=True).filter(pk=bulk_id).first()
        if bulk is None or bulk.state != BulkState.RUNNING:
            return False
        left = left_of(bulk)
        portion = left[:PORTION]
        if not portion:
            return False
        bulk.skipped = [*bulk.skipped, *_queue(bulk, _plans(bulk, portion))]
        bulk.queued_through = portion[-1]
        bulk.save(update_fields=["skipped", "queued_through"])
    return len(left) > PORTION


def _plans(bulk: BulkEdit, portion: Sequence[str]) -> list[Plan]:
    """Read under the lock of every session: nothing is queued for one of them until the transaction ends."""
    if not bulk.undoes_id:
        lock_edits_of_many(portion)
        return plan_sessions(bulk, portion)
    edits = Edit.objects.filter(pk__in=portion, organization=bulk.organization_id)
    lock_edits_of_many(edits.values_list("session_id", flat=True))
    return plan_undoing(bulk, list(edits.order_by("session_id", "-pk")))


def _queue(bulk: BulkEdit, plans: Iterable[Plan]) -> Iterator[dict[str, str]]:
    """Queue the edits in a few statements; yield the sessions that get none, and why."""
    making = Making("undo" if bulk.undoes_id else "bulk", bulk.reason, bulk.author, bulk.token, bulk=bulk)
    edits: list[Edit] = []
    for plan in plans:
        why = plan.why
        if not why and plan.is_crowded:
            why = _queue_among_others(making, plan, _key(bulk, plan))
        elif not why:
            edits.append(_edit(bulk, making, plan))
        if why:
            yield {"id": plan.session_id, "why": why}
    states.begin_many(edits, making.actor)


def _edit(bulk: BulkEdit, making: Making, plan: Plan) -> Edit:
    """A deletion is of all that was shown, a change of its own fields."""
    edit = making.edit(
        bulk.organization_id,
        plan.session_id,
        kind=EditKind.DELETE if bulk.deletes else EditKind.UPDATE,
        base={name: value for name, value in plan.base.items() if bulk.deletes or name in plan.fields},
        fields=dict(plan.fields),
        submission_key=_key(bulk, plan),
    )
    edit.undoes = plan.undoes
    return edit


def _queue_among_others(making: Making, plan: Plan, key: UUID) -> str:
    """Queue one beside what waits of its session already, as any edit is. Returns why not, '' where it was."""
    try:
        if plan.undoes is not None:
            settle.undo(
                plan.undoes,
                making.author,
                token=making.token,
                source="undo",
                reason=making.reason,
                bulk=making.bulk,
            )
        elif plan.session is not None:
            queue_edit(
                session=plan.session,
                base=plan.base,
                fields=plan.fields,
                source="bulk",
                reason=making.reason,
                author=making.author,
                token=making.token,
                submission_key=key,
                bulk=making.bulk,
            )
    except ValidationError as error:
        return " ".join(error.messages)
    return ""


def _key(bulk: BulkEdit, plan: Plan) -> UUID:
    return uuid5(_KEYS, f"{bulk.pk} {plan.session_id}")


def withdraw_portion(bulk_id: int) -> bool:
    """True where there was one. What may have left already is settled by a look, as ever."""
    bulk = BulkEdit.objects.filter(pk=bulk_id, state=BulkState.CANCELLED, finished_at=None).first()
    if bulk is None:
        return False
    waiting = Edit.objects.filter(bulk=bulk, state=EditState.QUEUED, sent_at=None).order_by("pk")
    ended = 0
    for edit in waiting[:PORTION]:
        try:
            settle.withdraw(edit, bulk.author or bulk.token)
            ended += 1
        except EditMoved:
            continue
    return ended > 0


def left_of(bulk: BulkEdit) -> list[str]:
    """Return what is not queued yet: ids of sessions, or of the edits that are to be undone."""
    chosen: list[str] = bulk.selection["edits" if bulk.undoes_id else "ids"]
    return chosen[chosen.index(bulk.queued_through) + 1 :] if bulk.queued_through else chosen
