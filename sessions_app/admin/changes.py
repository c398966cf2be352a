"""An edit's fields in words: what was shown, what it should become, what stands at Vapi."""

from __future__ import annotations

from dataclasses import dataclass

from sessions_app.models import Edit
from sessions_app.templatetags.vapiadmin import span

FIELD_LABELS = {"name": "Name", "status": "Status", "expirationSeconds": "Lifetime", "messages": "Messages"}


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


def list_changes(edit: Edit) -> list[Change]:
    return [
        Change(
            field=field,
            label=FIELD_LABELS.get(field, field),
            base=in_words(field, edit.base.get(field)),
            mine=in_words(field, value),
            theirs=in_words(field, edit.theirs.get(field)) if field in edit.theirs else "",
            is_disputed=field in edit.theirs,
            mine_value=value,
        )
        for field, value in edit.fields.items()
    ]


def in_words(field: str, value: object) -> str:
    """Write a value of a field as people read it: "2 days (172800 s)", "empty"."""
    if field == "expirationSeconds":
        if value is None:
            return "Vapi's default (1 day)"
        if isinstance(value, int):
            return f"{span(value)} ({value} s)"
    return str(value) if value not in (None, "") else "empty"
