"""Cost lines over REST."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from sessions_app.api import documents
from sessions_app.api.lists import ListView, columns_of, list_parameters
from sessions_app.models import CostLine
from sessions_app.models.access import Scope
from sessions_app.models.runs import Stream
from sessions_app.search.filters import CostLineFilterSet
from sessions_app.search.orders import COST_LINE_ORDERS


class CostLineList(ListView):
    """Cost lines of sessions and chats, the newest first."""

    required_scopes = {"GET": Scope.COSTS_READ}
    rows = CostLine.objects
    filter_set = CostLineFilterSet
    keyset = COST_LINE_ORDERS
    default_ordering = "-occurred_at"
    complete_streams = (Stream.SESSIONS, Stream.CHATS)
    columns = columns_of(
        CostLine,
        (
            *("id", "organization_id", "source", "session_id", "chat_id", "position", "kind"),
            *("analysis_type", "provider", "model", "prompt_tokens", "completion_tokens"),
            *("cached_prompt_tokens", "reasoning_tokens", "cost_usd"),
            *("assistant_id", "squad_id", "phone_number_id", "occurred_at"),
        ),
    )

    @extend_schema(
        operation_id="costs_list",
        parameters=list_parameters(CostLineFilterSet, COST_LINE_ORDERS),
        responses=documents.page_of(documents.CostLineRow),
    )
    def get(self, request: Request, **path: str) -> Response:
        return super().get(request, **path)
