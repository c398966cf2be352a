"""Cost lines and reported costs for tests, stored as the writer stores them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal
from itertools import count
from typing import Any
from zoneinfo import ZoneInfo

from django.db import connection, transaction

from sessions_app.costs.lines import LineRow, ReportedRow
from sessions_app.costs.rollup import add_sums, difference
from sessions_app.models import Chat, CostLine, Organization, ReportedCost, Session
from sessions_app.models.costs import Source
from sessions_app.models.fields import to_pico

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
_numbers = count(1)


def make_organization(slug: str = "acme", zone: str = "UTC") -> Organization:
    return Organization.objects.create(slug=slug, name=slug.title(), report_time_zone=zone)


def line(
    organization: Organization,
    usd: str | None,
    *,
    parent: str = "s1",
    source: str = "session",
    position: int | None = None,
    **fields: Any,
) -> LineRow:
    position = next(_numbers) if position is None else position
    row = LineRow(
        id=f"{source}:{parent}:{position}",
        organization_id=organization.pk,
        source=source,
        parent_id=parent,
        session_id=parent if source == "session" else "",
        chat_id=parent if source == "chat" else "",
        position=position,
        kind="model",
        analysis_type="",
        provider="openai",
        model="gpt-4o",
        prompt_tokens=None,
        completion_tokens=None,
        cached_prompt_tokens=None,
        reasoning_tokens=None,
        cost_pico=None if usd is None else to_pico(Decimal(usd)),
        occurred_at=NOON,
        assistant_id="a1",
        squad_id="",
        phone_number_id="",
    )
    return row._replace(**fields)


def reported(
    organization: Organization, usd: str | None, *, parent: str = "s1", source: str = "session", **fields: Any
) -> ReportedRow:
    row = ReportedRow(
        id=f"{source}:{parent}",
        organization_id=organization.pk,
        source=source,
        parent_id=parent,
        cost_pico=None if usd is None else to_pico(Decimal(usd)),
        occurred_at=NOON,
        assistant_id="a1",
        squad_id="",
        phone_number_id="",
    )
    return row._replace(**fields)


def store(organization: Organization, *rows: LineRow | ReportedRow) -> None:
    """Store the rows, the sessions and chats they belong to, and the rollup."""
    lines = [row for row in rows if isinstance(row, LineRow)]
    totals = [row for row in rows if isinstance(row, ReportedRow)]
    with transaction.atomic():
        _store_parents(totals, lines)
        CostLine.objects.bulk_create(CostLine(**_columns(row)) for row in lines)
        ReportedCost.objects.bulk_create(ReportedCost(**_columns(row)) for row in totals)
        change(organization, new=rows)


def change(
    organization: Organization,
    *,
    old: Iterable[LineRow | ReportedRow] = (),
    new: Iterable[LineRow | ReportedRow] = (),
) -> None:
    with connection.cursor() as cursor:
        add_sums(cursor, difference(ZoneInfo(organization.report_time_zone), old, new))


def _columns(row: LineRow | ReportedRow) -> dict[str, Any]:
    columns = row._asdict()
    pico = columns.pop("cost_pico")
    return {**columns, "cost_usd": None if pico is None else Decimal(pico).scaleb(-12)}


def _store_parents(totals: list[ReportedRow], lines: list[LineRow]) -> None:
    for total in totals:
        amounts = [
            row.cost_pico
            for row in lines
            if (row.source, row.parent_id) == (total.source, total.parent_id) and row.cost_pico is not None
        ]
        common = {
            "id": total.parent_id,
            "organization_id": total.organization_id,
            "assistant_id": total.assistant_id,
            "squad_id": total.squad_id,
            "cost_usd": _columns(total)["cost_usd"],
            "itemized_cost_usd": Decimal(sum(amounts)).scaleb(-12) if amounts else None,
            "created_at": total.occurred_at,
            "updated_at": total.occurred_at,
            "asked_at": total.occurred_at,
            "synced_at": total.occurred_at,
        }
        if total.source == Source.CHAT:
            Chat.objects.create(**common)
        else:
            Session.objects.create(
                **common,
                phone_number_id=total.phone_number_id,
                expires_at=total.occurred_at,
                idle_expires_at=total.occurred_at,
            )
