"""Creating at Vapi, where nothing but a look tells whether a lost POST made a session."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db.models import F

from sessions_app.edits.creations import SEND_AGAIN_AFTER, queue_create
from sessions_app.edits.push import push_edit
from sessions_app.edits.queue import Making
from sessions_app.models import Edit, Organization, Session
from tests.sandbox_process import SandboxProcess

pytestmark = pytest.mark.django_db(transaction=True)

Do = Callable[[Edit], None]
WANTED: dict[str, Any] = {"name": "New", "customer": {"number": "+15550100123"}, "expirationSeconds": 600}


@pytest.fixture
def create(sandbox: SandboxProcess, organization: Organization) -> Callable[..., Edit]:
    assistant = sandbox.ask("/assistant")[0]["id"]
    sandbox.control("DELETE", "journal")
    fields = {**WANTED, "assistantId": assistant}
    return lambda **changes: queue_create(organization, {**fields, **changes}, Making("api"))


@pytest.fixture
def a_minute_passes(make_due: Do) -> Do:
    def pass_(edit: Edit) -> None:
        Edit.objects.filter(pk=edit.pk).update(sent_at=F("sent_at") - SEND_AGAIN_AFTER - timedelta(seconds=1))
        make_due(edit)

    return pass_


def made(sandbox: SandboxProcess) -> list[str]:
    return [row["id"] for row in sandbox.truth() if row.get("name") == "New"]


def test_it_is_made_and_mirrored(sandbox: SandboxProcess, create: Callable[..., Edit]) -> None:
    edit = create()

    assert push_edit(edit.pk) == "applied"

    edit.refresh_from_db()
    assert made(sandbox) == [edit.session_id]
    session = Session.objects.get(pk=edit.session_id)
    assert (session.name, session.customer_number, session.expiration_seconds) == ("New", "+15550100123", 600)
    assert [entry["method"] for entry in sandbox.journal()] == ["GET", "POST"]


@pytest.mark.parametrize("fault", ["lost", "reset", "truncated"])
def test_one_that_was_made_unheard_is_found(
    sandbox: SandboxProcess, create: Callable[..., Edit], fault: str
) -> None:
    edit = create()
    sandbox.fault(f"{fault}:method=POST,count=1")
    assert push_edit(edit.pk) == "applied"
    edit.refresh_from_db()
    assert made(sandbox) == [edit.session_id]


def test_one_that_never_arrived_is_sent_again_after_a_minute(
    sandbox: SandboxProcess, create: Callable[..., Edit], make_due: Do, a_minute_passes: Do
) -> None:
    edit = create()
    sandbox.fault("502:method=POST,count=1")
    assert push_edit(edit.pk) == "queued"
    make_due(edit)
    assert push_edit(edit.pk) == "queued"
    assert len(sandbox.journal("POST")) == 1, "too early"
    a_minute_passes(edit)
    assert push_edit(edit.pk) == "applied"
    assert len(made(sandbox)) == 1


def test_one_that_shows_late_is_not_made_twice(
    sandbox: SandboxProcess, create: Callable[..., Edit], a_minute_passes: Do
) -> None:
    edit = create()
    sandbox.fault("lost:method=POST,count=1;empty:method=GET,skip=1")
    assert push_edit(edit.pk) == "queued"
    sandbox.fault("")
    a_minute_passes(edit)
    assert push_edit(edit.pk) == "applied"
    assert len(made(sandbox)) == 1 and len(sandbox.journal("POST")) == 1


def test_several_that_look_alike_are_named(
    sandbox: SandboxProcess, create: Callable[..., Edit], a_minute_passes: Do
) -> None:
    edit = create()
    sandbox.fault("lost:method=POST,count=1;empty:method=GET,skip=1")
    push_edit(edit.pk)
    sandbox.fault("")
    sandbox.ask("/session", method="POST", body=edit.fields)
    a_minute_passes(edit)

    assert push_edit(edit.pk) == "failed"

    edit.refresh_from_db()
    assert "may exist" in edit.error and all(id_ in edit.error for id_ in made(sandbox))
    assert len(made(sandbox)) == 2


def test_one_that_was_there_before_is_not_taken_for_ours(
    sandbox: SandboxProcess, create: Callable[..., Edit], a_minute_passes: Do
) -> None:
    first, second = create(), create()
    push_edit(first.pk)
    sandbox.fault("502:method=POST,count=1")
    push_edit(second.pk)
    a_minute_passes(second)
    assert push_edit(second.pk) == "applied"
    first.refresh_from_db()
    second.refresh_from_db()
    assert sorted(made(sandbox)) == sorted([first.session_id, second.session_id])
    assert first.session_id != second.session_id


def test_vapis_refusal(sandbox: SandboxProcess, create: Callable[..., Edit]) -> None:
    edit = create()
    sandbox.fault("400:method=POST,message=Not like this")
    assert push_edit(edit.pk) == "rejected"
    edit.refresh_from_db()
    assert edit.error == "Not like this" and edit.sent_at is None


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": "x" * 41}, "name"),
        ({"status": "odd"}, "status"),
        ({"squadId": "s"}, "squadId"),
        ({"assistant": {}}, "assistant"),
        ({"customer": {"shoe": "9"}}, "customer"),
        ({"customer": "Ada"}, "customer"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "messages"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages"),
    ],
)
def test_what_vapi_would_refuse_is_refused_at_once(
    create: Callable[..., Edit], change: dict[str, Any], field: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        create(**change)
    assert list(caught.value.message_dict) == [field]
