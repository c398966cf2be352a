"""Chats: they belong to a session, or to a chain of chats, or to neither."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from sessions_app.models.mirrored import (
    HAS_FAILED_TOOLS,
    IS_MISSING,
    Mirrored,
    keyset_index,
    rare_index,
    text_index,
)
from sessions_app.models.scopes import ScopedQuerySet


class ChatQuerySet(ScopedQuerySet["Chat"]):
    pass


class Chat(Mirrored):
    # No foreign keys: the session or the chat before may not be mirrored yet.
    session_id = models.TextField(blank=True, default="")
    previous_chat_id = models.TextField(blank=True, default="")

    objects: ClassVar[ChatQuerySet] = ChatQuerySet.as_manager()  # type: ignore[assignment]  # as_manager() is typed as the plain manager

    class Meta:
        ordering = ("-created_at", "-id")
        indexes = [
            *(
                keyset_index("chat", column)
                for column in ("created_at", "updated_at", "cost_usd", "message_count")
            ),
            models.Index(fields=["organization", "assistant_id", "created_at", "id"], name="chat_assistant"),
            models.Index(fields=["session_id", "created_at", "id"], name="chat_session"),
            models.Index(
                fields=["previous_chat_id"], name="chat_previous", condition=~models.Q(previous_chat_id="")
            ),
            models.Index(models.F("created_at"), models.F("id"), name="chat_any_created_at"),
            text_index("chat", "name"),
            rare_index("chat", "missing", IS_MISSING),
            rare_index("chat", "failed_tools", HAS_FAILED_TOOLS),
        ]

    def __str__(self) -> str:
        return self.name or self.id


class ChatPayload(models.Model):
    chat = models.OneToOneField(
        Chat, models.CASCADE, primary_key=True, related_name="stored_payload", db_constraint=False
    )
    payload_json = models.TextField()

    objects: ClassVar[models.Manager[ChatPayload]] = models.Manager()

    def __str__(self) -> str:
        return self.chat_id
