"""Legal holds in the browser: set, seen on the session's page, released, and only by those who may."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from sessions_app.mirror.holds import set_hold
from sessions_app.models import LegalHold, Organization
from tests.admin.rows import mirror_session

LIST = "/admin/sessions_app/legalhold/"
SESSION = "/admin/sessions_app/session/session-1/change/"
ADA: dict[str, Any] = {"number": "+4915199988877", "name": "Ada"}
BADGE = "held: not pruned, not erased"


def asked(organization: Organization, **fields: Any) -> dict[str, Any]:
    return {
        "organization": organization.pk,
        "by": "session",
        "value": "session-1",
        "reason": "a case",
        **fields,
    }


def test_a_session_is_held_from_its_page_and_released(
    administrator: User, sign_in: Callable[[User], Client], organization: Organization, viewer_client: Client
) -> None:
    mirror_session(organization, customer=ADA)
    browser = sign_in(administrator)
    page = browser.get(SESSION).content.decode()
    assert BADGE not in page
    [link] = re.findall(r'href="(/admin/sessions_app/legalhold/add/[^"]+)"', page)
    form = browser.get(link.replace("&amp;", "&")).content.decode()
    assert 'value="session-1"' in form

    page = browser.post(f"{LIST}add/", asked(organization), follow=True).content.decode()

    hold = LegalHold.objects.get()
    assert (hold.set_by, hold.reason) == ("administrator", "a case")
    assert "Held: 1 session" in page
    assert BADGE in browser.get(SESSION).content.decode()
    assert BADGE in viewer_client.get(SESSION).content.decode()
    assert f"{LIST}{hold.pk}/change/" not in viewer_client.get(SESSION).content.decode()

    assert "Say why." in browser.post(f"{LIST}{hold.pk}/release/", {"reason": " "}).content.decode()
    page = browser.post(f"{LIST}{hold.pk}/release/", {"reason": "settled"}, follow=True).content.decode()
    assert "Why released" in page
    assert "settled" in page
    assert BADGE not in browser.get(SESSION).content.decode()
    answer = browser.post(f"{LIST}{hold.pk}/release/", {"reason": "again"}, follow=True)
    assert "It was released before." in answer.content.decode()


def test_a_customers_sessions_of_later_on_wear_the_badge(
    admin_client: Client, organization: Organization
) -> None:
    admin_client.post(f"{LIST}add/", asked(organization, by="number", value="+49 15199988877"))
    assert LegalHold.objects.get().held.count() == 0
    mirror_session(organization, customer=ADA)
    assert BADGE in admin_client.get(SESSION).content.decode()


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"value": "unknown"}, "There is no such session in this organization."),
        ({"value": ""}, "This field is required."),
        ({"reason": ""}, "This field is required."),
        ({"by": "name"}, "Select a valid choice."),
        ({"organization": 0}, "Select a valid choice."),
    ],
)
def test_what_is_wrong_is_said(
    admin_client: Client, organization: Organization, fields: dict[str, Any], words: str
) -> None:
    page = admin_client.post(f"{LIST}add/", {**asked(organization), **fields}).content.decode()
    assert words in page
    assert not LegalHold.objects.exists()


def test_who_may(
    organization: Organization, stranger_client: Client, editor_client: Client, ops_client: Client
) -> None:
    mirror_session(organization)
    hold = set_hold(organization, "session", "session-1", "a case", "Grace")
    addresses = (LIST, f"{LIST}{hold.pk}/change/")
    for client, status in ((stranger_client, 403), (editor_client, 403), (ops_client, 200), (Client(), 302)):
        assert [client.get(address).status_code for address in addresses] == [status, status]
    assert "Release it" not in ops_client.get(addresses[1]).content.decode()
    assert ops_client.get(f"{LIST}add/").status_code == 403
    assert ops_client.post(f"{LIST}add/", asked(organization)).status_code == 403
    assert ops_client.post(f"{LIST}{hold.pk}/release/", {"reason": "x"}).status_code == 403
    assert LegalHold.objects.filter(released_at=None).count() == 1


def test_a_release_is_no_get_and_needs_the_forms_token(
    admin: User, organization: Organization, sign_in: Callable[[User], Client]
) -> None:
    mirror_session(organization)
    hold = set_hold(organization, "session", "session-1", "a case", "Grace")
    assert sign_in(admin).get(f"{LIST}{hold.pk}/release/").status_code == 405
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(admin, backend="django.contrib.auth.backends.ModelBackend")
    assert strict.post(f"{LIST}{hold.pk}/release/", {"reason": "x"}).status_code == 403
    assert sign_in(admin).get(f"{LIST}999/change/").status_code == 404
    assert LegalHold.objects.get().released_at is None


def test_the_list_asks_the_same_for_many(ops_client: Client, organization: Organization) -> None:
    assert "Nothing is held." in ops_client.get(LIST).content.decode()
    counts = []
    for number in (1, 40):
        for one in range(number):
            mirror_session(organization, f"s{number}-{one}")
            set_hold(organization, "session", f"s{number}-{one}", "a case", "Grace")
        with CaptureQueriesContext(connection) as captured:
            ops_client.get(LIST)
        counts.append(len(captured))
    assert counts[0] == counts[1]
    assert "s40-39" in ops_client.get(f"{LIST}?in_force=true").content.decode()
    assert "s40-39" not in ops_client.get(f"{LIST}?in_force=false").content.decode()


@pytest.mark.parametrize(
    ("by", "value", "words"),
    [
        (
            "number",
            "0151 999 88877",
            "Nobody here has exactly “0151 999 88877”. Did you mean +4915199988877?",
        ),
        ("number", "+1999", "Nobody here has exactly “+1999”."),
        ("email", "nobody@example.org", "Nobody here has exactly “nobody@example.org”."),
    ],
)
def test_a_hold_that_holds_nothing_says_so(
    admin_client: Client, organization: Organization, by: str, value: str, words: str
) -> None:
    mirror_session(organization, customer=ADA)
    page = admin_client.post(
        f"{LIST}add/", asked(organization, by=by, value=value), follow=True
    ).content.decode()
    assert f"This holds nothing yet. {words}" in html.unescape(page)
    assert "Held from now on" not in page
    assert LegalHold.objects.count() == 1


def test_who_may_hold_and_see_no_customers_is_told_of_no_number(
    stranger: User, sign_in: Callable[[User], Client], organization: Organization
) -> None:
    mirror_session(organization, customer=ADA)
    rights = ("add_legalhold", "view_legalhold", "hold_sessions")
    stranger.user_permissions.set(Permission.objects.filter(codename__in=rights))
    form = asked(organization, by="number", value="0151 999 88877")
    page = sign_in(stranger).post(f"{LIST}add/", form, follow=True).content.decode()
    assert "This holds nothing yet." in page
    assert ADA["number"] not in page
