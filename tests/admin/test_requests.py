"""The page of requests to Vapi: its figures are the rows', and the budget is changed by whoever may."""

from __future__ import annotations

import pytest
from django.db.models.functions import Now, TruncMinute
from django.test import Client
from django.urls import reverse

from sessions_app.mirror import bucket
from sessions_app.mirror.refetch import refetch_session
from sessions_app.models import Organization, RequestTally
from tests.sandbox_process import SandboxProcess

pytestmark = pytest.mark.django_db


def test_what_was_asked_stands_on_the_page(
    sandbox: SandboxProcess, organization: Organization, ops_client: Client
) -> None:
    refetch_session(organization, sandbox.truth()[0]["id"])
    RequestTally.objects.create(
        organization=organization, minute=TruncMinute(Now()), purpose="backfill", outcome="429", count=7
    )

    for period in ("hour", "day"):
        page = ops_client.get(reverse("admin:requests"), {"period": period})

        assert page.status_code == 200
        rows = {row["name"]: row for row in page.context["rows"]}
        assert rows["a person waits"]["sent"] == len(sandbox.journal()) > 1
        assert rows["full sync"]["counts"][:2] == [0, 7]
        drawn = {one["purpose"]: sum(one["counts"]) for one in page.context["chart"]["series"]}
        assert drawn == {"person": len(sandbox.journal()), "backfill": 7}
        assert page.context["sums"]["sent"] == len(sandbox.journal()) + 7


def test_a_cool_down_is_shown(organization: Organization, ops_client: Client) -> None:
    ops_client.get(reverse("admin:requests"))
    assert "No cool-down" in ops_client.get(reverse("admin:requests")).content.decode()

    bucket.cool_down(organization.pk, 30)

    assert "Vapi asked us to wait" in ops_client.get(reverse("admin:requests")).content.decode()


def test_the_budget_is_changed(organization: Organization, admin_client: Client, ops_client: Client) -> None:
    address = reverse("admin:requests-budget", args=[organization.pk])
    wanted = {"requests_per_second": "2.5", "concurrent_requests": "3"}

    assert ops_client.post(address, wanted).status_code == 403
    assert admin_client.get(address).status_code == 405
    assert admin_client.post(address, {**wanted, "concurrent_requests": "0"}).status_code == 400
    organization.refresh_from_db()
    assert (organization.requests_per_second, organization.concurrent_requests) == (200, 16)

    assert admin_client.post(address, wanted).status_code == 302
    organization.refresh_from_db()
    assert (organization.requests_per_second, organization.concurrent_requests) == (2.5, 3)


def test_who_may_not_see_sync_runs_sees_no_requests(
    organization: Organization, viewer_client: Client
) -> None:
    assert viewer_client.get(reverse("admin:requests")).status_code == 403
