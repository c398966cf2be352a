"""Owns the audit rows of edits: who or what brought an edit to a state, and with which answer. No values, no words."""

from __future__ import annotations

import hashlib
import os
import socket
from collections.abc import Mapping, Sequence
from typing import Any

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db.models.functions import Now

from sessions_app.models import ApiToken, Edit, EditTransition
from sessions_app.models.edits import EditKind
from sessions_app.request_ids import current_request_id
from sessions_app.vapi.errors import Unavailable
from sessions_app.vapi.json import dump_bytes

_LONGEST_ACTOR = 200


def record(edit: Edit, *, actor: str = "", answer: Exception | int | None = None) -> None:
    """Add the edit's state to its audit, in the caller's transaction. Without an actor it is this process.

    `answer` is what Vapi's answer came to: an HTTP status, or the error that it was sorted into.
    """
    _entry(edit, actor, answer).save()


def record_many(edits: Sequence[Edit], actor: str) -> None:
    """The same for many new edits, in few statements."""
    EditTransition.objects.bulk_create([_entry(edit, actor) for edit in edits])


def _entry(edit: Edit, actor: str, answer: Exception | int | None = None) -> EditTransition:
    return EditTransition(
        organization_id=edit.organization_id,
        edit_id=edit.pk,
        state=str(edit.state),
        actor=(actor or this_process())[:_LONGEST_ACTOR],
        request_id=current_request_id() or edit.request_id,
        http_status=answer if isinstance(answer, int) else getattr(answer, "status", None),
        digests=digests_of(edit),
        note=_class_of(answer),
        happened_at=Now(),
    )


def actor_of(who: AbstractBaseUser | AnonymousUser | ApiToken | None) -> str:
    """Return a person's or token's name as the audit has it."""
    if who is None:
        return "command line"
    return f"token {who.name}" if isinstance(who, ApiToken) else str(who.get_username())


def this_process() -> str:
    return f"{socket.gethostname()} {os.getpid()}"


def digests_of(edit: Edit) -> dict[str, dict[str, dict[str, object]]]:
    """Return for each field what was and what should be, as digests and lengths."""
    new = {"messages": edit.operations} if edit.kind == EditKind.MESSAGES else edit.fields
    return {
        field: {"base": _digest(edit.base, field), "new": _digest(new, field)}
        for field in sorted(edit.fields)
    }


def _digest(values: Mapping[str, Any], field: str) -> dict[str, object]:
    value = values.get(field)
    text = dump_bytes(value, sort_keys=True)
    length = len(value) if isinstance(value, str | list | dict) else len(text)
    return {"sha256": hashlib.sha256(text).hexdigest(), "length": length}


def _class_of(answer: Exception | int | None) -> str:
    """The error's class alone: its words may quote what a person typed."""
    if not isinstance(answer, Exception):
        return ""
    kind = f" {answer.kind}" if isinstance(answer, Unavailable) else ""
    return f"{type(answer).__name__}{kind}"
