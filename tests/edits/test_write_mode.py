"""Off, paused, on: what is sent in each, also when it is turned while edits wait."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError

from sessions_app.edits.push import push_due, push_edit
from sessions_app.edits.standing import describe_standing
from sessions_app.edits.write_mode import change_write_mode
from sessions_app.models import Edit, Organization, WriteModeChange
from tests.sandbox_process import SandboxProcess

pytestmark = pytest.mark.django_db(transaction=True)

Queue = Callable[..., Edit]


@pytest.mark.parametrize("mode", ["off", "paused"])
def test_nothing_is_asked_or_sent_unless_on(
    sandbox: SandboxProcess, organization: Organization, queue: Queue, editor: User, mode: str
) -> None:
    assert change_write_mode(organization, mode, "audit", editor)
    edit = queue(name="After")

    assert push_due() == 0
    assert push_edit(edit.pk) == "queued"

    edit = Edit.objects.get()
    assert sandbox.journal() == []
    assert (edit.attempts, edit.error) == (0, "")
    assert mode in describe_standing(edit)

    change_write_mode(organization, "on", "go on", editor)
    assert push_due() == 1
    assert Edit.objects.get().state == "applied"


def test_turned_off_between_look_and_patch(
    sandbox: SandboxProcess, organization: Organization, queue: Queue, after_first_get: Callable[..., None]
) -> None:
    edit = queue(name="After")
    after_first_get(lambda: change_write_mode(organization, "off", "stop"))

    assert push_edit(edit.pk) == "queued"

    edit.refresh_from_db()
    assert sandbox.journal("PATCH") == []
    assert (edit.sent_at, edit.claimed_until) == (None, None)
    assert describe_standing(edit) == "Not sent: write mode is off."


def test_an_organization_that_is_not_active_sends_nothing(
    sandbox: SandboxProcess, organization: Organization, queue: Queue
) -> None:
    edit = queue(name="After")
    Organization.objects.update(is_active=False)

    assert push_edit(edit.pk) == "queued"
    assert sandbox.journal() == []


def test_a_change_is_kept_with_who_and_why(organization: Organization, administrator: User) -> None:
    assert change_write_mode(organization, "paused", " an audit ", administrator)
    assert not change_write_mode(organization, "paused", "again", administrator)

    (change,) = WriteModeChange.objects.all()
    assert (change.mode, change.reason, change.author) == ("paused", "an audit", administrator)
    assert Organization.objects.get().write_mode == organization.write_mode == "paused"


@pytest.mark.parametrize(
    ("mode", "reason", "field"), [("paused", " ", "reason"), ("loud", "because", "mode")]
)
def test_what_cannot_be_turned(organization: Organization, mode: str, reason: str, field: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        change_write_mode(organization, mode, reason)
    assert list(refusal.value.message_dict) == [field]
    assert not WriteModeChange.objects.exists()


def test_a_stale_page_turns_nothing(organization: Organization, administrator: User) -> None:
    page: Any = Organization.objects.get()
    change_write_mode(organization, "off", "stop", administrator)

    with pytest.raises(ValidationError, match="Somebody else"):
        change_write_mode(page, "paused", "stale", administrator)
    assert Organization.objects.get().write_mode == "off"
