"""Owns what the search box understands: an id or its beginning, names, customers, parts of numbers, words said.

Each reading is a subquery of its own over an index; their union is what is found. An OR in one condition would
make the database walk all sessions instead.
"""

from __future__ import annotations

import re
from typing import Any

from django.db.models import Q, QuerySet

from sessions_app.models import Chat, Session
from sessions_app.search.words import (
    SHORTEST_PART,
    few_or_query,
    matching_chat_ids,
    matching_session_ids,
    next_prefix,
    numbers_with,
)

SHORTEST_ID_PART = 4
# Digits as people write numbers: +49 (151) 23-45.
_NUMBER = re.compile(r"[+(]?[\d\s()./+-]*\d[\d\s()./+-]*\Z")


def search_sessions(sessions: QuerySet[Session], text: str) -> QuerySet[Session]:
    """Return the sessions that the text of the search box means."""
    text = text.strip()
    readings: list[QuerySet[Any, Any]] = []
    if _may_begin_an_id(text):
        readings.append(Session.objects.filter(begins("id", text)).order_by().values_list("pk", flat=True))
    part = digits_in(text)
    if len(part) >= SHORTEST_PART:
        readings.append(
            Session.objects.filter(customer_digits__in=numbers_with(part))
            .order_by()
            .values_list("pk", flat=True)
        )
    readings.append(matching_session_ids(text, names_too=True))
    found = readings[0].union(*readings[1:]) if len(readings) > 1 else readings[0]
    return sessions.filter(pk__in=few_or_query(found))


def search_chats(chats: QuerySet[Chat], text: str) -> QuerySet[Chat]:
    """Return the chats that the text of the search box means: an id or its beginning, names, words said."""
    text = text.strip()
    words = matching_chat_ids(text, names_too=True)
    if not _may_begin_an_id(text):
        return chats.filter(pk__in=few_or_query(words))
    ids = Chat.objects.filter(begins("id", text)).order_by().values_list("pk", flat=True)
    return chats.filter(pk__in=few_or_query(ids.union(words)))


def digits_in(text: str) -> str:
    """Return the digits of a text that is written like a phone number or a part of one, else ''."""
    return re.sub(r"[^0-9]", "", text) if _NUMBER.match(text) else ""


def begins(column: str, prefix: str) -> Q:
    """Return the condition that a column begins with `prefix`, as a range that a plain index serves."""
    return Q(**{f"{column}__gte": prefix, f"{column}__lt": next_prefix(prefix)})


def _may_begin_an_id(text: str) -> bool:
    return len(text) >= SHORTEST_ID_PART and not any(character.isspace() for character in text)
