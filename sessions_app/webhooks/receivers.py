"""Owns who a message may be for, and which secrets prove it: one plain statement, as it runs for every message."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from django.conf import settings
from django.db import connection

from sessions_app.mirror.connection import DEFAULT_SLUG
from sessions_app.models import Organization, WebhookSecret
from sessions_app.webhooks.checks import Secret, every_form_of

_STATEMENT = f"""
    SELECT o.id, s.kind, s.secret, s.options
    FROM "{Organization._meta.db_table}" o
    LEFT JOIN "{WebhookSecret._meta.db_table}" s ON s.organization_id = o.id AND s.retired_at IS NULL
    WHERE o.slug = %s AND o.is_active
"""  # noqa: S608 - names of our own tables


@dataclass(frozen=True)
class Receiver:
    organization_id: int
    secrets: tuple[Secret, ...]


def find_receiver(slug: str) -> Receiver | None:
    """Return the organization and its accepted secrets; None for one that is unknown or not active."""
    with connection.cursor() as cursor:
        cursor.execute(_STATEMENT, [slug])
        rows = cursor.fetchall()
    if not rows:
        return None
    secrets = [_secret(kind, stored, options) for _, kind, stored, options in rows if kind]
    if slug == DEFAULT_SLUG:
        secrets += every_form_of(settings.VAPI_WEBHOOK_SECRET)
    return Receiver(rows[0][0], tuple(secrets))


def _secret(kind: str, stored: str, options: Any) -> Secret:
    given = json.loads(options) if isinstance(options, str) else options
    return Secret(kind, _decrypted(stored), given if isinstance(given, dict) else {})


@lru_cache(maxsize=256)
def _decrypted(stored: str) -> str:
    """Decrypted once for each process. Which of them is accepted is asked of the database every time."""
    return WebhookSecret._meta.get_field("secret").from_db_value(stored, None, connection) or ""
