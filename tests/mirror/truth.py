"""Compares the mirror with what the simulated Vapi holds, field by field, without our own parser."""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db.models import Sum

from sessions_app.costs.rebuild import check_rollup
from sessions_app.models import Chat, CostLine, CostRollup, Organization, ReportedCost, Session
from tests.sandbox_process import SandboxProcess

PICO = Decimal("1e-12")
_MARK = "[redacted]"


def assert_mirror_equals(
    sandbox: SandboxProcess, organization: Organization, key: str = "", *, apart: Collection[str] = ()
) -> None:
    """Fail unless every session, chat and cost line stands here as at Vapi, and the sums are equal.

    `apart` are ids that are left out on both sides: deleted at Vapi and kept here, or not to be stored.
    """
    sessions = [storable(row) for row in sandbox.truth("sessions", key) if row["id"] not in apart]
    chats = [storable(row) for row in sandbox.truth("chats", key) if row["id"] not in apart]
    here = {"organization": organization, "missing_since__isnull": True}
    mirrored_sessions = Session.objects.filter(**here).exclude(id__in=apart)
    mirrored_chats = Chat.objects.filter(**here).exclude(id__in=apart)
    assert {row["id"] for row in sessions} == set(mirrored_sessions.values_list("id", flat=True))
    assert {row["id"] for row in chats} == set(mirrored_chats.values_list("id", flat=True))
    by_session = {row.id: row for row in mirrored_sessions.select_related("stored_payload")}
    for remote in sessions:
        assert_session(remote, by_session[remote["id"]])
    by_chat = {row.id: row for row in mirrored_chats.select_related("stored_payload")}
    for remote in chats:
        assert_chat(remote, by_chat[remote["id"]])
    assert_costs(organization, sessions, chats, apart)
    assert check_rollup(organization) == []


def storable(value: Any) -> Any:
    """What a database can keep of it: U+FFFD in place of NUL and of halves of a pair."""
    if isinstance(value, str):
        return re.sub("[\x00\ud800-\udfff]", "\ufffd", value)
    if isinstance(value, dict):
        return {storable(name): storable(inner) for name, inner in value.items()}
    return [storable(inner) for inner in value] if isinstance(value, list) else value


def assert_session(remote: dict[str, Any], row: Session) -> None:
    customer = remote.get("customer") or {}
    expected = {
        "name": remote.get("name") or "",
        "status": remote.get("status") or "",
        "expiration_seconds": remote.get("expirationSeconds"),
        "assistant_id": remote.get("assistantId") or "",
        "squad_id": remote.get("squadId") or "",
        "phone_number_id": remote.get("phoneNumberId") or "",
        "customer_id": remote.get("customerId") or "",
        "customer_number": customer.get("number") or "",
        "customer_name": customer.get("name") or "",
        "customer_email": customer.get("email") or "",
        "customer_external_id": customer.get("externalId") or "",
        "customer_sip_uri": customer.get("sipUri") or "",
        "cost_usd": dollars(remote.get("cost")),
        "message_count": len(remote.get("messages") or []),
        "created_at": datetime.fromisoformat(remote["createdAt"]),
        "updated_at": datetime.fromisoformat(remote["updatedAt"]),
    }
    assert {name: getattr(row, name) for name in expected} == expected
    assert_payload(remote, row.stored_payload.payload_json)


def assert_chat(remote: dict[str, Any], row: Chat) -> None:
    expected = {
        "name": remote.get("name") or "",
        "session_id": remote.get("sessionId") or "",
        "previous_chat_id": remote.get("previousChatId") or "",
        "assistant_id": remote.get("assistantId") or "",
        "squad_id": remote.get("squadId") or "",
        "cost_usd": dollars(remote.get("cost")),
        "created_at": datetime.fromisoformat(remote["createdAt"]),
        "updated_at": datetime.fromisoformat(remote["updatedAt"]),
    }
    assert {name: getattr(row, name) for name in expected} == expected
    assert_payload(remote, row.stored_payload.payload_json)


def assert_payload(remote: dict[str, Any], payload_json: str) -> None:
    """The payload is the remote object, but for secrets and what is signed anew in every answer."""
    stored = json.loads(payload_json)
    assert stored.keys() == remote.keys()
    for name in remote.keys() - {"assistant", "assistantOverrides", "artifact", "squad", "phoneNumber"}:
        assert stored[name] == remote[name], name


def assert_costs(
    organization: Organization,
    sessions: list[dict[str, Any]],
    chats: list[dict[str, Any]],
    apart: Collection[str],
) -> None:
    stored_lines = CostLine.objects.filter(organization=organization).exclude(parent_id__in=apart)
    lines = {line.id: line for line in stored_lines}
    expected_ids = set()
    for source, rows in (("session", sessions), ("chat", chats)):
        itemized = reported = Decimal(0)
        for remote in rows:
            reported += dollars(remote.get("cost")) or 0
            for position, entry in enumerate(remote.get("costs") or []):
                line = lines[f"{source}:{remote['id']}:{position}"]
                expected_ids.add(line.id)
                assert_line(remote, entry, line)
                itemized += dollars(entry.get("cost")) or 0
        assert summed(CostLine, organization, source, apart) == itemized
        assert summed(ReportedCost, organization, source, apart) == reported
        if not apart:
            assert rolled_up(organization, source, is_itemized=True) == itemized
            assert rolled_up(organization, source, is_itemized=False) == reported
    assert set(lines) == expected_ids


def assert_line(remote: dict[str, Any], entry: dict[str, Any], line: CostLine) -> None:
    model = entry.get("model") or {}
    expected = {
        "kind": entry.get("type") or "",
        "analysis_type": entry.get("analysisType") or "",
        "provider": model.get("provider") or "",
        "model": model.get("model") or "",
        "prompt_tokens": entry.get("promptTokens"),
        "completion_tokens": entry.get("completionTokens"),
        "cached_prompt_tokens": entry.get("cachedPromptTokens"),
        "reasoning_tokens": entry.get("reasoningTokens"),
        "cost_usd": dollars(entry.get("cost")),
        "occurred_at": datetime.fromisoformat(remote["createdAt"]),
        "assistant_id": remote.get("assistantId") or "",
    }
    assert {name: getattr(line, name) for name in expected} == expected


def summed(
    model: type[CostLine] | type[ReportedCost],
    organization: Organization,
    source: str,
    apart: Collection[str],
) -> Decimal:
    rows = model.objects.filter(organization=organization, source=source).exclude(parent_id__in=apart)
    return Decimal(rows.aggregate(total=Sum("cost_usd"))["total"] or 0)


def rolled_up(organization: Organization, source: str, *, is_itemized: bool) -> Decimal:
    rows = CostRollup.objects.filter(organization=organization, source=source, is_itemized=is_itemized)
    return Decimal(rows.aggregate(total=Sum("cost_usd"))["total"] or 0)


def dollars(value: float | str | None) -> Decimal | None:
    """Exact to 1e-12 from the number's shortest text, as JSON carries it."""
    return None if value is None else Decimal(str(value)).quantize(PICO)
