"""The coverage pages: the calendar, a day's proof, who may see and start what, and a fixed number of queries."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from sessions_app import tasks
from sessions_app.models import Coverage, Organization, RetentionBoundary, Session, SyncRun, Watermark
from tests.search.rows import make_session

pytestmark = pytest.mark.django_db

PAGE = "/admin/coverage/"
PROVE = "/admin/coverage/sandbox/sessions/prove/"
FIRST = date(2026, 8, 1)


def make_days(
    organization: Organization, number: int, stream: str = "sessions", first: date = FIRST, **fields: Any
) -> None:
    defaults = {"state": "proven", "proven_at": timezone.now(), "upstream_count": 5, "mirrored_count": 5}
    Coverage.objects.bulk_create(
        Coverage(
            organization=organization,
            stream=stream,
            day=first + timedelta(days=each),
            **{**defaults, **fields},
        )
        for each in range(number)
    )


@pytest.fixture
def asking(organization: Organization) -> SyncRun:
    now = timezone.now()
    return SyncRun.objects.create(
        organization=organization,
        stream="sessions",
        kind="reconcile",
        state="partial",
        error="A person has to agree: Vapi no longer lists 25 sessions that are here.",
        started_at=now,
        finished_at=now,
    )


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """What was said to workers; there is no broker in this test."""
    calls: list[tuple[Any, ...]] = []
    monkeypatch.setattr(tasks, "send_now", lambda task, *args: calls.append((task.name, *args)))
    return calls


def test_the_calendar_shows_each_day_and_links_to_it(
    editor_client: Client, organization: Organization
) -> None:
    make_days(organization, 20)
    Coverage.objects.filter(day=FIRST).update(state="differs", upstream_count=6)
    Coverage.objects.filter(day=FIRST + timedelta(days=1)).update(state="beyond_retention", missing_count=3)
    Watermark.objects.create(
        organization=organization, stream="sessions", updated_at=timezone.now(), backfilled_at=timezone.now()
    )
    RetentionBoundary.objects.create(
        organization=organization,
        stream="sessions",
        oldest_listed_at=datetime(2026, 8, 2, 7, tzinfo=UTC),
        is_announced=True,
        seen_at=timezone.now(),
    )

    text = editor_client.get(PAGE).text

    assert 'href="/admin/coverage/sandbox/sessions/2026-08-01/"' in text
    assert "1 Aug 2026: differs, 6 at Vapi, 5 here" in text
    assert "3 kept that Vapi no longer has" in text
    assert "1 day differs" in text
    assert "says that it hides older ones" in text


def test_an_empty_page_says_what_is_missing(editor_client: Client, organization: Organization) -> None:
    text = editor_client.get(PAGE).text

    assert "not proven yet" in text
    assert "no full sync has finished yet" in text


def test_a_day_shows_its_proof_and_what_vapi_lost(editor_client: Client, organization: Organization) -> None:
    make_days(organization, 3)
    start = datetime(2026, 8, 2, tzinfo=UTC)
    make_session(organization, "kept")
    lost = make_session(organization, "lost", name="Lost kettle")
    type(lost).objects.filter(pk__in=["kept", "lost"]).update(created_at=start + timedelta(hours=3))
    type(lost).objects.filter(pk="lost").update(missing_since=timezone.now(), missing_reason="gone")
    Coverage.objects.filter(day=start.date()).update(
        state="differs", upstream_count=7, mirrored_count=5, missing_count=1, note="Two came too late."
    )

    text = editor_client.get("/admin/coverage/sandbox/sessions/2026-08-02/").text

    assert "Two came too late." in text
    assert "Lost kettle" in text
    assert "/admin/sessions_app/session/lost/change/" in text
    assert "gone from Vapi, cause unknown" in text
    assert "/admin/coverage/sandbox/sessions/2026-08-01/" in text
    assert "/admin/coverage/sandbox/sessions/2026-08-03/" in text
    rows = editor_client.get(
        "/admin/sessions_app/session/?created_at__gte=2026-08-02T00%3A00%3A00Z"
        "&created_at__lt=2026-08-03T00%3A00%3A00Z&organization=sandbox"
    )
    assert "Lost kettle" in rows.text


@pytest.mark.parametrize(
    "path",
    ["sandbox/sessions/2026-09-01/", "sandbox/names/2026-08-01/", "other/sessions/2026-08-01/", "x/y/z/"],
)
def test_a_day_that_is_not_known_is_404(editor_client: Client, organization: Organization, path: str) -> None:
    make_days(organization, 1)
    assert editor_client.get(PAGE + path).status_code == 404


def test_the_page_asks_as_many_queries_for_many_days(
    editor_client: Client, organization: Organization, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    make_days(organization, 2)
    editor_client.get(PAGE)
    with CaptureQueriesContext(connection) as few:
        editor_client.get(PAGE)
    Coverage.objects.all().delete()
    make_days(organization, 100)
    make_days(organization, 100, "chats", state="differs")
    Organization.objects.create(slug="b", name="B", base_url="http://127.0.0.1:9", is_sandbox=True)
    with django_assert_num_queries(len(few)):
        editor_client.get(PAGE)


def test_earlier_days_are_a_page_away(editor_client: Client, organization: Organization) -> None:
    first, last = FIRST - timedelta(days=499), FIRST
    make_days(organization, 500, first=first)

    text = editor_client.get(PAGE).text

    monday = last - timedelta(days=last.weekday(), weeks=52)
    assert f"?until={monday - timedelta(days=1)}" in text
    earlier = editor_client.get(f"{PAGE}?until={monday - timedelta(days=1)}").text
    assert f"/sessions/{first}/" in earlier


def test_viewers_of_nothing_see_nothing(
    viewer_client: Client, stranger_client: Client, organization: Organization
) -> None:
    make_days(organization, 1)
    for client in (viewer_client, stranger_client, Client()):
        assert client.get(PAGE).status_code in {302, 403}
        assert client.get(f"{PAGE}sandbox/sessions/2026-08-01/").status_code in {302, 403}


def test_operations_start_a_proof(
    ops_client: Client,
    ops: User,
    editor_client: Client,
    organization: Organization,
    sent: list[tuple[Any, ...]],
    django_capture_on_commit_callbacks: Any,
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        assert ops_client.post(PROVE).status_code == 302
        assert editor_client.post(PROVE).status_code == 403
        assert ops_client.get(PROVE).status_code == 405

    assert sent == [("sessions_app.tasks.reconcile_stream", organization.pk, "sessions", False, ops.pk)]


def test_a_person_agrees_to_mark_many(
    ops_client: Client,
    ops: User,
    editor_client: Client,
    organization: Organization,
    asking: SyncRun,
    sent: list[tuple[Any, ...]],
    django_capture_on_commit_callbacks: Any,
) -> None:
    assert "Vapi no longer lists 25 sessions" in ops_client.get(PAGE).text
    assert "Mark as missing" in ops_client.get(PAGE).text
    assert "Mark as missing" not in editor_client.get(PAGE).text

    with django_capture_on_commit_callbacks(execute=True):
        ops_client.post(PROVE, {"agree": "1"})

    assert sent == [("sessions_app.tasks.reconcile_stream", organization.pk, "sessions", True, ops.pk)]


def test_a_day_asks_as_many_queries_for_many_missing_rows(
    editor_client: Client, organization: Organization, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    make_days(organization, 3)
    page = "/admin/coverage/sandbox/sessions/2026-08-02/"
    editor_client.get(page)
    with CaptureQueriesContext(connection) as few:
        editor_client.get(page)
    for number in range(30):
        make_session(organization, f"lost{number}")
    at = datetime(2026, 8, 2, 9, tzinfo=UTC)
    Session.objects.update(created_at=at, missing_since=timezone.now(), missing_reason="gone")
    with django_assert_num_queries(len(few)):
        assert "lost29" in editor_client.get(page).text
