"""Which columns a parsed session or chat fills: one description for each, read by the writer."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from sessions_app.costs.lines import LineRow, ReportedRow
from sessions_app.models import Chat, ChatPayload, Session, SessionPayload
from sessions_app.models.costs import Source
from sessions_app.models.fields import PICO, to_pico
from sessions_app.models.runs import Stream
from sessions_app.vapi.costs import CostEntry
from sessions_app.vapi.payloads import ChatRecord, SessionRecord

Record = SessionRecord | ChatRecord

# A named tuple's own constructor is written in Python.
_new = tuple.__new__
_NOT_A_DIGIT = re.compile(r"\D")

COMMON_COLUMNS = (
    "id",
    "organization_id",
    "name",
    "assistant_id",
    "squad_id",
    "cost_usd",
    "itemized_cost_usd",
    "message_count",
    "failed_tool_count",
    "created_at",
    "updated_at",
    "fingerprint",
    "content_hash",
    "asked_at",
    "synced_at",
    "missing_since",
    "missing_reason",
    "has_blank_content",
    "has_replaced_text",
    "oddities",
)
SESSION_COLUMNS = (
    "status",
    "expiration_seconds",
    "expires_at",
    "idle_expires_at",
    "phone_number_id",
    "customer_id",
    "customer_number",
    "customer_digits",
    "customer_name",
    "customer_email",
    "customer_external_id",
    "customer_sip_uri",
)
CHAT_COLUMNS = ("session_id", "previous_chat_id")


@dataclass(frozen=True)
class MirrorTable:
    stream: Stream
    source: Source
    model: type[Session] | type[Chat]
    payload_model: type[SessionPayload] | type[ChatPayload]
    columns: tuple[str, ...]
    own_values: Callable[[Any], tuple[object, ...]]

    @property
    def name(self) -> str:
        return self.model._meta.db_table

    @property
    def payload_name(self) -> str:
        return self.payload_model._meta.db_table

    @property
    def payload_key(self) -> str:
        return f"{self.source.value}_id"

    def row(
        self, record: Record, organization_id: int, asked_at: datetime, synced_at: datetime
    ) -> tuple[object, ...]:
        """Return the values of `columns` for one record."""
        return _common_values(record, organization_id, asked_at, synced_at) + self.own_values(record)


def digits_of(number: str) -> str:
    """Return the digits of a phone number, by which parts of it are found."""
    return _NOT_A_DIGIT.sub("", number)


def session_of(record: Record) -> str:
    """Return the session that a record belongs to: itself, a chat's session, or ''."""
    return record.id if isinstance(record, SessionRecord) else record.session_id


def line_rows(table: MirrorTable, record: Record, organization_id: int) -> list[LineRow]:
    """Return the record's cost lines."""
    source, parent_id = table.source.value, record.id
    chat_id = "" if isinstance(record, SessionRecord) else parent_id
    phone_number_id = record.phone_number_id if isinstance(record, SessionRecord) else ""
    of_record = (organization_id, source, parent_id, session_of(record), chat_id)
    whose = (record.created_at, record.assistant_id, record.squad_id, phone_number_id)
    start = f"{source}:{parent_id}:"
    # An entry's own values stand in a line as they do in the entry.
    return [
        _new(LineRow, (f"{start}{entry[0]}", *of_record, *entry[:-1], pico(entry.cost_usd), *whose))
        for entry in record.costs
    ]


def reported_row(table: MirrorTable, record: Record, organization_id: int) -> ReportedRow:
    """Return what the record itself reports as its cost."""
    return ReportedRow(
        f"{table.source.value}:{record.id}",
        organization_id,
        table.source.value,
        record.id,
        pico(record.cost_usd),
        record.created_at,
        record.assistant_id,
        record.squad_id,
        record.phone_number_id if isinstance(record, SessionRecord) else "",
    )


def pico(dollars: Decimal | None) -> int | None:
    return None if dollars is None else to_pico(dollars)


def _itemized(costs: tuple[CostEntry, ...]) -> int | None:
    amounts = [entry.cost_usd for entry in costs if entry.cost_usd is not None]
    # Exact: amounts have twelve places, and decimals as many digits as a hundred billion of them need.
    return int(sum(amounts, Decimal()).scaleb(PICO)) if amounts else None


def _common_values(
    record: Record, organization_id: int, asked_at: datetime, synced_at: datetime
) -> tuple[object, ...]:
    return (
        record.id,
        organization_id,
        record.name or "",
        record.assistant_id,
        record.squad_id,
        pico(record.cost_usd),
        _itemized(record.costs),
        record.message_count,
        record.failed_tool_count,
        record.created_at,
        record.updated_at,
        record.fingerprint,
        record.content_hash,
        asked_at,
        synced_at,
        None,
        "",
        record.blank_content,
        record.text_replaced,
        "\n".join(record.oddities),
    )


def _session_values(record: SessionRecord) -> tuple[object, ...]:
    return (
        record.status,
        record.expiration_seconds,
        record.expires_at,
        record.idle_expires_at,
        record.phone_number_id,
        record.customer_id,
        record.customer_number,
        digits_of(record.customer_number),
        record.customer_name,
        record.customer_email,
        record.customer_external_id,
        record.customer_sip_uri,
    )


def _chat_values(record: ChatRecord) -> tuple[object, ...]:
    return (record.session_id, record.previous_chat_id)


SESSIONS = MirrorTable(
    Stream.SESSIONS,
    Source.SESSION,
    Session,
    SessionPayload,
    COMMON_COLUMNS + SESSION_COLUMNS,
    _session_values,
)
CHATS = MirrorTable(Stream.CHATS, Source.CHAT, Chat, ChatPayload, COMMON_COLUMNS + CHAT_COLUMNS, _chat_values)
