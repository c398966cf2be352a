"""Owns how a write to Vapi ends, whatever was written: mirrored and applied, in conflict, or lost and looked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from sessions_app.edits import states
from sessions_app.mirror.refetch import mirror_answer
from sessions_app.models import Edit
from sessions_app.models.edits import EditState
from sessions_app.models.history import ChangeSource
from sessions_app.vapi import BadRecord, Fetched, Unavailable, VapiError

NOT_KEPT = "Vapi took the change but did not keep it: the session stands as it was."
# With these Vapi says itself that it did nothing. Behind a gateway's 502 or 504 the change may still be made.
_NOT_DONE = (429, 500, 503)
T = TypeVar("T")


class NotSettledYet(Exception):
    """Whether a write was made cannot be told yet. Says so in words for people; look again after `wait` seconds."""

    def __init__(self, words: str, wait: float) -> None:
        super().__init__(words)
        self.wait = wait


def apply(edit: Edit, answer: Fetched, **changes: Any) -> None:
    """Mirror first: a worker that dies in between leaves a claim, and the next look ends here again."""
    mirror(edit, answer)
    states.settle(edit, EditState.APPLIED, 200, error="", **changes)


def mirror(edit: Edit, answer: Fetched, *, is_ours: bool = True) -> None:
    """`is_ours`: the history says that the edit brought what is new in it."""
    mirror_answer(
        edit.organization,
        answer.payload,
        text_replaced=answer.text_replaced,
        asked_at=answer.asked_at,
        source=ChangeSource.EDIT if is_ours else ChangeSource.REFETCH,
        edit_id=edit.pk if is_ours else None,
    )


def collide(edit: Edit, found: Fetched, theirs: dict[str, Any]) -> None:
    """What the person saw is not what stands at Vapi: they choose."""
    mirror(edit, found, is_ours=False)
    states.settle(edit, EditState.CONFLICT, 200, theirs=theirs, error="", sent_at=None)


def not_kept(edit: Edit, answer: Fetched) -> None:
    mirror(edit, answer, is_ours=False)
    states.settle(edit, EditState.FAILED, 200, error=NOT_KEPT)


def send_once(edit: Edit, send: Callable[[], T], look: Callable[[], T | None], **noted: Any) -> T:
    """Write to Vapi, once. Where the answer is lost, return what `look` finds if the change was made after all.

    `noted` are columns stored before anything leaves. Raises VapiError or BadRecord where it was not made, or
    nobody can tell yet.
    """
    sent_before = edit.sent_at
    states.note_sending(edit, **noted)
    try:
        return send()
    except (Unavailable, BadRecord) as trouble:
        if getattr(trouble, "kind", "") != "rate_limited":
            found = look()
            if found is not None:
                return found
        if getattr(trouble, "status", None) in _NOT_DONE:
            edit.sent_at = sent_before
        raise
    except VapiError:
        edit.sent_at = sent_before
        raise
