"""`manage.py create_api_token`."""

from __future__ import annotations

import io

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from sessions_app.models import ApiToken, Organization

pytestmark = pytest.mark.django_db


def create(*arguments: str) -> str:
    out = io.StringIO()
    call_command("create_api_token", *arguments, stdout=out)
    return out.getvalue()


def test_prints_the_token_alone_and_it_works(organization: Organization) -> None:
    printed = create("reports", "--scope", "sessions:read", "--scope", "costs:read")
    assert printed.count("\n") == 1
    client = Client(headers={"Authorization": f"Bearer {printed.strip()}"})
    assert client.get("/api/v1/sessions/").status_code == 200
    assert client.get("/api/v1/sync-runs/").status_code == 403
    token = ApiToken.objects.get()
    assert (token.name, token.scopes) == ("reports", ["costs:read", "sessions:read"])
    assert token.expires_at is None


def test_a_token_may_expire() -> None:
    create("reports", "--scope", "costs:read", "--days", "7")
    token = ApiToken.objects.get()
    assert token.expires_at is not None
    assert (token.expires_at - token.created_at).days in {6, 7}


@pytest.mark.parametrize(
    "arguments",
    [
        ("reports",),
        ("reports", "--scope", "everything"),
        (" ", "--scope", "costs:read"),
        ("reports", "--scope", "costs:read", "--days", "0"),
    ],
)
def test_what_makes_no_sense_makes_no_token(arguments: tuple[str, ...]) -> None:
    with pytest.raises(CommandError):
        create(*arguments)
    assert not ApiToken.objects.exists()
