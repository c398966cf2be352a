"""Rows made directly, as the mirror would have written them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection, transaction

from sessions_app.models import Chat, Organization, Session
from sessions_app.search.words import WordsRow, index_numbers, index_words
from sessions_app.vapi.words import index_of

START = datetime(2026, 8, 1, 12, tzinfo=UTC)


def make_session(organization: Organization, session_id: str, *, said: str = "", **columns: Any) -> Session:
    """Store a session and index it as the mirror does. `minute` moves its times."""
    at = START + timedelta(minutes=columns.pop("minute", 0))
    number = columns.get("customer_number", "")
    digits = "".join(filter(str.isdigit, number))
    times = dict.fromkeys(("created_at", "updated_at", "asked_at", "synced_at"), at)
    ends = dict.fromkeys(("expires_at", "idle_expires_at"), at + timedelta(days=1))
    values = {**times, **ends, "customer_digits": digits, "content_hash": "hash", **columns}
    session = Session.objects.create(id=session_id, organization=organization, **values)
    labels = " ".join(
        (session.name, session.customer_name, session.customer_email, session.customer_external_id)
    )
    index(organization, words_row("session", session_id, session_id, labels, said), digits)
    return session


def make_chat(organization: Organization, chat_id: str, *, said: str = "", **columns: Any) -> Chat:
    at = START + timedelta(minutes=columns.pop("minute", 0))
    times = dict.fromkeys(("created_at", "updated_at", "asked_at", "synced_at"), at)
    chat = Chat.objects.create(id=chat_id, organization=organization, **{**times, **columns})
    index(organization, words_row("chat", chat_id, chat.session_id, chat.name, said))
    return chat


def words_row(source: str, parent_id: str, session_id: str, labels: str, said: str) -> WordsRow:
    return WordsRow(source, parent_id, session_id, index_of(labels, said))


def index(organization: Organization, row: WordsRow, digits: str = "") -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        index_words(cursor, organization.pk, [row])
        index_numbers(cursor, [digits])
