"""Owns the orders that lists of mirrored rows offer, for REST and the browser alike."""

from __future__ import annotations

from sessions_app.models.keyset import Keyset

_BY_ORGANIZATION = ("updated_at", "cost_usd", "message_count", "expires_at", "idle_expires_at")

SESSION_ORDERS = Keyset({name: name for name in ("created_at", *_BY_ORGANIZATION)}, _BY_ORGANIZATION)
CHAT_ORDERS = Keyset({name: name for name in ("created_at", *_BY_ORGANIZATION[:3])}, _BY_ORGANIZATION[:3])
COST_LINE_ORDERS = Keyset({name: name for name in ("occurred_at", "cost_usd")}, ("occurred_at", "cost_usd"))
