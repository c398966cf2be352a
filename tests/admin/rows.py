"""Sessions and chats as Vapi sends them, through the mirror into rows."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from sessions_app.mirror.names import mirror_names
from sessions_app.mirror.writer import mirror_chats, mirror_sessions
from sessions_app.models import Chat, Organization, Session
from sessions_app.vapi.json import parse_json
from sessions_app.vapi.payloads import NameRecord, parse_chat, parse_session

START = datetime(2026, 1, 31, 12, tzinfo=UTC)
ORG_ID = "org-1"


def say(role: str, content: str = "", **more: Any) -> dict[str, Any]:
    return {"role": role, "content": content, **more}


def call_tool(name: str, arguments: str, call_id: str = "call-1") -> dict[str, Any]:
    function = {"name": name, "arguments": arguments}
    return say("assistant", "", tool_calls=[{"id": call_id, "type": "function", "function": function}])


def answer_tool(content: str, call_id: str = "call-1") -> dict[str, Any]:
    return say("tool", content, tool_call_id=call_id)


def as_read(body: dict[str, Any]) -> Any:
    """Numbers as the client reads them: exact, never floats."""
    return parse_json(json.dumps(body))


def _times(minute: int) -> dict[str, str]:
    moment = (START + timedelta(minutes=minute)).isoformat().replace("+00:00", "Z")
    return {"createdAt": moment, "updatedAt": moment}


def mirror_session(
    organization: Organization, session_id: str = "session-1", minute: int = 0, **payload: Any
) -> Session:
    """A session with these fields of Vapi's, `minute` minutes after START."""
    body = {"id": session_id, "orgId": ORG_ID, "status": "active", **_times(minute), **payload}
    mirror_sessions(organization, [parse_session(as_read(body))], asked_at=START)
    return Session.objects.get(pk=session_id)


def mirror_chat(organization: Organization, chat_id: str = "chat-1", minute: int = 0, **payload: Any) -> Chat:
    body = {"id": chat_id, "orgId": ORG_ID, **_times(minute), **payload}
    mirror_chats(organization, [parse_chat(as_read(body))], asked_at=START)
    return Chat.objects.get(pk=chat_id)


def mirror_assistant(organization: Organization, remote_id: str, name: str) -> None:
    mirror_names(organization, [NameRecord("assistant", remote_id, name, START)])
