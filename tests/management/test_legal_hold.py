"""`manage.py legal_hold`."""

from __future__ import annotations

import io
import json

import pytest
from django.core.management import CommandError, call_command

from sessions_app.models import LegalHold, Organization
from tests.admin.rows import mirror_session

pytestmark = pytest.mark.django_db


def run(*arguments: str) -> str:
    out = io.StringIO()
    call_command("legal_hold", *arguments, stdout=out)
    return out.getvalue()


def type_in(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{text}\n"))


def test_set_listed_and_released(organization: Organization, monkeypatch: pytest.MonkeyPatch) -> None:
    mirror_session(organization, customer={"number": "+4915199988877"})
    type_in(monkeypatch, "+49 151 99988877")

    words = run("set", "--number", "--organization=sandbox", "--reason=a case")

    hold = LegalHold.objects.get()
    assert words == f"Legal hold {hold.pk}: 1 session held.\n"
    assert hold.set_by == "command line"
    [listed] = json.loads(run("list", "--json"))["legal_holds"]
    assert (listed["by"], listed["sessions"], listed["reason"]) == ("number", 1, "a case")
    assert "99988877" not in run("list")
    assert run("release", str(hold.pk), "--reason=settled") == f"Legal hold {hold.pk} is released.\n"
    assert run("release", str(hold.pk), "--reason=settled") == f"Legal hold {hold.pk} was already released.\n"
    assert run("list") == "Nothing is held.\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ("set", "--session", "--organization=unknown", "--reason=x"),
        ("set", "--session", "--organization=sandbox", "--reason=x"),
        ("set", "--session", "--organization=sandbox", "--reason= "),
        ("release", "7", "--reason=x"),
    ],
)
def test_what_is_not_understood(
    organization: Organization, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    type_in(monkeypatch, "unknown")
    with pytest.raises(CommandError) as refused:
        run(*arguments)
    assert refused.value.returncode == 2
    assert not LegalHold.objects.exists()
