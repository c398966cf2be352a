"""A session's history as its page shows it: who or what, when, and each field from what to what."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from sessions_app.admin.changes import FIELD_LABELS, in_words
from sessions_app.admin.conversation import Conversation, show_conversation
from sessions_app.admin.lists import as_pk
from sessions_app.admin.pretty import pretty_json
from sessions_app.admin.session_page import Who
from sessions_app.customers.present import present_customer
from sessions_app.mirror.history import change_fields, read_changes
from sessions_app.models import FieldChange, Session
from sessions_app.models.history import ChangeSource
from sessions_app.vapi.messages import parse_turns

AT_ONCE = 20
_LONGEST = 1500
# Told by the line above the fields.
_TOLD = {"updatedAt"}
_ICONS = {
    ChangeSource.SYNC: "sync",
    ChangeSource.REFETCH: "refresh",
    ChangeSource.WEBHOOK: "webhook",
    ChangeSource.EDIT: "edit_note",
}


@dataclass(frozen=True)
class ShownField:
    label: str
    old: str
    new: str


@dataclass(frozen=True)
class ShownMessages:
    # From which turn on, counted from 1.
    position: int
    removed: Conversation | None
    added: Conversation | None

    @property
    def in_words(self) -> str:
        old = self.removed.turn_count if self.removed else 0
        new = self.added.turn_count if self.added else 0
        if not old:
            return f"{new} new {_turns(new)}"
        return f"{old} {_turns(old)} replaced by {new}" if new else f"{old} {_turns(old)} removed"


@dataclass(frozen=True)
class ShownChange:
    change: FieldChange
    author: str
    fields: tuple[ShownField, ...]
    messages: ShownMessages | None

    @property
    def icon(self) -> str:
        return _ICONS.get(ChangeSource(self.change.source), "sync")


@dataclass(frozen=True)
class History:
    changes: tuple[ShownChange, ...]
    # The id to go on from; 0 where there is nothing older.
    older: int
    keeps_days: int | None


def history_view(request: HttpRequest, session: Session) -> HttpResponse:
    """A part of a session's history, newest first, for the session's page."""
    context = {
        "session": session,
        "history": read_history(request.user, session, as_pk(request.GET.get("before", ""))),
        "may_view_edits": request.user.has_perm("sessions_app.view_edit"),
    }
    return TemplateResponse(request, "admin/sessions/history.html", context)


def read_history(who: Who, session: Session, before: int = 0) -> History:
    """Read the newest changes, or those before the change of an id. One query."""
    found = read_changes(FieldChange.objects.visible_to(who).filter(session_id=session.pk))
    if before:
        found = found.filter(pk__lt=before)
    rows = list(found.select_related("edit__author", "edit__token").order_by("-pk")[: AT_ONCE + 1])
    shown_customer = present_customer(session)
    customer = "Customer" if shown_customer.is_anonymous else shown_customer.title
    shows_edits = who.has_perm("sessions_app.view_edit")
    shown = tuple(_show(row, customer, shows_edits=shows_edits) for row in rows[:AT_ONCE])
    older = rows[AT_ONCE - 1].pk if len(rows) > AT_ONCE else 0
    return History(shown, older, session.organization.history_retention_days)


def _show(change: FieldChange, customer: str, *, shows_edits: bool) -> ShownChange:
    fields = change_fields(change)
    messages = fields.get("messages")
    turns = _show_messages(messages, customer) if isinstance(messages, dict) else None
    others = {name: value for name, value in fields.items() if name not in _TOLD}
    if turns:
        others.pop("messages")
    return ShownChange(change, _author(change) if shows_edits else "", tuple(_flatten(others)), turns)


def _author(change: FieldChange) -> str:
    edit = change.edit
    if edit is None:
        return ""
    return f"token {edit.token}" if edit.token else str(edit.author or "")


def _show_messages(change: Mapping[str, Any], customer: str) -> ShownMessages:
    def show(messages: list[Any]) -> Conversation | None:
        if not messages:
            return None
        return show_conversation(parse_turns(messages), customer=customer, assistant="Assistant", most=40)

    return ShownMessages(change["from"] + 1, show(change["old"]), show(change["new"]))


def _flatten(changes: Mapping[str, Any], path: str = "") -> Iterator[ShownField]:
    for name, change in changes.items():
        if isinstance(change, list):
            yield ShownField(_label(path, name), _words(name, change[0]), _words(name, change[1]))
        elif "fields" in change:
            yield from _flatten(change["fields"], f"{path}{name}.")
        else:
            label = f"{_label(path, name)} from {change['from'] + 1}"
            yield ShownField(label, _words(name, change["old"]), _words(name, change["new"]))


def _label(path: str, name: str) -> str:
    return f"{path}{name}" if path else FIELD_LABELS.get(name, name)


def _words(name: str, value: object) -> str:
    if isinstance(value, dict | list):
        text = pretty_json(value) if value else ""
    else:
        text = in_words(name, value) if value is not None or name == "expirationSeconds" else ""
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _turns(count: int) -> str:
    return "turn" if count == 1 else "turns"
