"""Pulls the names of assistants, squads and phone numbers, so that people read names where Vapi has ids."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from functools import partial

from django.utils import timezone

from sessions_app.mirror.patience import patiently
from sessions_app.mirror.quarantine import quarantine, release
from sessions_app.mirror.streams import NAME_PATHS
from sessions_app.mirror.writer import WriteResult
from sessions_app.models import Organization, RemoteName
from sessions_app.models.names import NameKind
from sessions_app.models.runs import Stream
from sessions_app.vapi.client import VapiClient
from sessions_app.vapi.fields import BadRecord
from sessions_app.vapi.json import JsonObject
from sessions_app.vapi.payloads import NameRecord, parse_name
from sessions_app.vapi.times import parse_time

_LIMIT = 1000


def sync_names(client: VapiClient, organization: Organization) -> tuple[WriteResult, int]:
    """Pull all names. Returns what was written and how many were seen."""
    total, seen = WriteResult(), 0
    for kind, path in NAME_PATHS.items():
        for results in _pages(client, path):
            seen += len(results)
            records, quarantined = _parsed(organization, results, kind)
            total += mirror_names(organization, records)
            release(organization, Stream.NAMES, {record.remote_id for record in records})
            total += WriteResult(quarantined=quarantined)
    return total, seen


def mirror_names(organization: Organization, records: list[NameRecord]) -> WriteResult:
    """Store names in one statement; what is the same as before is not written."""
    now = timezone.now()
    stored = {
        (name.kind, name.remote_id): name.name
        for name in RemoteName.objects.filter(organization=organization)
    }
    offered = {(record.kind, record.remote_id): record for record in records}
    changed = [record for key, record in offered.items() if stored.get(key) != record.name]
    RemoteName.objects.bulk_create(
        [
            RemoteName(
                organization=organization,
                kind=record.kind,
                remote_id=record.remote_id,
                name=record.name,
                updated_at=record.updated_at,
                synced_at=now,
            )
            for record in changed
        ],
        update_conflicts=True,
        unique_fields=["organization", "kind", "remote_id"],
        update_fields=["name", "updated_at", "synced_at", "missing_since"],
    )
    created = sum(1 for record in changed if (record.kind, record.remote_id) not in stored)
    return WriteResult(created=created, updated=len(changed) - created, unchanged=len(offered) - len(changed))


def _pages(client: VapiClient, path: str) -> Iterator[list[JsonObject]]:
    """Yield bare arrays, newest first: one asks for what is older than the last until nothing new comes."""
    before, seen = None, set[str]()
    while True:
        results = patiently(partial(client.list_names, path, limit=_LIMIT, created_at_lt=before))
        fresh = [result for result in results if str(result.get("id")) not in seen]
        if not fresh:
            return
        yield fresh
        seen.update(str(result.get("id")) for result in fresh)
        times = [moment for result in fresh if (moment := parse_time(result.get("createdAt"))) is not None]
        if not times:
            return
        # A little later than the oldest: others may share its createdAt.
        before = min(times) + timedelta(milliseconds=1)


def _parsed(
    organization: Organization, results: list[JsonObject], kind: NameKind
) -> tuple[list[NameRecord], int]:
    records, quarantined = [], 0
    for result in results:
        try:
            records.append(parse_name(result, kind.value))
        except BadRecord as problem:
            quarantined += 1
            quarantine(
                organization,
                Stream.NAMES,
                remote_id=str(result.get("id") or ""),
                reason=f"{kind.value} {problem.field}: {problem.reason}",
            )
    return records, quarantined
