"""Owns what is told, of whom and to which channels: each cause is noted once, in the transaction in which it happened.

Sends nothing and asks nobody outside; `delivering` does, later. What is noted are ids, names of fields, statuses,
counts and who did it. Never a value of a field and never Vapi's words, which may quote one.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any
from uuid import uuid4

from django.contrib.auth import get_user_model
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from sessions_app.models import BulkEdit, Channel, Delivery, Edit, Notice, Organization
from sessions_app.models.edits import EditState
from sessions_app.models.notices import Cause, Topic

_OF_EDITS = {
    EditState.APPLIED: Cause.EDIT_APPLIED,
    EditState.CONFLICT: Cause.EDIT_CONFLICT,
    EditState.REJECTED: Cause.EDIT_REJECTED,
    EditState.FAILED: Cause.EDIT_FAILED,
}
# What of edits may leave the product; an applied edit is told on the page alone.
_TOPICS = {
    EditState.CONFLICT: Topic.CONFLICT,
    EditState.REJECTED: Topic.REJECTED,
    EditState.FAILED: Topic.FAILED,
}
_MAY_DECIDE = ("sessions_app.bulk_edit_session", "sessions_app.delete_at_vapi")
_PAUSE_TOPICS = {Cause.ORGANIZATION_PAUSED: Topic.PAUSED, Cause.ORGANIZATION_RESUMED: Topic.RESUMED}


def note_edit(edit: Edit, to: EditState, answer: Exception | int | None = None) -> None:
    """Note that an edit came to an outcome; other states are none. `answer` is what Vapi's answer came to.

    A bulk that is under way tells of all its edits together, when it ends.
    """
    cause = _OF_EDITS.get(to)
    if cause is None or _is_of_open_bulk(edit):
        return
    if to == EditState.APPLIED and edit.author_id is None:
        return
    _note(
        f"{cause}:{edit.pk}",
        cause,
        {_TOPICS[to]} if to in _TOPICS else set(),
        organization_id=edit.organization_id,
        edit_id=edit.pk,
        edit_state=to.value,
        person_id=edit.author_id,
        facts={
            "session_id": edit.session_id,
            "kind": edit.kind,
            "fields": sorted(edit.fields),
            "author": edit.author_name,
            "attempts": edit.attempts,
            "status": answer if isinstance(answer, int) else getattr(answer, "status", None),
        },
    )


def note_bulk(bulk: BulkEdit, counts: Mapping[str, int], newest_edit_id: int) -> None:
    """Note that a bulk ended, once for each time that it had edits to push: a retry makes new ones."""
    _note(
        f"{Cause.BULK_ENDED}:{bulk.pk}:{newest_edit_id}",
        Cause.BULK_ENDED,
        {topic for state, topic in _TOPICS.items() if counts.get(state.value)},
        organization_id=bulk.organization_id,
        bulk_id=bulk.pk,
        person_id=bulk.author_id,
        facts={
            "fields": sorted(bulk.fields),
            "author": bulk.author_name,
            "counts": {state.value: counts[state.value] for state in EditState if counts.get(state.value)},
        },
    )


def note_approval_asked(bulk: BulkEdit) -> None:
    """Note that a bulk waits for a second person, whom channels are to find."""
    _note_decision(bulk, Cause.BULK_AWAITING, {Topic.AWAITING})


def note_refusal(bulk: BulkEdit) -> None:
    """Note that the second person refused a bulk; whoever asked for it sees it."""
    _note_decision(bulk, Cause.BULK_REFUSED, set(), person_id=bulk.author_id)


def note_pause(organization: Organization, status: int | None) -> None:
    """Note that an organization was paused, in the transaction of `paused_at`, which names the cause."""
    _note_pause(organization, Cause.ORGANIZATION_PAUSED, {"status": status})


def note_resumption(organization: Organization) -> None:
    """Note that a pause ended. The organization as it was during the pause."""
    _note_pause(organization, Cause.ORGANIZATION_RESUMED, {})


def make_test(channel: Channel) -> Delivery:
    """Note a test of one channel, to be delivered there alone."""
    notice = Notice.objects.create(
        key=f"{Cause.TEST}:{uuid4()}",
        cause=Cause.TEST,
        organization_id=channel.organization_id,
        facts={"channel": channel.name},
        created_at=timezone.now(),
    )
    return Delivery.objects.create(notice=notice, channel=channel, created_at=notice.created_at)


def _note_decision(bulk: BulkEdit, cause: Cause, topics: Collection[Topic], **columns: Any) -> None:
    facts = {"author": bulk.author_name, "total": bulk.total}
    _note(
        f"{cause}:{bulk.pk}",
        cause,
        topics,
        organization_id=bulk.organization_id,
        bulk_id=bulk.pk,
        facts=facts,
        **columns,
    )


def _note_pause(organization: Organization, cause: Cause, facts: dict[str, Any]) -> None:
    since = organization.paused_at.isoformat() if organization.paused_at else ""
    topics = {_PAUSE_TOPICS[cause]}
    _note(f"{cause}:{organization.pk}:{since}", cause, topics, organization_id=organization.pk, facts=facts)


def _is_of_open_bulk(edit: Edit) -> bool:
    return edit.bulk_id is not None and BulkEdit.objects.filter(pk=edit.bulk_id, finished_at=None).exists()


def _note(key: str, cause: Cause, topics: Collection[Topic], **columns: Any) -> None:
    """Store a notice and its deliveries, unless its cause was noted before."""
    values = {"cause": cause, "created_at": timezone.now(), **columns}
    with transaction.atomic():
        notice, is_new = Notice.objects.get_or_create(key=key, defaults=values)
        if is_new and topics:
            Delivery.objects.bulk_create(
                Delivery(notice=notice, channel=channel, created_at=notice.created_at)
                for channel in _channels(notice, topics)
            )


def _channels(notice: Notice, topics: Collection[Topic]) -> list[Channel]:
    """Shared channels, and people's own: of their own edits, of what they may decide, and of what nobody did."""
    to_whom = Q(owner=None) | Q(owner__is_active=True)
    if notice.cause == Cause.BULK_AWAITING:
        to_whom = Q(owner=None) | Q(owner__in=_second_people(notice))
    elif notice.edit_id or notice.bulk_id:
        to_whom = Q(owner=None) | Q(owner=notice.person_id, owner__is_active=True)
    of_it = Q(organization=None) | Q(organization=notice.organization_id)
    listening = Channel.objects.filter(to_whom, of_it, is_enabled=True, removed_at=None).order_by("pk")
    return [channel for channel in listening if set(channel.topics) & set(topics)]


def _second_people(notice: Notice) -> list[int]:
    """Who may decide a bulk that somebody else asked for, among those who have channels."""
    asker = notice.bulk.asker if notice.bulk else None
    people = get_user_model().objects.filter(is_active=True, channel__removed_at=None).distinct()
    return [person.pk for person in people if person != asker and person.has_perms(_MAY_DECIDE)]
