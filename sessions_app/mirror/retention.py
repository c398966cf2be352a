"""Owns what is told of an organization's age limits: how much is kept, how old it is, and what goes next."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Min, QuerySet
from django.utils import timezone

from sessions_app.mirror import forgetting, pruning
from sessions_app.mirror.tables import CHATS, SESSIONS
from sessions_app.models import (
    Chat,
    FieldChange,
    ForgottenId,
    HeldSession,
    Notice,
    Organization,
    QuarantinedRecord,
    Session,
    SyncRun,
    WebhookEvent,
)
from sessions_app.models.forgetting import ForgottenReason


@dataclass(frozen=True)
class Kept:
    """One kind of what is kept. `due` is past its age: it goes with the next pruning."""

    what: str
    days: int | None
    count: int
    oldest: datetime | None
    due: int

    @property
    def next_at(self) -> datetime | None:
        """When the oldest comes to its age, unless it stays for other reasons; None for never, or where it has."""
        if self.days is None or self.oldest is None or self.due:
            return None
        reached = self.oldest + timedelta(days=self.days)
        return reached if reached > timezone.now() else None


@dataclass(frozen=True)
class Retention:
    kept: tuple[Kept, ...]
    held_sessions: int
    # Ids that were let go, of sessions and chats, and are not taken again.
    pruned: int
    erased: int


def read_retention(organization: Organization) -> Retention:
    """Count it all: a few seconds where there are many millions of rows, so only when somebody asks."""
    held = HeldSession.objects.filter(hold__organization=organization)
    let_go = ForgottenId.objects.filter(organization=organization)
    return Retention(
        kept=tuple(_kept(organization, timezone.now())),
        held_sessions=held.values("session_id").distinct().count(),
        pruned=let_go.filter(reason=ForgottenReason.PRUNED).count(),
        erased=let_go.filter(reason=ForgottenReason.ERASED).count(),
    )


def _kept(organization: Organization, now: datetime) -> Iterator[Kept]:
    sessions = Session.objects.filter(organization=organization)
    chats = Chat.objects.filter(organization=organization)
    for what, rows, table in (("Sessions", sessions, SESSIONS), ("Chats", chats, CHATS)):
        old = forgetting.old_rows(organization, table, now)
        yield _count(what, organization.row_retention_days, rows, "updated_at", old)
        said, old = (
            rows.filter(stored_payload__isnull=False),
            forgetting.old_payloads(organization, table, now),
        )
        yield _count(
            f"What was said in {what.lower()}", organization.payload_retention_days, said, "updated_at", old
        )
    changes = FieldChange.objects.filter(organization=organization)
    old_changes = pruning.old_changes(organization, now)
    yield _count("Changes of sessions", organization.history_retention_days, changes, "seen_at", old_changes)
    events = WebhookEvent.objects.filter(organization=organization)
    bodies, old_bodies = events.exclude(body_json=""), pruning.old_bodies(organization, now)
    yield _count(
        "Bodies of webhook messages", organization.body_retention_days, bodies, "received_at", old_bodies
    )
    old_events = pruning.old_events(organization, now)
    yield _count("Webhook messages", organization.event_retention_days, events, "received_at", old_events)
    records = QuarantinedRecord.objects.filter(organization=organization)
    old_records = pruning.old_quarantine(organization, now)
    yield _count(
        "Quarantined records", organization.quarantine_retention_days, records, "last_seen_at", old_records
    )
    runs, old_runs = SyncRun.objects.filter(organization=organization), pruning.old_runs(organization, now)
    yield _count("Sync runs", organization.run_retention_days, runs, "started_at", old_runs)
    notices, old_notices = (
        Notice.objects.filter(organization=organization),
        pruning.old_notices(organization, now),
    )
    yield _count("Notices", organization.notice_retention_days, notices, "created_at", old_notices)


def _count(what: str, days: int | None, rows: QuerySet[Any], since: str, old: QuerySet[Any]) -> Kept:
    oldest = rows.order_by().aggregate(oldest=Min(since))["oldest"]
    return Kept(what, days, rows.count(), oldest, old.order_by().count() if days is not None else 0)
