"""Times at the ends of what can be written, as rows and messages may hold them: pages show them in any zone."""

from __future__ import annotations

import pytest
from django.test import Client
from pytest_django import Settings

from sessions_app.models import Organization
from tests.admin.rows import mirror_session, say

SESSION = "/admin/sessions_app/session/"
FIRST, LAST = "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"
ZONES = ["UTC", "America/New_York", "Pacific/Kiritimati"]


@pytest.mark.parametrize("zone", ZONES)
def test_a_session_of_the_first_day_is_listed_and_read(
    ops_client: Client, organization: Organization, settings: Settings, zone: str
) -> None:
    settings.TIME_ZONE = zone
    turns = [say("user", "hello", time=FIRST), say("assistant", "hi", time=LAST)]
    mirror_session(organization, createdAt=FIRST, updatedAt=FIRST, messages=turns)
    mirror_session(organization, "other")

    for address in (SESSION, f"{SESSION}session-1/change/", f"{SESSION}session-1/edit/", "/admin/costs/"):
        assert ops_client.get(address).status_code == 200
    assert "1 Jan 0001" in ops_client.get(SESSION).content.decode()
    assert ops_client.get("/api/v1/sessions/").status_code == 200


@pytest.mark.parametrize("zone", ZONES)
def test_a_message_of_the_last_day_is_read(
    ops_client: Client, organization: Organization, settings: Settings, zone: str
) -> None:
    settings.TIME_ZONE = zone
    far = [say("user", "hello", secondsFromStart=float(number)) for number in ("1e300", "2", "1e300")]
    mirror_session(organization, messages=[*far, say("user", "bye", time=253402300799000)])

    assert "bye" in ops_client.get(f"{SESSION}session-1/change/").content.decode()
