"""The page of erasures: typed twice, shown before it is confirmed, and only for those who may."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from django.test import Client

from sessions_app.mirror.erasing import request_erasure, run_erasure
from sessions_app.mirror.holds import set_hold
from sessions_app.mirror.writer import mirror_sessions
from sessions_app.models import Erasure, Organization, Session
from sessions_app.vapi.payloads import parse_session

pytestmark = pytest.mark.django_db(transaction=True)
PAGE = "/admin/erasures/"
NOON = datetime(2026, 1, 10, 12, tzinfo=UTC)
NUMBER = "+4915199988877"


@pytest.fixture
def asked(organization: Organization) -> Callable[..., dict[str, Any]]:
    """The form, filled in for a customer who has one session."""
    times = {"createdAt": NOON.isoformat(), "updatedAt": NOON.isoformat()}
    record = parse_session({"id": "s1", "orgId": "org", **times, "customer": {"number": NUMBER}})
    mirror_sessions(organization, [record], asked_at=NOON)

    def make(**fields: Any) -> dict[str, Any]:
        filled = {"organization": organization.pk, "by": "number", "value": NUMBER, "again": NUMBER}
        return {**filled, "reason": "asked by letter", **fields}

    return make


def test_it_is_shown_first_and_erased_once_confirmed(
    admin_client: Client, asked: Callable[..., dict[str, Any]]
) -> None:
    page = admin_client.post(PAGE, asked()).content.decode()
    assert "Found here: 1 session " in page
    mark = re.search(r'name="confirmed"\s+value="([^"]+)"', page)
    assert mark
    other = {"value": "+4930123456", "again": "+4930123456"}
    page = admin_client.post(PAGE, asked(confirmed=mark[1], **other)).content.decode()
    assert "Nobody here has exactly “+4930123456”." in page
    assert not Erasure.objects.exists()

    admin_client.post(PAGE, asked(confirmed=mark[1]), follow=True)
    erasure = Erasure.objects.get()
    assert (erasure.found, erasure.author.username if erasure.author else "") == (1, "admin")
    run_erasure(erasure.pk)
    assert not Session.objects.exists()
    page = admin_client.get(PAGE).content.decode()
    assert "1 of 1 erased here" in page
    assert NUMBER not in page


def test_it_is_typed_twice(admin_client: Client, asked: Callable[..., dict[str, Any]]) -> None:
    page = admin_client.post(PAGE, asked(again="+49", confirmed="yes")).content.decode()
    assert "This is not the same." in page
    assert not Erasure.objects.exists()


def test_who_may_not(ops_client: Client, asked: Callable[..., dict[str, Any]]) -> None:
    assert ops_client.get(PAGE).status_code == 403
    assert ops_client.post(PAGE, asked(confirmed="yes")).status_code == 403
    assert not Erasure.objects.exists()


def test_administrators_may(
    administrator: Any, sign_in: Callable[..., Client], organization: Organization
) -> None:
    assert sign_in(administrator).get(PAGE).status_code == 200


def test_a_number_that_nobody_has_is_told_from_the_one_that_may_be_meant(
    admin_client: Client, asked: Callable[..., dict[str, Any]]
) -> None:
    page = admin_client.post(PAGE, asked(value="0151 999 88877", again="0151 999 88877")).content.decode()
    assert f"Nobody here has exactly “0151 999 88877”. Did you mean {NUMBER}?" in page
    assert "Erase what there is all the same" in page
    assert "Erase for good" not in page


def test_a_held_customer_is_not_offered_to_be_erased(
    admin_client: Client, asked: Callable[..., dict[str, Any]], organization: Organization
) -> None:
    form = asked()
    set_hold(organization, "number", NUMBER, "a case", "ada")
    page = admin_client.post(PAGE, form).content.decode()
    assert "nothing of theirs is erased until it is released" in page
    assert 'name="confirmed"' not in page


def test_an_erasure_under_way_is_followed(
    admin_client: Client, asked: Callable[..., dict[str, Any]], organization: Organization
) -> None:
    asked()
    erasure = request_erasure(organization, "number", NUMBER, "asked", at_vapi=False)
    assert 'hx-trigger="every 2s"' in admin_client.get(PAGE).content.decode()
    run_erasure(erasure.pk)
    assert 'hx-trigger="every 2s"' not in admin_client.get(PAGE).content.decode()


def test_the_same_number_may_be_typed_in_two_ways(
    admin_client: Client, asked: Callable[..., dict[str, Any]]
) -> None:
    page = admin_client.post(PAGE, asked(value="+49 151 999 88877")).content.decode()
    assert "Found here: 1 session " in page
