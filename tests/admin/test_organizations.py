"""Organizations in the browser: a key that is written and never shown, and the write mode."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from sessions_app.admin.organizations import OrganizationAdmin
from sessions_app.models import Edit, Organization, WriteModeChange
from sessions_app.models.organizations import WriteMode

URL = "/admin/sessions_app/organization/"


@pytest.fixture
def stored(organization: Organization) -> Organization:
    organization.api_key = "KEY-THAT-NOBODY-SEES"
    organization.save()
    return organization


def typed(organization: Organization, **fields: Any) -> dict[str, Any]:
    shown = {
        "name": organization.name,
        "base_url": organization.base_url,
        "api_key": "",
        "freshness_goal_seconds": "300",
        "is_active": "on",
    }
    return {**shown, **fields}


def test_the_key_is_never_shown_and_kept_where_nothing_is_typed(
    admin_client: Client, stored: Organization
) -> None:
    page = admin_client.get(f"{URL}{stored.pk}/change/").content.decode()
    assert "KEY-THAT-NOBODY-SEES" not in page
    answer = admin_client.post(f"{URL}{stored.pk}/change/", typed(stored, name="Renamed"))
    assert answer.status_code == 302
    stored.refresh_from_db()
    assert (stored.name, stored.api_key) == ("Renamed", "KEY-THAT-NOBODY-SEES")


def test_what_is_written_between_opening_and_saving_stays(
    admin_client: Client, stored: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    save = OrganizationAdmin.save_model
    paused_at = timezone.now()

    def save_late(*args: Any) -> None:
        others = {
            "write_mode": WriteMode.PAUSED,
            "paused_at": paused_at,
            "vapi_org_id": "org-1",
            "api_key": "k",
        }
        Organization.objects.filter(pk=stored.pk).update(**others)
        save(*args)

    monkeypatch.setattr(OrganizationAdmin, "save_model", save_late)
    admin_client.post(f"{URL}{stored.pk}/change/", typed(stored, name="Renamed"))

    stored.refresh_from_db()
    assert (stored.name, stored.write_mode, stored.paused_at) == ("Renamed", WriteMode.PAUSED, paused_at)
    assert (stored.vapi_org_id, stored.api_key) == ("org-1", "k")


def test_a_typed_key_replaces_the_stored_one(admin_client: Client, stored: Organization) -> None:
    admin_client.post(f"{URL}{stored.pk}/change/", typed(stored, api_key="new-key"))
    stored.refresh_from_db()
    assert stored.api_key == "new-key"


def test_a_refused_form_does_not_show_the_typed_key_again(admin_client: Client, stored: Organization) -> None:
    page = admin_client.post(f"{URL}{stored.pk}/change/", typed(stored, api_key="new-key", name=""))
    assert "new-key" not in page.content.decode()


def test_the_stored_key_does_not_follow_to_another_address(
    admin_client: Client, stored: Organization
) -> None:
    elsewhere = typed(stored, base_url="https://elsewhere.example")
    page = admin_client.post(f"{URL}{stored.pk}/change/", elsewhere).content.decode()
    assert "Enter the key again" in page
    stored.refresh_from_db()
    assert stored.base_url == "http://127.0.0.1:9"


@pytest.mark.parametrize(
    "address", ["http://api.vapi.ai", "ftp://x.example", "api.vapi.ai", "https://u:p@x.example"]
)
def test_an_address_that_would_leak_the_key_is_refused(
    admin_client: Client, stored: Organization, address: str
) -> None:
    admin_client.post(f"{URL}{stored.pk}/change/", typed(stored, base_url=address, api_key="k"))
    stored.refresh_from_db()
    assert stored.base_url == "http://127.0.0.1:9"


def test_a_real_organization_starts_with_writing_off(admin_client: Client, db: None) -> None:
    new = {
        "slug": "acme",
        "name": "Acme",
        "base_url": "https://api.vapi.ai/",
        "api_key": "k",
        "report_time_zone": "Europe/Berlin",
        "freshness_goal_seconds": "300",
        "is_active": "on",
    }
    assert admin_client.post(f"{URL}add/", new).status_code == 302
    found = Organization.objects.get()
    assert (found.write_mode, found.base_url, found.is_sandbox) == (
        WriteMode.OFF,
        "https://api.vapi.ai",
        False,
    )


def test_a_real_organization_is_refused_beside_demo_data(
    admin_client: Client, organization: Organization
) -> None:
    new = {
        "slug": "acme",
        "name": "Acme",
        "base_url": "https://api.vapi.ai",
        "report_time_zone": "UTC",
        "freshness_goal_seconds": "300",
    }
    assert "holds demo data" in admin_client.post(f"{URL}add/", new).content.decode()
    assert Organization.objects.count() == 1


def test_the_write_mode_is_turned_with_a_reason_that_is_kept(
    admin_client: Client, organization: Organization
) -> None:
    address = f"{URL}{organization.pk}/write-mode/"
    page = admin_client.post(address, {"mode": "off", "reason": " "}).content.decode()
    assert "Say why." in page
    assert not WriteModeChange.objects.exists()

    page = admin_client.post(
        address, {"mode": "paused", "reason": "Vapi is being moved"}, follow=True
    ).content.decode()

    organization.refresh_from_db()
    assert organization.write_mode == WriteMode.PAUSED
    assert "Vapi is being moved" in page
    assert "Writing is paused" in page
    change = WriteModeChange.objects.get()
    assert (change.mode, str(change.author)) == ("paused", "admin")


def test_what_waits_is_said_before_writing_is_turned_on(
    admin_client: Client, organization: Organization
) -> None:
    Organization.objects.update(write_mode=WriteMode.OFF)
    address = f"{URL}{organization.pk}/change/"
    assert "sent at once" not in admin_client.get(address).content.decode()
    Edit.objects.create(organization=organization, session_id="s1", fields={"name": "Draft"})

    page = admin_client.get(address).content.decode()

    assert "1 edit waits" in page
    assert "sent at once" in page
    assert "?state=queued" in page


def test_the_write_mode_is_on_the_header_of_every_page(
    editor_client: Client, organization: Organization
) -> None:
    for address in ("/admin/sessions_app/session/", "/admin/sessions_app/edit/", "/admin/password_change/"):
        assert "Writing is on" in editor_client.get(address).content.decode()


def test_data_cannot_be_asked_to_be_fresher_than_vapi_is_asked(
    admin_client: Client, stored: Organization
) -> None:
    for seconds in ("0", "119"):
        page = admin_client.post(f"{URL}{stored.pk}/change/", typed(stored, freshness_goal_seconds=seconds))
        assert "Enter 120 or more" in page.content.decode()
    admin_client.post(f"{URL}{stored.pk}/change/", typed(stored, freshness_goal_seconds="120"))
    stored.refresh_from_db()
    assert stored.freshness_goal_seconds == 120
