"""Lets go of what only tells how rows came to be: history, bodies of server messages, quarantine, runs
and notices.

Each organization has an age limit for each of them. Rows and payloads themselves are not its business. What a legal
hold keeps stays.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from sessions_app.mirror.holds import extend_holds, held_sessions, held_subjects
from sessions_app.models import FieldChange, Notice, Organization, QuarantinedRecord, SyncRun, WebhookEvent
from sessions_app.models.runs import RunState
from sessions_app.models.webhooks import EventState

# So that nobody waits long for the lock of one statement.
_AT_ONCE = 2000
_TEST_DAYS = 30


@dataclass(frozen=True)
class Pruned:
    changes: int = 0
    bodies: int = 0
    events: int = 0
    quarantined: int = 0
    runs: int = 0
    notices: int = 0

    def __add__(self, other: Pruned) -> Pruned:
        return Pruned(
            *(one + more for one, more in zip(vars(self).values(), vars(other).values(), strict=True))
        )


def prune(now: datetime | None = None) -> Pruned:
    """Delete what is past its age limit. May run any number of times, and side by side."""
    now = now or timezone.now()
    pruned = sum((_prune_one(each, now) for each in Organization.objects.all()), Pruned())
    return pruned + Pruned(notices=_delete(_old_tests(now)))


def _prune_one(organization: Organization, now: datetime) -> Pruned:
    extend_holds(organization)
    return Pruned(
        changes=_delete(old_changes(organization, now)),
        bodies=_empty_bodies(organization, now),
        events=_delete(old_events(organization, now)),
        quarantined=_delete(old_quarantine(organization, now)),
        runs=_delete(old_runs(organization, now)),
        notices=_delete(old_notices(organization, now)),
    )


def _past(now: datetime, days: int | None) -> datetime | None:
    """Return the moment before which things are past their age; None where they are kept for ever."""
    return None if days is None else now - timedelta(days=days)


def old_changes(organization: Organization, now: datetime) -> QuerySet[FieldChange]:
    changes = FieldChange.objects.filter(organization=organization)
    before = _past(now, organization.history_retention_days)
    return changes.filter(~held_sessions(), seen_at__lt=before) if before else changes.none()


def old_bodies(organization: Organization, now: datetime) -> QuerySet[WebhookEvent]:
    """Messages whose bodies go; that they came stays."""
    return _ended(organization, _past(now, organization.body_retention_days)).exclude(body_json="")


def old_events(organization: Organization, now: datetime) -> QuerySet[WebhookEvent]:
    return _ended(organization, _past(now, organization.event_retention_days))


def _ended(organization: Organization, before: datetime | None) -> QuerySet[WebhookEvent]:
    """Those that still wait are kept, however old."""
    events = WebhookEvent.objects.filter(organization=organization)
    if before is None:
        return events.none()
    return events.filter(~held_subjects(), received_at__lt=before).exclude(state=EventState.RECEIVED)


def _empty_bodies(organization: Organization, now: datetime) -> int:
    emptied, bodies = 0, old_bodies(organization, now)
    while ids := list(bodies.values_list("pk", flat=True)[:_AT_ONCE]):
        emptied += bodies.filter(pk__in=ids).update(body_json="")
    return emptied


def old_quarantine(organization: Organization, now: datetime) -> QuerySet[QuarantinedRecord]:
    """What was stored since, and what did not come again."""
    records = QuarantinedRecord.objects.filter(organization=organization)
    before = _past(now, organization.quarantine_retention_days)
    if before is None:
        return records.none()
    return records.filter(~held_subjects(), Q(resolved_at__lt=before) | Q(last_seen_at__lt=before))


def old_runs(organization: Organization, now: datetime) -> QuerySet[SyncRun]:
    """All but each stream's newest that succeeded: pages say by it how complete the mirror is."""
    runs = SyncRun.objects.filter(organization=organization)
    before = _past(now, organization.run_retention_days)
    if before is None:
        return runs.none()
    newer = SyncRun.objects.filter(
        organization=OuterRef("organization"),
        stream=OuterRef("stream"),
        kind=OuterRef("kind"),
        state=RunState.SUCCEEDED,
        started_at__gt=OuterRef("started_at"),
    )
    old = runs.filter(started_at__lt=before, finished_at__lt=before)
    return old.filter(~Q(state=RunState.SUCCEEDED) | Exists(newer))


def old_notices(organization: Organization, now: datetime) -> QuerySet[Notice]:
    """Their deliveries go with them."""
    notices = Notice.objects.filter(organization=organization)
    before = _past(now, organization.notice_retention_days)
    return notices.filter(created_at__lt=before) if before else notices.none()


def _old_tests(now: datetime) -> QuerySet[Notice]:
    """Tests of channels, which are of no organization."""
    return Notice.objects.filter(organization=None, created_at__lt=now - timedelta(days=_TEST_DAYS))


def _delete(
    rows: QuerySet[FieldChange]
    | QuerySet[WebhookEvent]
    | QuerySet[QuarantinedRecord]
    | QuerySet[SyncRun]
    | QuerySet[Notice],
) -> int:
    deleted = 0
    while ids := list(rows.order_by("pk").values_list("pk", flat=True)[:_AT_ONCE]):
        # By their own conditions once more: what was held meanwhile stays.
        _, gone = rows.filter(pk__in=ids).delete()
        deleted += gone.get(rows.model._meta.label, 0)
    return deleted
