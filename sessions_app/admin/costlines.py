"""The list of cost lines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from sessions_app.admin.filters import Choice, Control, Range, date_range
from sessions_app.admin.lists import Column, ListAdmin
from sessions_app.admin.names import read_names, read_speakers
from sessions_app.models import CostLine
from sessions_app.models.costs import Source
from sessions_app.search.filters import CostLineFilterSet
from sessions_app.search.orders import COST_LINE_ORDERS

# What Vapi documents today; another kind that comes by link is offered as it is.
_KINDS = (("model", "model"), ("analysis", "analysis"), ("session", "session"), ("chat", "chat"))


@dataclass(frozen=True)
class LineRow:
    line: CostLine
    assistant: str

    @property
    def parent_url_name(self) -> str:
        return f"admin:sessions_app_{self.line.source}_change"


@admin.register(CostLine)
class CostLineAdmin(ListAdmin):
    list_heading = "Cost lines"
    row_template = "admin/costlines/row.html"
    columns = (
        Column("Kind"),
        Column("Model"),
        Column("Assistant"),
        Column("Tokens in / out", "", "va-number"),
        Column("Cost", "cost_usd", "va-number"),
        Column("Of", ""),
        Column("Occurred", "occurred_at"),
    )
    keyset = COST_LINE_ORDERS
    default_ordering = "-occurred_at"
    filterset_class = CostLineFilterSet
    icon = "receipt_long"
    nothing_yet = "What Vapi itemizes of sessions and chats shows here once they are synced."

    def get_queryset(self, request: HttpRequest) -> QuerySet[CostLine]:
        return CostLine.objects.visible_to(request.user)

    def controls(self, request: HttpRequest) -> Sequence[Control]:
        return [
            Choice("source", "Of", Source.choices),
            Choice("kind", "Kind", _KINDS),
            *read_speakers(request.user),
            date_range("Occurred", "occurred_at"),
            Range("Cost", "cost_usd__gte", "cost_usd__lte", "number"),
        ]

    def prepare_rows(self, request: HttpRequest, rows: Sequence[CostLine]) -> Sequence[LineRow]:
        names = read_names(request.user, (row.assistant_id or row.squad_id for row in rows))
        return [LineRow(row, names.assistant(row.assistant_id) or names.squad(row.squad_id)) for row in rows]
