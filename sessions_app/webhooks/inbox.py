"""Owns the one statement that a server message costs before it is answered. Deliveries of one message are one row.

Of a session or chat that was let go here the message is counted, and its body not even stored.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from functools import lru_cache
from typing import Any

from django.db import connection

from sessions_app.mirror.forgetting import digests_of
from sessions_app.models import ForgottenId, WebhookEvent
from sessions_app.models.runs import Stream
from sessions_app.models.webhooks import EventState
from sessions_app.webhooks.messages import Message

# By the database's clock, which decides what is due.
_NOW = {"postgresql": "now()", "sqlite": "strftime('%%Y-%%m-%%d %%H:%%M:%%f', 'now')"}
_LET_GO = "SELECT 1 FROM {table} WHERE organization_id = %s AND stream = %s AND digest IN ({marks})"
_STREAMS = {"session": Stream.SESSIONS, "chat": Stream.CHATS}
_STATEMENT = """
    INSERT INTO {table} AS e (
        organization_id, digest, kind, remote_id, assistant_id, sent_at, object_updated_at, body_json,
        state, verdict, deliveries, attempts, received_at, next_attempt_at
    ) VALUES (
        %s, %s, %s, %s, %s, %s, %s, CASE WHEN EXISTS ({let_go}) THEN '' ELSE %s END,
        %s, '', 1, 0, {now}, {now}
    )
    ON CONFLICT (organization_id, digest) DO UPDATE SET deliveries = e.deliveries + 1
"""


def digest_of(body: bytes, message_id: str = "") -> str:
    """Tell one message from another: by its body and, where it is signed with one, its id."""
    return hashlib.sha256(message_id.encode() + b"\n" + body).hexdigest()


def store_message(organization_id: int, digest: str, message: Message) -> None:
    """Add a message to the inbox; a further delivery of one that is there is counted."""
    stream = _STREAMS.get(message.kind.partition(".")[0], Stream.SESSIONS)
    known_as = digests_of(organization_id, stream, message.remote_id)
    values: tuple[Any, ...] = (
        organization_id,
        digest,
        message.kind,
        message.remote_id,
        message.assistant_id,
        _time(message.sent_at),
        _time(message.object_updated_at),
        *(organization_id, stream.value, *known_as),
        message.body_json,
        EventState.RECEIVED.value,
    )
    with connection.cursor() as cursor:
        cursor.execute(_statement(len(known_as)), values)


@lru_cache
def _statement(digests: int) -> str:
    let_go = _LET_GO.format(table=f'"{ForgottenId._meta.db_table}"', marks=", ".join(["%s"] * digests))
    table = f'"{WebhookEvent._meta.db_table}"'
    return _STATEMENT.format(table=table, now=_NOW[connection.vendor], let_go=let_go)


def _time(at: datetime | None) -> str | datetime | None:
    adapted: str | datetime | None = connection.ops.adapt_datetimefield_value(at)
    return adapted
