"""Why a search found a row, where the row itself does not show it: what was said, or what of the customer it was.

Lists never read payloads; this is asked for by the page when its rows are shown already, in a fixed number of queries.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.contrib.auth.models import AnonymousUser, User
from django.db.models import QuerySet

from sessions_app.admin.session_page import contacts
from sessions_app.models import Chat, Session
from sessions_app.search.excerpts import Excerpt, find_excerpt
from sessions_app.search.sought import Piece, Sought
from sessions_app.vapi.json import load_payload
from sessions_app.vapi.messages import Turn, parse_turns
from sessions_app.vapi.payloads import chat_turns

if TYPE_CHECKING:
    from sessions_app.admin.chats import ChatRow
    from sessions_app.admin.sessions import SessionRow

Who = User | AnonymousUser
# What is read for one page: beyond it rows stand without a line.
MOST_CHARACTERS = 20_000_000
MOST_CHATS = 400
# Payloads in memory at a time.
_AT_ONCE = 10
_SPEAKERS = {"user": "Customer", "assistant": "Assistant", "tool": "Tool", "other": "Other"}


@dataclass(frozen=True)
class Said:
    """The line that stands below a row: who said it, or which field it is, and the text with what was found."""

    row_id: str
    label: str
    pieces: Sequence[Piece]
    is_in_chat: bool = False


def said_in_sessions(who: Who, rows: Sequence[SessionRow], sought: Sought) -> list[Said]:
    """Three queries at most, and none where the rows show it all."""
    asked = [row for row in rows if not sought.is_shown(row.session.pk, row.shown)]
    if not (asked and sought.words):
        return []
    own = _excerpts(_session_turns(who, [row.session.pk for row in asked]), sought)
    whole = {session_id for session_id, excerpt in own.items() if excerpt.word_count == len(sought.words)}
    in_chats = _in_chats(who, [row.session.pk for row in asked if row.session.pk not in whole], sought)
    said = (_said_of(row, sought, own.get(row.session.pk), in_chats.get(row.session.pk)) for row in asked)
    return [each for each in said if each is not None]


def said_in_chats(who: Who, rows: Sequence[ChatRow], sought: Sought) -> list[Said]:
    """One query; none where the rows show it all."""
    asked = [row.chat.pk for row in rows if not sought.is_shown(row.chat.pk, row.shown)]
    if not (asked and sought.words):
        return []
    found = _excerpts(_chat_turns(who, asked), sought)
    return [Said(chat_id, _speaker(excerpt), excerpt.pieces) for chat_id, excerpt in found.items()]


def _said_of(row: SessionRow, sought: Sought, own: Excerpt | None, in_chat: Excerpt | None) -> Said | None:
    """Of a customer's field, the conversation and its chats the one that shows most of it; of equals the first."""
    row_id = row.session.pk
    found: list[tuple[int, Said]] = []
    for contact in contacts(row.customer):
        pieces = sought.pieces(contact.value)
        if count := sum(piece.is_found for piece in pieces):
            found.append((min(count, len(sought.words)), Said(row_id, contact.label, pieces)))
    if own:
        found.append((own.word_count, Said(row_id, _speaker(own), own.pieces)))
    if in_chat:
        found.append((in_chat.word_count, Said(row_id, _speaker(in_chat), in_chat.pieces, is_in_chat=True)))
    return max(found, key=lambda each: each[0])[1] if found else None


def _speaker(excerpt: Excerpt) -> str:
    return excerpt.tool or _SPEAKERS[excerpt.kind]


def _excerpts(turns: Iterable[tuple[str, list[Turn]]], sought: Sought) -> dict[str, Excerpt]:
    found = ((row_id, find_excerpt(said, sought)) for row_id, said in turns)
    return {row_id: excerpt for row_id, excerpt in found if excerpt is not None}


def _session_turns(who: Who, ids: Sequence[str]) -> Iterator[tuple[str, list[Turn]]]:
    for session_id, payload_json in _payloads(Session.objects.visible_to(who).filter(pk__in=ids)):
        yield session_id, parse_turns(load_payload(payload_json).get("messages"))


def _chat_turns(who: Who, ids: Sequence[str]) -> Iterator[tuple[str, list[Turn]]]:
    for chat_id, payload_json in _payloads(Chat.objects.visible_to(who).filter(pk__in=ids)):
        yield chat_id, chat_turns(load_payload(payload_json))


def _payloads(rows: QuerySet[Session] | QuerySet[Chat]) -> Iterator[tuple[str, str]]:
    """Their ids and payloads, as many as fit."""
    left = MOST_CHARACTERS
    stored = rows.filter(stored_payload__isnull=False).values_list("pk", "stored_payload__payload_json")
    for row_id, payload_json in stored.iterator(_AT_ONCE):
        left -= len(payload_json)
        if left < 0:
            return
        yield row_id, payload_json


def _in_chats(who: Who, session_ids: Sequence[str], sought: Sought) -> dict[str, Excerpt]:
    """The line of each session's chats that shows most of it."""
    if not (session_ids and who.has_perm("sessions_app.view_chat")):
        return {}
    chats = Chat.objects.visible_to(who).filter(session_id__in=session_ids).order_by("-created_at", "-id")
    sessions = dict(chats.values_list("pk", "session_id")[:MOST_CHATS])
    best: dict[str, Excerpt] = {}
    for chat_id, excerpt in _excerpts(_chat_turns(who, list(sessions)), sought).items():
        known = best.get(sessions[chat_id])
        if known is None or excerpt.word_count > known.word_count:
            best[sessions[chat_id]] = excerpt
    return best
