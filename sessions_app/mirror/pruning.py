"""Lets go of what only tells how rows came to be: history, bodies of server messages, quarantine and runs.

Rows and payloads themselves are not its business. What a legal hold keeps stays.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from sessions_app.models import (
    FieldChange,
    LegalHold,
    Organization,
    QuarantinedRecord,
    SyncRun,
    WebhookEvent,
)
from sessions_app.models.runs import RunState
from sessions_app.models.webhooks import EventState

BODY_DAYS = 30
EVENT_DAYS = 180
QUARANTINE_DAYS = 180
RUN_DAYS = 180
# So that nobody waits long for the lock of one statement.
_AT_ONCE = 2000


@dataclass(frozen=True)
class Pruned:
    changes: int
    bodies: int
    events: int
    quarantined: int
    runs: int


def prune(now: datetime | None = None) -> Pruned:
    """Delete what is past its age limit. May run any number of times, and side by side."""
    now = now or timezone.now()
    return Pruned(
        changes=sum(_prune_history(each, now) for each in Organization.objects.all()),
        bodies=_empty_bodies(now - timedelta(days=BODY_DAYS)),
        events=_delete(_ended_events(now - timedelta(days=EVENT_DAYS))),
        quarantined=_delete(_old_quarantine(now - timedelta(days=QUARANTINE_DAYS))),
        runs=_delete(_old_runs(now - timedelta(days=RUN_DAYS))),
    )


def _prune_history(organization: Organization, now: datetime) -> int:
    days = organization.history_retention_days
    if days is None:
        return 0
    old = FieldChange.objects.filter(organization=organization, seen_at__lt=now - timedelta(days=days))
    return _delete(old.exclude(Exists(LegalHold.objects.filter(session_id=OuterRef("session_id")))))


def _ended_events(before: datetime) -> QuerySet[WebhookEvent]:
    """Those that still wait are kept, however old."""
    old = WebhookEvent.objects.filter(received_at__lt=before).exclude(state=EventState.RECEIVED)
    return old.exclude(Exists(LegalHold.objects.filter(session_id=OuterRef("remote_id"))))


def _empty_bodies(before: datetime) -> int:
    emptied = 0
    while ids := list(_ended_events(before).exclude(body_json="").values_list("pk", flat=True)[:_AT_ONCE]):
        emptied += WebhookEvent.objects.filter(pk__in=ids).update(body_json="")
    return emptied


def _old_quarantine(before: datetime) -> QuerySet[QuarantinedRecord]:
    """What was stored since, and what did not come again."""
    old = QuarantinedRecord.objects.filter(Q(resolved_at__lt=before) | Q(last_seen_at__lt=before))
    return old.exclude(Exists(LegalHold.objects.filter(session_id=OuterRef("remote_id"))))


def _old_runs(before: datetime) -> QuerySet[SyncRun]:
    """All but each stream's newest that succeeded: pages say by it how complete the mirror is."""
    newer = SyncRun.objects.filter(
        organization=OuterRef("organization"),
        stream=OuterRef("stream"),
        kind=OuterRef("kind"),
        state=RunState.SUCCEEDED,
        started_at__gt=OuterRef("started_at"),
    )
    old = SyncRun.objects.filter(started_at__lt=before, finished_at__lt=before)
    return old.filter(~Q(state=RunState.SUCCEEDED) | Exists(newer))


def _delete(
    rows: QuerySet[FieldChange] | QuerySet[WebhookEvent] | QuerySet[QuarantinedRecord] | QuerySet[SyncRun],
) -> int:
    deleted = 0
    while ids := list(rows.order_by("pk").values_list("pk", flat=True)[:_AT_ONCE]):
        rows.model._base_manager.filter(pk__in=ids).delete()
        deleted += len(ids)
    return deleted
