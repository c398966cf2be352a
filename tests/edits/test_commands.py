"""manage.py push_edits and write_mode: what they do, print and exit with."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from django.core.management import CommandError, call_command

from sessions_app.models import Edit, Organization, Session, WriteModeChange
from tests.sandbox_process import SandboxProcess

pytestmark = pytest.mark.django_db(transaction=True)

Queue = Callable[..., Edit]


def test_push_edits_pushes_all_that_is_due(
    session: Session, queue: Queue, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = queue(name="After"), queue(status="completed")

    call_command("push_edits", "--json")

    printed = json.loads(capsys.readouterr().out)
    assert printed == {
        "edits": [
            {
                "id": edit.pk,
                "organization": "sandbox",
                "session_id": session.pk,
                "state": "applied",
                "error": "",
            }
            for edit in (first, second)
        ]
    }


def test_push_edits_exits_1_when_one_did_not_get_through(
    sandbox: SandboxProcess, queue: Queue, capsys: pytest.CaptureFixture[str]
) -> None:
    edit = queue(name="After")
    sandbox.fault("400:method=PATCH,message=Not like this")

    with pytest.raises(SystemExit) as end:
        call_command("push_edits")

    assert end.value.code == 1
    assert capsys.readouterr().out.startswith(f"{edit.pk}: {edit.session_id}: rejected Not like this")


def test_push_edits_with_nothing_to_do(
    organization: Organization, capsys: pytest.CaptureFixture[str]
) -> None:
    call_command("push_edits")
    assert capsys.readouterr().out == "No edit is due.\n"


def test_write_mode_is_turned_with_a_reason(
    organization: Organization, capsys: pytest.CaptureFixture[str]
) -> None:
    call_command("write_mode", "paused", "--organization", "sandbox", "--reason", "an audit")
    call_command("write_mode", "paused", "--reason", "again")

    assert capsys.readouterr().out == (
        "sandbox: write mode is paused.\nsandbox: write mode is already paused.\n"
    )
    assert WriteModeChange.objects.get().reason == "an audit"
    assert Organization.objects.get().write_mode == "paused"


def test_write_mode_of_several_organizations(organization: Organization) -> None:
    Organization.objects.create(slug="second", name="Second", is_sandbox=True, write_mode="on")

    call_command("write_mode", "off", "--reason", "stop all")
    assert set(Organization.objects.values_list("write_mode", flat=True)) == {"off"}

    with pytest.raises(CommandError) as refusal:
        call_command("write_mode", "on", "--reason", "go on")
    assert refusal.value.returncode == 2
    assert set(Organization.objects.values_list("write_mode", flat=True)) == {"off"}


@pytest.mark.parametrize(
    "arguments",
    [
        ["on", "--organization", "nobody", "--reason", "x"],
        ["on", "--organization", "sandbox", "--reason", " "],
    ],
)
def test_write_mode_used_wrongly(organization: Organization, arguments: list[str]) -> None:
    Organization.objects.update(write_mode="off")
    with pytest.raises(CommandError) as refusal:
        call_command("write_mode", *arguments)
    assert refusal.value.returncode == 2
    assert Organization.objects.get().write_mode == "off"
