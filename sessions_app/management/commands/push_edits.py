"""`manage.py push_edits`: push every edit whose turn it is, and say how each ended."""

from __future__ import annotations

import json
import sys

from django.core.management.base import BaseCommand, CommandParser
from tqdm import tqdm

from sessions_app.edits.push import iter_pushes
from sessions_app.edits.standing import describe_standing
from sessions_app.models import Edit
from sessions_app.models.edits import EditState

# One that another worker sends, or that a newer one replaced meanwhile, is in good hands.
_FINE = (EditState.APPLIED, EditState.SENDING, EditState.SUPERSEDED)


class Command(BaseCommand):
    help = "Push to Vapi every edit that is due. Exit 1 if one did not get through."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print one object: {edits: [...]}")

    def handle(self, *, json: bool, **_: object) -> None:
        pushes = tqdm(iter_pushes(), unit="edit", desc="Pushing", disable=json or None, leave=False)
        edits = [_report(edit_id) for edit_id, _ in pushes]
        self.stdout.write(_as_json(edits) if json else _as_text(edits))
        if any(edit["state"] not in _FINE for edit in edits):
            sys.exit(1)


def _report(edit_id: int) -> dict[str, object]:
    edit = Edit.objects.select_related("organization").get(pk=edit_id)
    return {
        "id": edit.pk,
        "organization": edit.organization.slug,
        "session_id": edit.session_id,
        "state": edit.state,
        "error": describe_standing(edit),
    }


def _as_json(edits: list[dict[str, object]]) -> str:
    return json.dumps({"edits": edits})


def _as_text(edits: list[dict[str, object]]) -> str:
    if not edits:
        return "No edit is due."
    return "\n".join("{id}: {session_id}: {state} {error}".format(**edit).rstrip() for edit in edits)
