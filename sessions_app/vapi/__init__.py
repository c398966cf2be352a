"""Vapi's HTTP and JSON: client, payloads, errors, redaction. Knows no rows and no Django."""

from sessions_app.vapi.answers import BrokenResult, Fetched, Page
from sessions_app.vapi.client import Listing, VapiClient
from sessions_app.vapi.costs import CostEntry
from sessions_app.vapi.errors import Gone, Refused, Unavailable, VapiError, WritesOff
from sessions_app.vapi.fields import BadRecord
from sessions_app.vapi.json import BadJson, JsonObject, dump_payload, load_payload
from sessions_app.vapi.messages import SEARCH_BYTES, ToolCall, Turn, parse_turns, spoken_words
from sessions_app.vapi.money import BadMoney, format_usd, parse_usd
from sessions_app.vapi.payloads import (
    ChatRecord,
    NameRecord,
    Record,
    SessionRecord,
    chat_turns,
    parse_chat,
    parse_name,
    parse_session,
)
from sessions_app.vapi.redaction import REDACTED, redact
from sessions_app.vapi.text import make_safe

__all__ = [
    "REDACTED",
    "SEARCH_BYTES",
    "BadJson",
    "BadMoney",
    "BadRecord",
    "BrokenResult",
    "ChatRecord",
    "CostEntry",
    "Fetched",
    "Gone",
    "JsonObject",
    "Listing",
    "NameRecord",
    "Page",
    "Record",
    "Refused",
    "SessionRecord",
    "ToolCall",
    "Turn",
    "Unavailable",
    "VapiClient",
    "VapiError",
    "WritesOff",
    "chat_turns",
    "dump_payload",
    "format_usd",
    "load_payload",
    "make_safe",
    "parse_chat",
    "parse_name",
    "parse_session",
    "parse_turns",
    "parse_usd",
    "redact",
    "spoken_words",
]
