"""What the page of a chat shows, read in a fixed number of queries."""

from __future__ import annotations

from dataclasses import dataclass

from django.contrib.auth.models import AnonymousUser, User

from sessions_app.admin.conversation import Conversation, show_conversation
from sessions_app.admin.names import Names, read_names
from sessions_app.admin.pretty import pretty_text
from sessions_app.admin.session_page import Costs, read_costs
from sessions_app.customers.present import Customer, present_customer
from sessions_app.models import Chat, Session
from sessions_app.models.costs import Source
from sessions_app.vapi.json import load_payload
from sessions_app.vapi.payloads import chat_turns


@dataclass(frozen=True)
class ChatPage:
    chat: Chat
    session: Session | None
    customer: Customer | None
    names: Names
    conversation: Conversation
    costs: Costs | None
    payload: str
    next_chats: tuple[Chat, ...]

    @property
    def assistant(self) -> str:
        return self.names.assistant(self.chat.assistant_id) or self.names.squad(self.chat.squad_id)


def read_chat_page(who: User | AnonymousUser, chat: Chat) -> ChatPage:
    """Read the page of a chat that came with its organization and stored payload."""
    session = Session.objects.visible_to(who).filter(pk=chat.session_id).first()
    customer = present_customer(session) if session else None
    names = read_names(who, (chat.assistant_id, chat.squad_id))
    stored = getattr(chat, "stored_payload", None)
    text = stored.payload_json if stored else ""
    following = Chat.objects.visible_to(who).filter(previous_chat_id=chat.pk).order_by("created_at", "id")
    return ChatPage(
        chat=chat,
        session=session,
        customer=customer,
        names=names,
        conversation=show_conversation(
            chat_turns(load_payload(text)) if text else [],
            customer=customer.title if customer and not customer.is_anonymous else "Customer",
            assistant=names.assistant(chat.assistant_id) or "Assistant",
            most=None,
        ),
        costs=read_costs(who, Source.CHAT, chat) if who.has_perm("sessions_app.view_costline") else None,
        payload=pretty_text(text),
        next_chats=tuple(following[:5]),
    )
