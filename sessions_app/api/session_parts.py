"""What belongs to one session over REST: its chats, its cost lines (and its chats'), its edits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from sessions_app.api import chats, cost_lines, documents, edits
from sessions_app.api.lists import ListView, list_parameters
from sessions_app.api.sessions import session_of
from sessions_app.models.scopes import ScopedQuerySet
from sessions_app.search.filters import ChatFilterSet, CostLineFilterSet, EditFilterSet
from sessions_app.search.orders import CHAT_ORDERS, COST_LINE_ORDERS


class _OfSession(ListView):
    """A list of what belongs to the session of the path; 404 where there is no such session."""

    def narrowed(self, queryset: ScopedQuerySet[Any], path: Mapping[str, str]) -> QuerySet[Any]:
        session = session_of(self.request, path["session_id"])
        return queryset.filter(session_id=session.pk)


class SessionChats(_OfSession, chats.ChatList):
    """The chats of one session."""

    @extend_schema(
        operation_id="sessions_chats",
        parameters=list_parameters(ChatFilterSet, CHAT_ORDERS),
        responses=documents.page_of(documents.ChatRow),
    )
    def get(self, request: Request, **path: str) -> Response:
        return super().get(request, **path)


class SessionCosts(_OfSession, cost_lines.CostLineList):
    """The cost lines of one session, those of its chats included."""

    @extend_schema(
        operation_id="sessions_costs",
        parameters=list_parameters(CostLineFilterSet, COST_LINE_ORDERS),
        responses=documents.page_of(documents.CostLineRow),
    )
    def get(self, request: Request, **path: str) -> Response:
        return super().get(request, **path)


class SessionEdits(_OfSession, edits.EditList):
    """The edits of one session."""

    @extend_schema(
        operation_id="sessions_edits",
        parameters=list_parameters(EditFilterSet, edits.KEYSET),
        responses=documents.page_of(documents.EditRow),
    )
    def get(self, request: Request, **path: str) -> Response:
        return super().get(request, **path)
