"""Owns sessions, chats and names as typed records made from remote JSON; knows not how they are stored."""

from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cached_property
from typing import Any, get_type_hints

from sessions_app.vapi.costs import CostEntry, parse_costs
from sessions_app.vapi.fields import BadRecord, Fields
from sessions_app.vapi.fingerprints import chat_fingerprint, content_hash, session_fingerprint
from sessions_app.vapi.json import JsonObject, dump_payload, load_payload
from sessions_app.vapi.messages import Said, Turn, look_through, parse_turns
from sessions_app.vapi.schema import CHAT, SESSION
from sessions_app.vapi.unknown import Unknown, unknown_in
from sessions_app.vapi.words import Words, index_of

__all__ = [
    "BadRecord",
    "ChatRecord",
    "CostEntry",
    "NameRecord",
    "Record",
    "SessionRecord",
    "chat_turns",
    "parse_chat",
    "parse_name",
    "parse_session",
]

DEFAULT_EXPIRATION_SECONDS = 86_400
_DEFAULT_EXPIRATION = timedelta(seconds=DEFAULT_EXPIRATION_SECONDS)
_MOST_SECONDS = 2**31 - 1


@dataclass(frozen=True, kw_only=True, init=False)
class Record:
    """What sessions and chats share. Strings are whole and '' for none; oddities read "name: list"."""

    id: str
    org_id: str
    created_at: datetime
    updated_at: datetime
    name: str | None
    assistant_id: str
    squad_id: str
    cost_usd: Decimal | None
    message_count: int
    costs: tuple[CostEntry, ...]
    text_replaced: bool
    oddities: tuple[str, ...]

    def __init__(self, values: dict[str, Any]) -> None:
        """Takes every field at once: a frozen dataclass of its own accord sets one after the other, which is slow."""
        self.__dict__.update(values)

    @cached_property
    def payload(self) -> JsonObject:
        """All of it. A record that was prepared has it as JSON alone: few who store it look into it."""
        return load_payload(self.payload_json)

    @cached_property
    def payload_json(self) -> str:
        return dump_payload(self.payload)

    @cached_property
    def content_hash(self) -> str:
        """Over all of the payload but what is signed anew in every answer."""
        return content_hash(self.payload)

    @property
    def messages(self) -> list[Any]:
        raise NotImplementedError

    @cached_property
    def said(self) -> Said:
        """Looked for only where it is stored: most records that come are stored already."""
        return look_through(self.messages)

    @property
    def words(self) -> str:
        return self.said.words

    @cached_property
    def failed_tool_count(self) -> int:
        return self.said.failures

    @cached_property
    def blank_content(self) -> bool:
        return self.said.is_silent

    @property
    def labels(self) -> str:
        raise NotImplementedError

    @cached_property
    def index(self) -> Words:
        """What it is found by."""
        return index_of(self.labels, self.words)

    @cached_property
    def fingerprint(self) -> str:
        """Cheap to compute, and different whenever something that people look at is."""
        raise NotImplementedError

    @cached_property
    def unknown(self) -> tuple[Unknown, ...]:
        """What of it vapi/schema.py does not name."""
        raise NotImplementedError

    def prepare(self) -> None:
        """Make now what is otherwise made when it is first asked for: all of it is needed to store a record.

        What it was made of is let go: the next record finds that memory free, and still in the processor's cache.
        """
        _ = self.payload_json, self.content_hash, self.fingerprint, self.index, self.unknown
        _ = self.failed_tool_count, self.blank_content
        for name in ("payload", "said"):
            self.__dict__.pop(name, None)


# Made of a record by `prepare`, beside its own fields.
_MADE = (
    "payload_json",
    "content_hash",
    "fingerprint",
    "index",
    "unknown",
    "failed_tool_count",
    "blank_content",
)


def prepared_values(kind: type[Record]) -> dict[str, Any]:
    """Return the names of all that storing such a record takes, with their types. `kind` makes a record of them: its
    payload is made again where somebody looks into it."""
    own = get_type_hints(kind)
    made = {name: get_type_hints(getattr(kind, name).func)["return"] for name in _MADE}
    return {field.name: own[field.name] for field in fields(kind)} | made


@dataclass(frozen=True, kw_only=True, init=False)
class SessionRecord(Record):
    """One session. `expires_at` counts from its creation, `idle_expires_at` from its last update."""

    status: str
    expiration_seconds: int | None
    expires_at: datetime
    idle_expires_at: datetime
    phone_number_id: str
    customer_id: str
    customer_number: str
    customer_name: str
    customer_email: str
    customer_external_id: str
    customer_sip_uri: str

    @property
    def messages(self) -> list[Any]:
        messages = self.payload.get("messages")
        return messages if isinstance(messages, list) else []

    @cached_property
    def fingerprint(self) -> str:
        return session_fingerprint(
            self.status,
            self.name,
            self.cost_usd,
            self.expiration_seconds,
            self.message_count,
            len(self.costs),
            self.customer_id,
            self._customer,
        )

    @property
    def labels(self) -> str:
        return "\n".join(filter(None, (self.name, *self._customer)))

    @cached_property
    def unknown(self) -> tuple[Unknown, ...]:
        return unknown_in(self.payload, SESSION)

    @property
    def _customer(self) -> tuple[str, ...]:
        return (
            self.customer_number,
            self.customer_name,
            self.customer_email,
            self.customer_external_id,
            self.customer_sip_uri,
        )


