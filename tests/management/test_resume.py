"""`manage.py resume`: paused organizations go on once Vapi takes their keys."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from sessions_app.mirror.sync import sync_organization
from sessions_app.models import KeyPause, Organization
from tests.sandbox_process import SandboxProcess

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def paused(sandbox: SandboxProcess, organization: Organization) -> Organization:
    """Its key was refused by a sync."""
    sandbox.fault("401")
    sync_organization(organization)
    return organization


def resume(*arguments: str) -> tuple[int, str]:
    out = io.StringIO()
    try:
        call_command("resume", *arguments, stdout=out)
    except CommandError as error:
        return error.returncode, out.getvalue()
    return 0, out.getvalue()


def as_json(*arguments: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(resume(*arguments, "--json")[1])["organizations"]
    return found


def test_it_lists_and_ends_a_pause(sandbox: SandboxProcess, paused: Organization) -> None:
    assert "sandbox: paused since" in resume("--list")[1]
    assert [one["organization"] for one in as_json("--list", "--organization=sandbox")] == ["sandbox"]
    sandbox.fault("")

    assert resume("--reason= The bill is paid ") == (0, "sandbox: goes on.\n")

    assert Organization.objects.reachable().exists()
    pause = KeyPause.objects.get()
    assert pause.cause == "Vapi refused the API key (401)."
    assert (pause.ended_by, pause.end_reason) == ("command line", "The bill is paid")
    assert pause.ended_at is not None
    assert resume("--list") == (0, "No organization is paused.\n")
    assert sync_organization(paused)


def test_a_key_that_is_refused_still_keeps_it_paused(sandbox: SandboxProcess, paused: Organization) -> None:
    status, words = resume("--reason=again")
    assert (status, "sandbox: paused since" in words) == (1, True)
    assert not Organization.objects.reachable().exists()
    assert [(pause.ended_at, pause.end_reason) for pause in KeyPause.objects.all()] == [(None, "")]


@pytest.mark.parametrize(
    "arguments", [(), ("--reason= ",), ("--list", "--reason=x"), ("--list", "--organization=unknown")]
)
def test_what_is_not_understood(organization: Organization, arguments: tuple[str, ...]) -> None:
    assert resume(*arguments)[0] in (1, 2)


def test_one_that_was_never_paused(organization: Organization) -> None:
    assert resume("--organization=sandbox", "--reason=x") == (0, "No organization is paused.\n")


def test_a_session_that_cannot_be_had_does_not_keep_it_paused(
    sandbox: SandboxProcess, paused: Organization
) -> None:
    rows = sandbox.truth("sessions")
    sandbox.fault(";".join(f"poison:id={row['id']}" for row in (rows[0], rows[-1])))
    assert resume("--reason=again") == (0, "sandbox: goes on.\n")
