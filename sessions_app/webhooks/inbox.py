"""Owns the one statement that a server message costs before it is answered. Deliveries of one message are one row."""

from __future__ import annotations

import hashlib
from datetime import datetime

from django.db import connection

from sessions_app.models import WebhookEvent
from sessions_app.models.webhooks import EventState
from sessions_app.webhooks.messages import Message

# By the database's clock, which decides what is due.
_NOW = {"postgresql": "now()", "sqlite": "strftime('%%Y-%%m-%%d %%H:%%M:%%f', 'now')"}
_STATEMENT = """
    INSERT INTO {table} AS e (
        organization_id, digest, kind, remote_id, assistant_id, sent_at, object_updated_at, body_json,
        state, verdict, deliveries, attempts, received_at, next_attempt_at
    ) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, '', 1, 0, {now}, {now})
    ON CONFLICT (organization_id, digest) DO UPDATE SET deliveries = e.deliveries + 1
"""


def digest_of(body: bytes, message_id: str = "") -> str:
    """Tell one message from another: by its body and, where it is signed with one, its id."""
    return hashlib.sha256(message_id.encode() + b"\n" + body).hexdigest()


def store_message(organization_id: int, digest: str, message: Message) -> None:
    """Add a message to the inbox; a further delivery of one that is there is counted."""
    values = (
        organization_id,
        digest,
        message.kind,
        message.remote_id,
        message.assistant_id,
        _time(message.sent_at),
        _time(message.object_updated_at),
        message.body_json,
        EventState.RECEIVED.value,
    )
    statement = _STATEMENT.format(table=f'"{WebhookEvent._meta.db_table}"', now=_NOW[connection.vendor])
    with connection.cursor() as cursor:
        cursor.execute(statement, values)


def _time(at: datetime | None) -> str | datetime | None:
    adapted: str | datetime | None = connection.ops.adapt_datetimefield_value(at)
    return adapted
