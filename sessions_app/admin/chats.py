"""The list of chats and the page of a chat."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from sessions_app.admin.chat_page import read_chat_page
from sessions_app.admin.filters import Control, Range, Toggle, date_range
from sessions_app.admin.lists import Column
from sessions_app.admin.names import read_names, read_speakers
from sessions_app.admin.said import Said, said_in_chats
from sessions_app.admin.search_first import SearchFirst
from sessions_app.customers.present import Customer, present_customer
from sessions_app.models import Chat, Session
from sessions_app.search.filters import ChatFilterSet
from sessions_app.search.orders import CHAT_ORDERS
from sessions_app.search.sought import Sought


@dataclass(frozen=True)
class ChatRow:
    chat: Chat
    assistant: str
    # Whose session it belongs to, where that is mirrored.
    customer: Customer | None

    @property
    def shown(self) -> tuple[str, ...]:
        """The texts of it in which what was searched for is seen."""
        return (self.chat.name or "",)


@admin.register(Chat)
class ChatAdmin(SearchFirst):
    search_url = "admin:sessions_app_chat_search"
    list_heading = "Chats"
    row_template = "admin/chats/row.html"
    search_placeholder = "Find by chat name or id, or words that were said"
    columns = (
        Column("Chat"),
        Column("Session"),
        Column("Assistant"),
        Column("Messages", "message_count", "va-number"),
        Column("Cost", "cost_usd", "va-number"),
        Column("Created", "created_at"),
    )
    keyset = CHAT_ORDERS
    filterset_class = ChatFilterSet
    icon = "chat"
    nothing_yet = "Chats show here once they are synced from Vapi."

    def get_queryset(self, request: HttpRequest) -> QuerySet[Chat]:
        return Chat.objects.visible_to(request.user)

    def controls(self, request: HttpRequest) -> Sequence[Control]:
        return [
            *read_speakers(request.user),
            date_range("Created", "created_at"),
            Range("Cost", "cost_usd__gte", "cost_usd__lte", "number"),
            Toggle("failed_tools", "Failed tools"),
            Toggle("missing", "Missing at Vapi"),
        ]

    def prepare_rows(self, request: HttpRequest, rows: Sequence[Chat]) -> Sequence[ChatRow]:
        names = read_names(request.user, (row.assistant_id or row.squad_id for row in rows))
        sessions = Session.objects.visible_to(request.user).in_bulk({row.session_id for row in rows})
        customers = {pk: present_customer(session) for pk, session in sessions.items()}
        return [
            ChatRow(
                row,
                names.assistant(row.assistant_id) or names.squad(row.squad_id),
                customers.get(row.session_id),
            )
            for row in rows
        ]

    def said_in(self, request: HttpRequest, rows: Sequence[Any], sought: Sought) -> list[Said]:
        return said_in_chats(request.user, rows, sought)

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        chats = self.get_queryset(request).select_related("organization", "stored_payload")
        chat = chats.filter(pk=unquote(object_id)).first()
        if chat is None:
            raise Http404
        context = {
            **self.admin_site.each_context(request),
            "title": "Chat",
            "opts": self.opts,
            "original": chat,
            "page": read_chat_page(request.user, chat),
        }
        return TemplateResponse(request, "admin/chats/page.html", context)
