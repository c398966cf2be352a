"""A bulk edit of many of which 3 % fail: what is asked of Vapi and of the database. BULK_SESSIONS says how many."""

from __future__ import annotations

import os

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from sessions_app.edits import bulk as bulks
from sessions_app.mirror.sync import sync_stream
from sessions_app.models import Organization
from sessions_app.models.runs import Stream
from tests.edits.bulk_work import work
from tests.sandbox_process import SandboxProcess

pytestmark = pytest.mark.django_db(transaction=True)
# By hand: BULK_SESSIONS=5000.
MANY = int(os.environ.get("BULK_SESSIONS", "200"))
FAILING = MANY * 3 // 100


def test_three_in_a_hundred_fail_and_each_costs_two_requests(
    sandbox: SandboxProcess, organization: Organization, editor: User, ops_client: Client
) -> None:
    Organization.objects.update(requests_per_second=100_000, concurrent_requests=100)
    organization.refresh_from_db()
    ids = [f"many-{number:05}" for number in range(MANY)]
    for start in range(0, MANY, 500):
        rows = [{"id": found, "fields": {"name": "Before"}} for found in ids[start : start + 500]]
        sandbox.change_many("sessions", rows)
    sync_stream(organization, Stream.SESSIONS, full=True)
    sandbox.control("DELETE", "journal")
    sandbox.fault(f"422:method=PATCH,count={FAILING}")

    bulk = bulks.preview(organization, ids, {"name": "After"}, editor)
    bulks.confirm(bulk, editor, "Tidy")
    work(bulk)

    assert bulks.count_states(bulk) == {"applied": MANY - FAILING, "rejected": FAILING}
    assert sandbox.control("GET", "stats")["requests"] == 2 * MANY
    named = [row["name"] for row in sandbox.truth() if row["id"] in ids]
    assert (named.count("After"), named.count("Before")) == (MANY - FAILING, FAILING)
    with CaptureQueriesContext(connection) as captured:
        page = ops_client.get(f"/admin/sessions_app/bulkedit/{bulk.pk}/change/")
    assert f"Retry the {FAILING} failed" in page.text and len(captured) < 40

    assert bulks.retry_failed(bulk, editor) == FAILING
    work(bulk)
    assert bulks.count_states(bulk) == {"applied": MANY}
    assert sandbox.control("GET", "stats")["requests"] == 2 * (MANY + FAILING)
