"""Owns what a notice says to people: a title, a few facts and a link. Knows no channel. Never a customer's words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.urls import reverse

from sessions_app.models import Notice
from sessions_app.models.edits import EditState
from sessions_app.models.notices import Cause

_TITLES = {
    Cause.EDIT_APPLIED: "Edit {edit} was applied",
    Cause.EDIT_CONFLICT: "Edit {edit} is in conflict",
    Cause.EDIT_REJECTED: "Edit {edit} was rejected{status}",
    Cause.EDIT_FAILED: "Edit {edit} failed{status}",
    Cause.BULK_ENDED: "Bulk edit {bulk} ended: {counts}",
    Cause.BULK_AWAITING: "Bulk edit {bulk} waits for a second person",
    Cause.BULK_REFUSED: "Bulk edit {bulk} was refused",
    Cause.ORGANIZATION_PAUSED: "{organization} is paused{status}",
    Cause.ORGANIZATION_RESUMED: "{organization} goes on",
    Cause.TEST: "Test of the channel {channel}",
}
_ADVICE = {
    Cause.EDIT_CONFLICT: "Somebody changed the same at Vapi meanwhile. Choose which value is to stand.",
    Cause.EDIT_REJECTED: "Nothing was changed. Why not stands on the edit's page.",
    Cause.EDIT_FAILED: "It was given up. It can be tried again on its page.",
    Cause.BULK_AWAITING: "It deletes sessions at Vapi. Somebody else has to approve or refuse it.",
    Cause.ORGANIZATION_PAUSED: "Vapi refuses its API key. Nothing is read or sent until somebody takes it up again.",
    Cause.ORGANIZATION_RESUMED: "Vapi takes its API key again: reading and sending go on.",
    Cause.TEST: "Notices will arrive like this one.",
}
_BULK_ADVICE = "What did not get through is listed on its page and can be tried again there."
_UNDONE = ("conflict", "rejected", "failed")


@dataclass(frozen=True)
class Words:
    title: str
    # Labels and what stands beside them.
    facts: tuple[tuple[str, str], ...]
    advice: str
    link: str


def words_of(notice: Notice) -> Words:
    """Return what a notice says. Its organization should have been read with it."""
    facts = notice.facts
    counts = facts.get("counts", {})
    title = _TITLES[Cause(notice.cause)].format(
        edit=notice.edit_id,
        bulk=notice.bulk_id,
        organization=notice.organization,
        channel=facts.get("channel", ""),
        status=f" ({facts['status']})" if facts.get("status") else "",
        counts=_in_words(counts),
    )
    advice = _ADVICE.get(Cause(notice.cause), "")
    if any(counts.get(state) for state in _UNDONE):
        advice = _BULK_ADVICE
    return Words(title, tuple(_facts(notice, facts)), advice, link_of(notice))


def link_of(notice: Notice) -> str:
    """Return the address of the page that a notice leads to."""
    return f"{settings.PUBLIC_URL}{path_of(notice)}"


def path_of(notice: Notice) -> str:
    if notice.edit_id:
        return reverse("admin:sessions_app_edit_change", args=[notice.edit_id])
    if notice.bulk_id:
        return reverse("admin:sessions_app_bulkedit_change", args=[notice.bulk_id])
    if notice.cause == Cause.TEST:
        return reverse("admin:notices")
    return reverse("admin:freshness")


def _in_words(counts: Mapping[str, int]) -> str:
    """In the order of the states: the database keeps none."""
    found = [f"{counts[state]:,} {state.label}" for state in EditState if counts.get(state)]
    return ", ".join(found) or "nothing to do"


def _facts(notice: Notice, facts: dict[str, Any]) -> list[tuple[str, str]]:
    """Those that there are, in a fixed order."""
    found = {
        "Organization": str(notice.organization or "") if notice.cause != Cause.TEST else "",
        "Fields": ", ".join(facts.get("fields", ())),
        "Sessions": f"{facts['total']:,}" if facts.get("total") else "",
        "Session": facts.get("session_id", ""),
        "Made by": facts.get("author", ""),
    }
    return [(label, value) for label, value in found.items() if value]