@dataclass(frozen=True, kw_only=True, init=False)
class ChatRecord(Record):
    """One chat; its messages are the input and the output, not the context that came before."""

    session_id: str
    previous_chat_id: str

    @property
    def messages(self) -> list[Any]:
        return _chat_messages(Fields(self.payload, []))

    @cached_property
    def fingerprint(self) -> str:
        return chat_fingerprint(
            self.name, self.cost_usd, self.message_count, len(self.costs), self.session_id
        )

    @property
    def labels(self) -> str:
        return self.name or ""

    @cached_property
    def unknown(self) -> tuple[Unknown, ...]:
        return unknown_in(self.payload, CHAT)


@dataclass(frozen=True)
class NameRecord:
    """What an assistant, a squad or a phone number is called."""

    kind: str
    remote_id: str
    name: str
    updated_at: datetime


def parse_session(payload: object, *, text_replaced: bool = False) -> SessionRecord:
    """Raises `BadRecord` where an id, an orgId or a time is missing or odd; nothing else loses a record."""
    fields = _fields(payload)
    messages = fields.listed("messages")
    customer = fields.inner("customer")
    created_at, updated_at = fields.required_time("createdAt"), fields.required_time("updatedAt")
    expiration_seconds = fields.integer("expirationSeconds", _MOST_SECONDS)
    return SessionRecord(
        {
            **_shared(fields, messages, text_replaced),
            "created_at": created_at,
            "updated_at": updated_at,
            "status": fields.text("status"),
            "expiration_seconds": expiration_seconds,
            "expires_at": _later("createdAt", created_at, expiration_seconds),
            "idle_expires_at": _later("updatedAt", updated_at, expiration_seconds),
            "phone_number_id": fields.text("phoneNumberId"),
            "customer_id": fields.text("customerId"),
            "customer_number": customer.text("number"),
            "customer_name": customer.text("name"),
            "customer_email": customer.text("email"),
            "customer_external_id": customer.text("externalId"),
            "customer_sip_uri": customer.text("sipUri"),
            "oddities": tuple(fields.oddities),
        }
    )


def parse_chat(payload: object, *, text_replaced: bool = False) -> ChatRecord:
    """Raises `BadRecord` as `parse_session` does."""
    fields = _fields(payload)
    messages = _chat_messages(fields)
    return ChatRecord(
        {
            **_shared(fields, messages, text_replaced),
            "created_at": fields.required_time("createdAt"),
            "updated_at": fields.required_time("updatedAt"),
            "session_id": fields.text("sessionId"),
            "previous_chat_id": fields.text("previousChatId"),
            "oddities": tuple(fields.oddities),
        }
    )


def parse_name(payload: object, kind: str) -> NameRecord:
    """A phone number without a name is called by its number."""
    fields = _fields(payload)
    name = fields.text("name") or fields.text("number")
    return NameRecord(kind, fields.required_id("id"), name, fields.required_time("updatedAt"))


def chat_turns(payload: JsonObject) -> list[Turn]:
    """Input, then output, with positions over both."""
    return parse_turns(_chat_messages(Fields(payload, [])))


def _fields(payload: object) -> Fields:
    if not isinstance(payload, dict):
        raise BadRecord("", "not an object")
    return Fields(payload, [])


def _shared(fields: Fields, messages: list[Any], text_replaced: bool) -> dict[str, Any]:
    return {
        "id": fields.required_id("id"),
        "org_id": fields.required_id("orgId"),
        "name": fields.optional_text("name"),
        "assistant_id": fields.text("assistantId"),
        "squad_id": fields.text("squadId"),
        "cost_usd": fields.usd("cost"),
        "message_count": len(messages),
        "costs": parse_costs(fields),
        "payload": fields.payload,
        "text_replaced": text_replaced,
    }


def _chat_messages(fields: Fields) -> list[Any]:
    return _chat_input(fields) + fields.listed("output")


def _chat_input(fields: Fields) -> list[Any]:
    value = fields.payload.get("input")
    if isinstance(value, str):
        return [{"role": "user", "content": value}]
    return fields.listed("input")


def _later(field: str, start: datetime, seconds: int | None) -> datetime:
    try:
        return start + (_DEFAULT_EXPIRATION if seconds is None else timedelta(seconds=seconds))
    except OverflowError:
        pass
    raise BadRecord(field, "out of range")
