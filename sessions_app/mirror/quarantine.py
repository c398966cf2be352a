"""Keeps apart what could not be stored, with the reason, and lets go of what was stored after all."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

from django.db.models import F
from django.utils import timezone

from sessions_app.mirror.forgetting import forgotten_among
from sessions_app.models import Organization, QuarantinedRecord, SyncRun
from sessions_app.models.mirrored import ID_LENGTH
from sessions_app.models.runs import Stream


def quarantine(
    organization: Organization,
    stream: Stream,
    *,
    remote_id: str,
    reason: str,
    payload_json: str = "",
    run: SyncRun | None = None,
) -> None:
    """Note a record that could not be stored. `reason` is safe to log: a field and a rule, never a value.

    What was let go is not kept here either.
    """
    if remote_id and forgotten_among(organization, stream, [remote_id]):
        return
    now, remote_id = timezone.now(), remote_id[:ID_LENGTH]
    known = QuarantinedRecord.objects.filter(
        organization=organization, stream=stream, remote_id=remote_id, reason=reason
    )
    changes: dict[str, Any] = {"last_seen_at": now, "payload_json": payload_json, "run": run}
    changes |= {"resolved_at": None, "resolution": ""}
    if known.update(times_seen=F("times_seen") + 1, **changes):
        return
    QuarantinedRecord.objects.get_or_create(
        organization=organization,
        stream=stream,
        remote_id=remote_id,
        reason=reason,
        defaults={"first_seen_at": now, **changes},
    )


def release(organization: Organization, stream: Stream, remote_ids: Collection[str]) -> None:
    """Mark quarantined records as resolved: they are rows now, or what came is what the rows hold already."""
    if not remote_ids:
        return
    waiting = QuarantinedRecord.objects.filter(
        organization=organization, stream=stream, resolved_at__isnull=True
    )
    found = [pk for pk, remote_id in waiting.values_list("pk", "remote_id") if remote_id in remote_ids]
    if found:
        QuarantinedRecord.objects.filter(pk__in=found).update(resolved_at=timezone.now())


def release_nameless(organization: Organization, stream: Stream, *, not_seen_since: datetime) -> int:
    """Let go of what has no id and was not met by a pass over everything that began then. Returns how many."""
    waiting = QuarantinedRecord.objects.filter(
        organization=organization, stream=stream, remote_id="", resolved_at__isnull=True
    )
    gone = waiting.filter(last_seen_at__lt=not_seen_since)
    return gone.update(resolved_at=timezone.now(), resolution="not met again when everything was read")


def settle(record: QuarantinedRecord, who: str) -> bool:
    """Take a record off the list because a person says so. It comes back when it is met again."""
    waiting = QuarantinedRecord.objects.filter(pk=record.pk, resolved_at__isnull=True)
    return bool(waiting.update(resolved_at=timezone.now(), resolution=f"settled by {who}"))
