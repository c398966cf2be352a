"""An edit's fields in words: what was shown, what it should become, what stands at Vapi."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

from sessions_app.admin.pretty import pretty_json
from sessions_app.edits.standing import refusals_by_field
from sessions_app.edits.turns import changed, words_of
from sessions_app.models import Edit
from sessions_app.models.edits import EditKind
from sessions_app.templatetags.vapiadmin import span

FIELD_LABELS = {
    "name": "Name",
    "status": "Status",
    "expirationSeconds": "Lifetime",
    "messages": "Messages",
    "deleted": "Session",
}
_MOST_COMPARED = 4000


@dataclass(frozen=True)
class Part:
    """A piece of text that is the same in both, or only in one."""

    text: str
    is_marked: bool


@dataclass(frozen=True)
class Change:
    field: str
    label: str
    base: str
    mine: str
    # '' unless the edit is in conflict over this field.
    theirs: str
    is_disputed: bool
    # As Vapi has it, for a form that starts from it.
    mine_value: object
    # What Vapi said of this field where it refused.
    refusal: str = ""
    # What somebody chose who settles a conflict and is asked again: "theirs", "mine" or "value".
    chosen: str = ""

    @property
    def base_parts(self) -> list[Part]:
        return mark(self.base, self.theirs or self.mine)

    @property
    def mine_parts(self) -> list[Part]:
        return mark(self.mine, self.base)

    @property
    def theirs_parts(self) -> list[Part]:
        return mark(self.theirs, self.base)


def list_changes(edit: Edit) -> list[Change]:
    if edit.kind == EditKind.MESSAGES:
        return _list_message_changes(edit)
    if edit.kind == EditKind.DELETE:
        return _list_deletion(edit)
    refusals = refusals_by_field(edit)
    return [
        Change(
            field=field,
            label=FIELD_LABELS.get(field, field),
            base=in_words(field, edit.base.get(field)) if edit.kind == EditKind.UPDATE else "",
            mine=in_words(field, value),
            theirs=in_words(field, edit.theirs.get(field)) if field in edit.theirs else "",
            is_disputed=field in edit.theirs,
            mine_value=value,
            refusal=refusals.get(field, ""),
        )
        for field, value in edit.fields.items()
    ]


def _list_message_changes(edit: Edit) -> list[Change]:
    disputed = {entry["operation"]: entry["message"] for entry in edit.theirs.get("messages", ())}
    changes, refusal = [], refusals_by_field(edit).get("messages", "")
    for index, operation in enumerate(edit.operations):
        old = edit.base.get("messages", [])[index : index + 1]
        base = words_of(old[0]) if old else ""
        if operation["do"] == "redact" and index not in disputed:
            # Shown beside the conversation, they would not have been taken away.
            base = "its words"
        theirs = words_of(disputed[index]) or "gone" if index in disputed else ""
        role = str(old[0].get("role", "")) if old and isinstance(old[0], dict) else ""
        changes.append(
            Change(
                field="messages",
                label=f"Message {operation['position'] + 1}{f', {role}' if role else ''}",
                base=base or "no words",
                mine=_message_after(operation, old),
                theirs=theirs,
                is_disputed=index in disputed,
                mine_value=operation.get("text", ""),
                refusal=refusal,
            )
        )
    return changes


def _message_after(operation: Mapping[str, Any], old: list[Any]) -> str:
    if operation["do"] == "remove":
        return "removed"
    if operation["do"] == "insert":
        return words_of(operation["message"]) or "put back"
    if operation["do"] == "replace":
        return str(operation["text"])
    return words_of(changed(old[0], operation)) if old and isinstance(old[0], dict) else "no words"


def _list_deletion(edit: Edit) -> list[Change]:
    whole = Change("deleted", "Session", "at Vapi", "deleted at Vapi", "", False, True)
    moved = [
        Change(
            field,
            "Number of messages" if field == "messages" else FIELD_LABELS.get(field, field),
            in_words(field, edit.base.get(field)),
            "deleted at Vapi",
            in_words(field, value),
            True,
            True,
        )
        for field, value in edit.theirs.items()
    ]
    return moved or [whole]


def in_words(field: str, value: object) -> str:
    """Write a value of a field as people read it: "2 days (172800 s)", "empty"."""
    if field == "expirationSeconds":
        if value is None:
            return "Vapi's default (1 day)"
        if isinstance(value, int):
            return f"{span(value)} ({value} s)"
    if isinstance(value, dict | list):
        return pretty_json(value)
    return str(value) if value not in (None, "") else "empty"


def mark(text: str, other: str) -> list[Part]:
    """Return the text in parts, those marked that the other has not. Long texts are not compared."""
    if len(text) + len(other) > _MOST_COMPARED:
        return [Part(text, False)]
    ours, theirs = _pieces(text), _pieces(other)
    blocks = SequenceMatcher(None, ours, theirs, autojunk=False).get_opcodes()
    return [
        Part("".join(ours[start:end]), kind != "equal") for kind, start, end, _, _ in blocks if end > start
    ]


def _pieces(text: str) -> list[str]:
    """Words, each with the space behind it."""
    words = text.split(" ")
    return [f"{word} " for word in words[:-1]] + words[-1:]
