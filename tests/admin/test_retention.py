"""Age limits on an organization's page: set, refused where they make no sense, and what goes next."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from sessions_app.mirror.holds import set_hold
from sessions_app.mirror.pruning import Pruned, prune
from sessions_app.models import KeyPause, Organization, QuarantinedRecord, SyncRun, WebhookEvent
from tests.admin.rows import mirror_session
from tests.admin.test_organizations import URL, typed

DAYS = {
    "payload_retention_days": "30",
    "row_retention_days": "60",
    "history_retention_days": "40",
    "body_retention_days": "2",
    "event_retention_days": "3",
    "quarantine_retention_days": "4",
    "run_retention_days": "5",
    "notice_retention_days": "6",
}


def save(browser: Client, organization: Organization, **days: str) -> Any:
    return browser.post(f"{URL}{organization.pk}/change/", typed(organization, **{**DAYS, **days}))


def card(browser: Client, organization: Organization) -> dict[str, str]:
    """By what is kept, its row in words."""
    answer = browser.get(f"{URL}{organization.pk}/retention/")
    assert answer.status_code == 200
    rows = re.findall(r"<tr>(.*?)</tr>", answer.content.decode(), re.DOTALL)
    plain = [" ".join(re.sub(r"<[^>]*>", " ", row).split()) for row in rows[1:]]
    names = [re.sub(r"<[^>]*>", "", row.strip().splitlines()[0]) for row in rows[1:]]
    return {name: words.removeprefix(name).strip() for name, words in zip(names, plain, strict=True)}


def test_each_limit_is_set_and_emptied(admin_client: Client, organization: Organization) -> None:
    assert save(admin_client, organization).status_code == 302
    organization.refresh_from_db()
    assert {name: str(getattr(organization, name)) for name in DAYS} == DAYS

    assert save(admin_client, organization, **dict.fromkeys(DAYS, "")).status_code == 302
    organization.refresh_from_db()
    assert {getattr(organization, name) for name in DAYS} == {None}
    assert prune() == Pruned()


@pytest.mark.parametrize(
    ("name", "days"),
    [
        *((name, "0") for name in DAYS),
        *(("run_retention_days", days) for days in ("-1", "36501", "1.5", "soon")),
    ],
)
def test_what_is_no_number_of_days_is_refused(
    admin_client: Client, organization: Organization, name: str, days: str
) -> None:
    before = {each: getattr(organization, each) for each in DAYS}
    assert save(admin_client, organization, **{name: days}).status_code == 200
    organization.refresh_from_db()
    assert {each: getattr(organization, each) for each in DAYS} == before


@pytest.mark.parametrize("name", ["payload_retention_days", "body_retention_days"])
def test_a_part_is_not_kept_longer_than_the_whole(
    admin_client: Client, organization: Organization, name: str
) -> None:
    page = save(admin_client, organization, **{name: "61"}).content.decode()
    assert "They go whole after" in page


def test_each_organization_has_limits_of_its_own(organization: Organization) -> None:
    other = Organization.objects.create(
        slug="other", name="Other", is_sandbox=True,
        body_retention_days=None, event_retention_days=None, quarantine_retention_days=2, run_retention_days=2,
    )  # fmt: skip
    three_days_ago = timezone.now() - timedelta(days=3)
    for one in (organization, other):
        QuarantinedRecord.objects.create(
            organization=one, stream="sessions", reason="odd",
            first_seen_at=three_days_ago, last_seen_at=three_days_ago,
        )  # fmt: skip
        SyncRun.objects.create(
            organization=one, stream="chats", kind="backfill", state="failed",
            started_at=three_days_ago, finished_at=three_days_ago,
        )  # fmt: skip
        WebhookEvent.objects.create(
            organization=one, digest="d", body_json="{}", state="processed",
            received_at=timezone.now() - timedelta(days=200),
        )  # fmt: skip

    assert prune() == Pruned(bodies=1, events=1, quarantined=1, runs=1)

    assert WebhookEvent.objects.get().organization == other
    assert QuarantinedRecord.objects.get().organization == organization
    assert SyncRun.objects.get().organization == organization


def test_what_is_kept_and_what_goes_next_is_told(admin_client: Client, organization: Organization) -> None:
    for session_id in ("old", "held"):
        mirror_session(organization, session_id)
    set_hold(organization, "session", "held", "a case", "Grace")
    WebhookEvent.objects.create(
        organization=organization, digest="d", body_json="{}", state="processed",
        received_at=timezone.now() - timedelta(days=28),
    )  # fmt: skip
    Organization.objects.update(row_retention_days=30)

    shown = card(admin_client, organization)

    assert shown["Sessions"].startswith("2 ")
    assert shown["Sessions"].endswith("30 days 1 tonight")
    assert shown["What was said in sessions"].endswith("ever nothing")
    assert shown["Bodies of webhook messages"] == "1 28 days ago 30 days the oldest in 2 days"
    assert shown["Quarantined records"].endswith("180 days nothing")
    page = admin_client.get(f"{URL}{organization.pk}/retention/").content.decode()
    assert "1 session under legal hold stays, whatever their age" in " ".join(page.split())


def test_who_sees_it(
    organization: Organization, viewer_client: Client, editor_client: Client, admin_client: Client
) -> None:
    address = f"{URL}{organization.pk}/retention/"
    assert Client().get(address).status_code == 302
    assert viewer_client.get(address).status_code == 403
    assert editor_client.get(address).status_code == 200
    assert admin_client.get(f"{URL}0/retention/").status_code == 404


def test_pauses_are_told(admin_client: Client, organization: Organization) -> None:
    address = f"{URL}{organization.pk}/change/"
    assert "Vapi has not refused its key so far." in admin_client.get(address).content.decode()
    KeyPause.objects.create(
        organization=organization, cause="Vapi asks for payment (402).", began_at=timezone.now(),
        ended_at=timezone.now(), ended_by="Grace", end_reason="The bill is paid",
    )  # fmt: skip
    page = admin_client.get(address).content.decode()
    assert "Vapi asks for payment (402)." in page
    assert "by <bdi>Grace</bdi>" in page
    assert "The bill is paid" in page
