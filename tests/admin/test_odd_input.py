"""Input that no page sends: NUL, which PostgreSQL refuses, and days at the ends of time."""

from __future__ import annotations

from datetime import date

import pytest
from django.test import Client

from sessions_app.models import BulkEdit, Coverage, Edit, LegalHold, Organization
from tests.admin.rows import mirror_session

SESSION = "/admin/sessions_app/session/"
REPLACED = "a\N{REPLACEMENT CHARACTER}b"


@pytest.mark.parametrize(
    "address",
    [
        f"{SESSION}a%00b/change/",
        f"{SESSION}a%00b/edit/",
        f"{SESSION}a%00b/changes/",
        "/admin/sessions_app/chat/a%00b/change/",
        "/admin/coverage/%00/sessions/2026-01-01/",
        "/admin/auth/user/%00/change/",
    ],
)
def test_nothing_stands_at_an_address_with_nul(
    admin_client: Client, organization: Organization, address: str
) -> None:
    answer = admin_client.get(address)
    assert (answer.status_code, answer["Content-Type"]) == (404, "text/html; charset=utf-8")


def test_a_program_is_answered_so_in_json(admin_client: Client, organization: Organization) -> None:
    answer = admin_client.post("/api/v1/sessions/%00/refetch/")
    assert (answer.status_code, answer.json()) == (404, {"detail": "There is nothing at this address."})


@pytest.mark.parametrize("name", ["model", "assistant_id", "kind", "organization"])
def test_costs_of_nul_are_not_understood(admin_client: Client, organization: Organization, name: str) -> None:
    page = admin_client.get(f"/admin/costs/?{name}=%00")
    assert page.status_code == 400
    assert f"{name}: " in page.context["errors"][0]
    answer = admin_client.get(f"/api/v1/costs/summary/?{name}=%00")
    assert (answer.status_code, list(answer.json())) == (400, [name])


def test_ticked_rows_with_nul_are_no_rows(admin_client: Client, organization: Organization) -> None:
    mirror_session(organization, "first")
    change = {"id": ["first", "a\x00b"], "change": "status", "status": "completed"}

    admin_client.post("/admin/sessions_app/bulkedit/choose/", change)

    assert BulkEdit.objects.get().selection == {"ids": ["first"]}


def test_reasons_are_kept_without_nul(admin_client: Client, organization: Organization) -> None:
    mirror_session(organization, name="Before")
    reason = {"reason": "a\x00b"}
    edit = Edit.objects.create(
        organization=organization,
        session_id="session-1",
        state="applied",
        fields={"name": "After"},
        base={"name": "Before"},
    )
    hold = LegalHold.objects.create(
        organization=organization, by="session", value="session-1", reason="x", set_by="admin"
    )
    bulk = BulkEdit.objects.create(
        organization=organization, fields={"name": "x"}, selection={"ids": ["session-1"]}, total=1
    )

    admin_client.post(f"/admin/sessions_app/edit/{edit.pk}/undo/", reason)
    admin_client.post(f"/admin/sessions_app/legalhold/{hold.pk}/release/", reason)
    admin_client.post(f"/admin/sessions_app/bulkedit/{bulk.pk}/confirm/", reason)
    admin_client.post("/admin/sessions_app/edit/pause-all/", reason)

    bulk.refresh_from_db()
    hold.refresh_from_db()
    assert (bulk.reason, hold.release_reason) == (REPLACED, REPLACED)
    assert Edit.objects.get(undoes=edit).reason == REPLACED
    assert organization.write_mode_changes.get().reason == REPLACED


def test_a_conflict_is_not_settled_by_nul(admin_client: Client, organization: Organization) -> None:
    mirror_session(organization, name="Before")
    edit = Edit.objects.create(
        organization=organization,
        session_id="session-1",
        state="conflict",
        fields={"name": "x"},
        theirs={"name": "y"},
    )
    typed = {"field-name": "value", "value-name": "a\x00b"}
    assert admin_client.post(f"/admin/sessions_app/edit/{edit.pk}/resolve/", typed).status_code == 200
    assert Edit.objects.get().state == "conflict"


@pytest.mark.parametrize("has_rows", [True, False])
@pytest.mark.parametrize("until", ["0001-01-01", "0001-06-01", "9999-12-31", "2026-01-01", "x", ""])
def test_coverage_is_shown_up_to_any_day(
    admin_client: Client, organization: Organization, until: str, has_rows: bool
) -> None:
    for day in (date.min, date(2026, 1, 10), date.max) if has_rows else ():
        Coverage.objects.create(organization=organization, stream="sessions", day=day)
    assert admin_client.get(f"/admin/coverage/?until={until}").status_code == 200
