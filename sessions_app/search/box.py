"""Owns what the search box understands: an id or its beginning, names, customers, parts of numbers, words said.

Each reading of the text asks an index of its own; what one of them finds is found.
"""

from __future__ import annotations

import re
from functools import reduce
from operator import or_
from typing import Any

from django.db.models import Q, QuerySet

from sessions_app.models import Chat, Session
from sessions_app.search.readings import Reading, both, narrow
from sessions_app.search.words import (
    SHORTEST_PART,
    in_words_of_chat,
    in_words_of_session,
    matching_chat_ids,
    matching_session_ids,
    next_prefix,
    numbers_with,
)

SHORTEST_ID_PART = 4
# Digits as people write numbers: +49 (151) 23-45.
_NUMBER = re.compile(r"[+(]?[\d\s()./+-]*\d[\d\s()./+-]*\Z")
# What is dialled ahead of a number and is no part of it: 00 abroad, 0 at home, which some write as +49 (0)30.
_DIALLED_AHEAD = re.compile(r"\A00?")
_DIALLED_AT_HOME = re.compile(r"\(\s*0\s*\)")


def search_sessions(sessions: QuerySet[Session], text: str) -> QuerySet[Session]:
    """Return the sessions that the text of the search box means."""
    text = text.strip()
    words, number = split_number(text)
    numbers = [sessions_with_number(number)] if number else []
    if words and number:
        numbers = [both(Session, session_words(words, names_too=True), *numbers)]
    ids = [Reading(_ids(Session, condition), condition) for condition in _ids_beginning(text)]
    return narrow(sessions, [session_words(text, names_too=True), *numbers, *ids])


def search_chats(chats: QuerySet[Chat], text: str) -> QuerySet[Chat]:
    """Return the chats that the text of the search box means: an id or its beginning, names, words said."""
    text = text.strip()
    ids = [Reading(_ids(Chat, condition), condition) for condition in _ids_beginning(text)]
    return narrow(chats, [chat_words(text, names_too=True), *ids])


def session_words(text: str, *, names_too: bool = False) -> Reading:
    """Return what the words of sessions and of their chats find."""
    return Reading(
        matching_session_ids(text, names_too=names_too), in_words_of_session(text, names_too=names_too)
    )


def chat_words(text: str, *, names_too: bool = False) -> Reading:
    """Return what the words of chats find."""
    return Reading(matching_chat_ids(text, names_too=names_too), in_words_of_chat(text, names_too=names_too))


def sessions_with_number(text: str) -> Reading:
    """Return what number_parts(text), which must be some, find as parts of customers' numbers."""
    contains = (Q(customer_digits__contains=part) for part in number_parts(text))
    return Reading(_ids(Session, Q(customer_digits__in=numbers_meant(text))), reduce(or_, contains))


def split_number(text: str) -> tuple[str, str]:
    """Return the words of a text and the part of a number among them, '' where there are not three digits of one."""
    if number_parts(text):
        return "", text
    tokens = text.split()
    number = " ".join(token for token in tokens if digits_in(token))
    if not number_parts(number):
        return text, ""
    return " ".join(token for token in tokens if not digits_in(token)), number


def _ids(model: type[Session | Chat], condition: Q) -> QuerySet[Any, str]:
    return model._default_manager.filter(condition).order_by().values_list("pk", flat=True)


def digits_in(text: str) -> str:
    """Return the digits of a text that is written like a phone number or a part of one, else ''."""
    return re.sub(r"[^0-9]", "", text) if _NUMBER.match(text) else ""


def number_parts(text: str) -> list[str]:
    """Return the digits to look for, however the number is written: as they stand, and as +49 30 ... has them."""
    digits = digits_in(text)
    international = digits_in(_DIALLED_AT_HOME.sub("", text))
    spellings = (digits, international, _DIALLED_AHEAD.sub("", international, count=1))
    return [part for part in dict.fromkeys(spellings) if len(part) >= SHORTEST_PART]


def numbers_meant(text: str) -> QuerySet[Any, str]:
    """Return, for `customer_digits__in`, the known numbers with one of number_parts(text), which must have some."""
    first, *others = map(numbers_with, number_parts(text))
    return first.union(*others)


def begins(column: str, prefix: str) -> Q:
    """Return the condition that a column begins with `prefix`, as a range that a plain index serves."""
    return Q(**{f"{column}__gte": prefix, f"{column}__lt": next_prefix(prefix)})


def _ids_beginning(text: str) -> list[Q]:
    """Return conditions that find ids by their beginning: as typed, and in lower case, as Vapi writes them."""
    if len(text) < SHORTEST_ID_PART or any(character.isspace() for character in text):
        return []
    return [begins("id", spelling) for spelling in dict.fromkeys((text, text.lower()))]
