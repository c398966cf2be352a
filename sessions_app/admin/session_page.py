"""What the page of a session shows, read in a fixed number of queries. Fetches nothing and changes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from django.contrib.auth.models import AnonymousUser, User
from django.utils import timezone

from sessions_app.admin.conversation import MOST_TURNS, Conversation, show_conversation
from sessions_app.admin.names import Names, read_names
from sessions_app.customers.present import Customer, present_customer
from sessions_app.mirror.holds import holds_on
from sessions_app.models import Chat, CostLine, Edit, LegalHold, Organization, Session
from sessions_app.models.costs import Source
from sessions_app.models.edits import UNDER_WAY_STATES, EditState
from sessions_app.models.organizations import WriteMode
from sessions_app.vapi.json import JsonObject, load_payload
from sessions_app.vapi.messages import Turn, parse_turns
from sessions_app.vapi.payloads import DEFAULT_EXPIRATION_SECONDS, chat_turns

Who = User | AnonymousUser
MOST_CHATS = 20
MOST_EDITS = 20
MOST_LINES = 200


@dataclass(frozen=True)
class ShownChat:
    chat: Chat
    conversation: Conversation


@dataclass(frozen=True)
class Costs:
    lines: tuple[CostLine, ...]
    is_cut: bool
    reported_usd: Decimal | None
    itemized_usd: Decimal | None

    @property
    def difference_usd(self) -> Decimal | None:
        if self.reported_usd is None or self.itemized_usd is None:
            return None
        return self.reported_usd - self.itemized_usd


@dataclass(frozen=True)
class SessionHead:
    """The upper part and the edits: what is asked for again while an edit is under way."""

    session: Session
    organization: Organization
    customer: Customer
    names: Names
    edits: tuple[Edit, ...]
    can_edit: bool
    # Legal holds in force that keep it.
    holds: tuple[LegalHold, ...] = ()

    @property
    def assistant(self) -> str:
        return self.names.assistant(self.session.assistant_id)

    @property
    def squad(self) -> str:
        return self.names.squad(self.session.squad_id)

    @property
    def phone_number(self) -> str:
        return self.names.phone_number(self.session.phone_number_id)

    @property
    def expiration_seconds(self) -> int:
        seconds = self.session.expiration_seconds
        return DEFAULT_EXPIRATION_SECONDS if seconds is None else seconds

    @property
    def is_expired(self) -> bool:
        return self.session.expires_at <= timezone.now()

    @property
    def is_idle_expired(self) -> bool:
        return self.session.idle_expires_at <= timezone.now()

    @property
    def pending(self) -> tuple[Edit, ...]:
        return tuple(edit for edit in self.edits if edit.state in UNDER_WAY_STATES)

    @property
    def conflicts(self) -> tuple[Edit, ...]:
        return tuple(edit for edit in self.edits if edit.state == EditState.CONFLICT)

    @property
    def may_have_more_edits(self) -> bool:
        return len(self.edits) == MOST_EDITS

    @property
    def poll_seconds(self) -> int:
        """How often the page asks for the state of edits; 0 for not at all."""
        if not self.pending:
            return 0
        return 2 if self.organization.write_mode == WriteMode.ON else 10


@dataclass(frozen=True)
class SessionPage:
    head: SessionHead
    conversation: Conversation
    chats: tuple[ShownChat, ...]
    more_chats: bool
    costs: Costs | None


def read_head(who: Who, session: Session) -> SessionHead:
    """Three queries beside the session's own: names, edits and legal holds."""
    edits = (
        Edit.objects.visible_to(who)
        .filter(session_id=session.id)
        .select_related("author", "token", "organization")
    )
    ids = (session.assistant_id, session.squad_id, session.phone_number_id)
    return SessionHead(
        session=session,
        organization=session.organization,
        customer=present_customer(session),
        names=read_names(who, ids),
        edits=tuple(edits.order_by("-id")[:MOST_EDITS]) if _may(who, "view_edit") else (),
        can_edit=_may(who, "edit_session"),
        holds=tuple(holds_on(LegalHold.objects.visible_to(who), session)),
    )


def read_session_page(who: Who, session: Session, *, whole: bool = False) -> SessionPage:
    """Read the page of a session that came with its organization and stored payload."""
    head = read_head(who, session)
    customer = "Customer" if head.customer.is_anonymous else head.customer.title
    chats = _read_chats(who, session)
    return SessionPage(
        head=head,
        conversation=_show(parse_turns(_payload(session).get("messages")), head, customer, whole=whole),
        chats=tuple(
            ShownChat(chat, _show(chat_turns(_payload(chat)), head, customer)) for chat in chats[:MOST_CHATS]
        ),
        more_chats=len(chats) > MOST_CHATS,
        costs=read_costs(who, Source.SESSION, session) if _may(who, "view_costline") else None,
    )


def _show(turns: list[Turn], head: SessionHead, customer: str, *, whole: bool = False) -> Conversation:
    most = None if whole else MOST_TURNS
    return show_conversation(turns, customer=customer, assistant=head.assistant or "Assistant", most=most)


def _read_chats(who: Who, session: Session) -> list[Chat]:
    if not _may(who, "view_chat"):
        return []
    chats = Chat.objects.visible_to(who).filter(session_id=session.id).select_related("stored_payload")
    return list(chats.order_by("created_at", "id")[: MOST_CHATS + 1])


def read_costs(who: Who, source: Source, parent: Session | Chat) -> Costs:
    """Read a session's or chat's own cost lines. One query."""
    found = CostLine.objects.visible_to(who).filter(source=source, parent_id=parent.pk)
    lines = list(found.order_by("position")[: MOST_LINES + 1])
    return Costs(
        lines=tuple(lines[:MOST_LINES]),
        is_cut=len(lines) > MOST_LINES,
        reported_usd=parent.cost_usd,
        itemized_usd=parent.itemized_cost_usd,
    )


def _payload(row: Session | Chat) -> JsonObject:
    stored = getattr(row, "stored_payload", None)
    return load_payload(stored.payload_json) if stored else {}


def _may(who: Who, permission: str) -> bool:
    return who.has_perm(f"sessions_app.{permission}")


@dataclass(frozen=True)
class Contact:
    label: str
    icon: str
    value: str


def contacts(customer: Customer) -> list[Contact]:
    """The ways to a customer, without the one that is the title already."""
    ways = [
        Contact("Number", "call", customer.number),
        Contact("E-mail", "mail", customer.email),
        Contact("External id", "badge", customer.external_id),
        Contact("SIP address", "dialer_sip", customer.sip_uri),
    ]
    return [way for way in ways if way.value and way.value != customer.title]
