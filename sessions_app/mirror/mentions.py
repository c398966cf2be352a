"""Owns what names a customer although no session here does: server messages and records that were kept apart.

The database finds what may name them, by the bare value; whether it does is decided by the JSON, as it can be written
in many ways.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, date
from typing import Any

from django.db.models import Q, QuerySet

from sessions_app.mirror.customers import names_customer, texts_of
from sessions_app.mirror.forgetting import remember
from sessions_app.mirror.holds import customer_holds, held_subjects
from sessions_app.models import Organization, QuarantinedRecord, WebhookEvent
from sessions_app.models.forgetting import ForgottenReason
from sessions_app.vapi.json import BadJson, parse_json
from sessions_app.vapi.times import parse_time

_AT_ONCE = 50


def erase_mentions(organization: Organization, by: str, value: str) -> None:
    """Empty the messages and delete the records that name the customer and nobody who is held."""
    events = WebhookEvent.objects.filter(organization=organization)
    for event, _ in _naming(events, "body_json", organization, by, value):
        WebhookEvent.objects.filter(pk=event.pk).update(body_json="")
    records = QuarantinedRecord.objects.filter(organization=organization)
    for record, payload in _naming(records, "payload_json", organization, by, value):
        day = day_of(payload) if isinstance(payload, Mapping) else None
        if record.remote_id and day:
            remember(organization, record.stream, {record.remote_id: day}, ForgottenReason.ERASED)
        record.delete()


def day_of(row: Mapping[str, Any]) -> date | None:
    """Return the UTC day of a row's createdAt; None where it has none, or no id."""
    moment = parse_time(row.get("createdAt"))
    return moment.astimezone(UTC).date() if moment and isinstance(row.get("id"), str) else None


def _naming(
    rows: QuerySet[Any], column: str, organization: Organization, by: str, value: str
) -> Iterator[tuple[Any, object]]:
    """Yield the rows, each with the JSON of its column."""
    holds = customer_holds(organization)
    may_name = Q()
    for text in texts_of(by, value):
        may_name |= Q(**{f"{column}__icontains": text})
    for row in _in_portions(rows.filter(may_name, ~held_subjects())):
        body = _read(getattr(row, column))
        kept = any(names_customer(hold.by, hold.value, body) for hold in holds)
        if names_customer(by, value, body) and not kept:
            yield row, body


def _in_portions(rows: QuerySet[Any]) -> Iterator[Any]:
    ordered, last = rows.order_by("pk"), 0
    while part := list(ordered.filter(pk__gt=last)[:_AT_ONCE]):
        last = part[-1].pk
        yield from part


def _read(text: str) -> object:
    try:
        return parse_json(text)
    except BadJson:
        return None
