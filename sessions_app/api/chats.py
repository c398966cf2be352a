"""Chats over REST: list and read."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from sessions_app.api import documents
from sessions_app.api.lists import (
    ListView,
    Row,
    columns_of,
    list_parameters,
    organization_slugs,
    stored_json,
    with_organization,
)
from sessions_app.api.permissions import reader_of
from sessions_app.api.views import RestView, refuse_unknown
from sessions_app.models import Chat
from sessions_app.models.access import Scope
from sessions_app.models.runs import Stream
from sessions_app.search.filters import ChatFilterSet
from sessions_app.search.orders import CHAT_ORDERS

COLUMNS = columns_of(
    Chat,
    (
        *("id", "organization_id", "session_id", "previous_chat_id", "assistant_id", "squad_id", "name"),
        *("created_at", "updated_at", "cost_usd", "itemized_cost_usd", "message_count", "failed_tool_count"),
        *("synced_at", "missing_since", "missing_reason"),
    ),
)


class ChatList(ListView):
    """Chats, the newest first, without their payloads."""

    required_scopes = {"GET": Scope.SESSIONS_READ}
    required_permissions = {"GET": "sessions_app.view_chat"}
    rows = Chat.objects
    filter_set = ChatFilterSet
    keyset = CHAT_ORDERS
    default_ordering = "-created_at"
    columns = COLUMNS
    complete_streams = (Stream.CHATS,)

    @extend_schema(
        operation_id="chats_list",
        parameters=list_parameters(ChatFilterSet, CHAT_ORDERS),
        responses=documents.page_of(documents.ChatRow),
    )
    def get(self, request: Request, **path: str) -> Response:
        return super().get(request, **path)


class ChatDetail(RestView):
    required_scopes = {"GET": Scope.SESSIONS_READ}
    required_permissions = {"GET": "sessions_app.view_chat"}

    @extend_schema(operation_id="chats_read", responses=documents.ChatDetail)
    def get(self, request: Request, chat_id: str) -> Response:
        """One chat with its payload."""
        refuse_unknown(request.query_params, frozenset())
        rows = Chat.objects.visible_to(reader_of(request)).select_related("stored_payload")
        chat = rows.filter(pk=chat_id).first()
        if chat is None:
            raise NotFound("There is no such chat here.")
        payload = getattr(chat, "stored_payload", None)
        row: Row = {name: getattr(chat, name) for name in COLUMNS}
        slugs = organization_slugs(request)
        return Response(
            {
                **with_organization(row, slugs),
                "payload": stored_json(payload.payload_json if payload else None),
            }
        )
