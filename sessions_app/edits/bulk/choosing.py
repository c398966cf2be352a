"""Owns how chosen sessions and a change become a bulk edit, and what it would do if it began now."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import QuerySet

from sessions_app.edits.bulk.decisions import Who, note, who_columns
from sessions_app.edits.bulk.plans import ALREADY_SO, EXTEND, Plan, plan_sessions, seen_now
from sessions_app.edits.validation import MOST_SECONDS, check_changes
from sessions_app.edits.values import Values
from sessions_app.models import BulkEdit, Organization, Session
from sessions_app.models.bulks import DELETE

MOST_SESSIONS = 20_000
# Typed by who means it.
WORD = "delete"


@dataclass(frozen=True)
class DryRun:
    changing: int
    already: int
    refused: Mapping[str, int]
    # One that changes, to show the exact request.
    example: Plan | None


class NothingChosen(ValidationError):
    """There is no session to change."""

    def __init__(self) -> None:
        super().__init__("Choose at least one session.", code="nothing")


def choose(sessions: QuerySet[Session]) -> tuple[Organization, list[str]]:
    """Return the ids of what was chosen, and the organization that all of it belongs to. Raises ValidationError."""
    chosen = list(sessions.order_by().values_list("organization", "pk")[: MOST_SESSIONS + 1])
    organizations = {organization_id for organization_id, _ in chosen}
    if not chosen:
        raise NothingChosen
    if len(organizations) > 1:
        raise ValidationError("Choose sessions of one organization: filter by it first.")
    return Organization.objects.get(pk=organizations.pop()), [session_id for _, session_id in chosen]


def preview(
    organization: Organization,
    session_ids: Sequence[str],
    fields: Values,
    who: Who,
    *,
    submission_key: UUID | None = None,
    submission_digest: str = "",
) -> BulkEdit:
    """Keep a choice and its change, to be looked at. Raises ValidationError, by field where it is a field's."""
    check_change(session_ids, fields)
    bulk = BulkEdit(
        organization=organization,
        fields=dict(fields),
        selection={"ids": sorted(session_ids)},
        total=len(session_ids),
        submission_key=submission_key,
        submission_digest=submission_digest,
        **who_columns(who),
    )
    if bulk.deletes:
        bulk.selection["seen"] = seen_now(bulk)
    with transaction.atomic():
        bulk.save()
        note(bulk, "previewed", who)
    return bulk


def check_change(session_ids: Sequence[str], fields: Values) -> None:
    """Raise ValidationError where this can't be done to these."""
    check_fields(fields)
    if not session_ids:
        raise ValidationError("No session was chosen.")
    if len(session_ids) > MOST_SESSIONS:
        raise ValidationError(f"At most {MOST_SESSIONS:,} sessions at once: filter further.")


def dry_run(bulk: BulkEdit) -> DryRun:
    """Say what the bulk, stored or not, would do now; in as many queries for one session as for all."""
    plans = plan_sessions(bulk, bulk.selection["ids"])
    whys = Counter(plan.why for plan in plans if plan.why)
    already = whys.pop(ALREADY_SO, 0)
    changing = [plan for plan in plans if not plan.why]
    return DryRun(len(changing), already, dict(whys.most_common()), changing[0] if changing else None)


def check_typed(bulk: BulkEdit, typed: str) -> None:
    """A deletion of many is meant where their number, or the word, was typed. Raises ValidationError by field."""
    words = typed.strip().casefold().replace(",", "")
    if bulk.deletes and words != WORD and words != str(dry_run(bulk).changing):
        raise ValidationError({"confirm": f'Type how many are deleted, as it stands here, or "{WORD}".'})


def check_fields(fields: Values) -> None:
    """Raise ValidationError where this can't be done to any session."""
    if fields.keys() == {DELETE} and fields[DELETE] is True:
        return
    if fields.keys() == {EXTEND}:
        seconds = fields[EXTEND]
        if isinstance(seconds, int) and not isinstance(seconds, bool) and 0 < seconds <= MOST_SECONDS:
            return
        raise ValidationError({EXTEND: f"Extend by 1 to {MOST_SECONDS} seconds."})
    # No value can be its own base here: whatever is given is checked.
    check_changes(dict.fromkeys(fields, _Other), fields)


class _Other:
    """Differs from every value."""
