"""Owns one sentence for people on where an edit stands and what it waits for; changes nothing."""

from __future__ import annotations

import re

from django.utils import timezone

from sessions_app.edits.claims import is_behind, is_held
from sessions_app.models import BulkEdit, Edit
from sessions_app.models.bulks import BulkState
from sessions_app.models.edits import EditState
from sessions_app.models.organizations import WriteMode

_UNWRITTEN: dict[str, str] = {
    WriteMode.OFF: "Not sent: write mode is off.",
    WriteMode.PAUSED: "Waiting: write mode is paused.",
}


def describe_standing(edit: Edit, *, fields_apart: bool = False) -> str:
    """Return what is not said by the state alone; '' where there is nothing to add. At most three queries.

    `fields_apart`: what Vapi said of single fields stands beside them (refusals_by_field), and not here.
    """
    if edit.state == EditState.CONFLICT:
        return "Somebody changed the same at Vapi meanwhile. Choose which value is to stand."
    if edit.state == EditState.REJECTED and fields_apart:
        return refusals_by_field(edit).get("", "") or "Vapi refused what is said below."
    if edit.state != EditState.QUEUED:
        return edit.error
    return f"{edit.error} {_why_it_waits(edit)}".strip()


def refusals_by_field(edit: Edit) -> dict[str, str]:
    """Return Vapi's own words on a rejected edit by the field that they begin with, the others under ''."""
    found: dict[str, list[str]] = {}
    for line in edit.error.splitlines() if edit.state == EditState.REJECTED else ():
        first = re.split(r"[^A-Za-z]", line, maxsplit=1)[0]
        found.setdefault(first if first in edit.fields else "", []).append(line)
    return {field: "\n".join(lines) for field, lines in found.items()}


def _why_it_waits(edit: Edit) -> str:
    if edit.organization.write_mode in _UNWRITTEN:
        return _UNWRITTEN[edit.organization.write_mode]
    if is_held(edit):
        return "Waiting until the conflict of an earlier edit is settled."
    if BulkEdit.objects.filter(edits=edit, state=BulkState.PAUSED).exists():
        return "Waiting: its bulk edit is paused."
    if is_behind(edit):
        return "Waiting for an earlier edit of this session."
    if edit.next_attempt_at and edit.next_attempt_at > timezone.now():
        return f"Next try at {edit.next_attempt_at:%H:%M:%S} UTC."
    return ""
