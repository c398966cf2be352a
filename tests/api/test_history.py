"""History over REST: the list of changes, and a session as it stood."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from sessions_app.api import documents
from sessions_app.mirror.writer import mirror_sessions
from sessions_app.models import Edit, FieldChange, Organization, Session, SessionPayload
from sessions_app.models.history import ChangeSource
from sessions_app.vapi.json import parse_json
from sessions_app.vapi.payloads import parse_session

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 1, 10, 12, tzinfo=UTC)
PATH = "/api/v1/sessions/s1/"


def at(minutes: int) -> str:
    return (NOON + timedelta(minutes=minutes)).isoformat().replace("+00:00", "Z")


def write(organization: Organization, minutes: int, fields: str, **options: Any) -> None:
    base = {"id": "s1", "orgId": "org", "createdAt": at(0), "updatedAt": at(minutes)}
    mirror_sessions(organization, [parse_session(base | parse_json(fields))], asked_at=NOON, **options)


@pytest.fixture
def session(organization: Organization, editor: User) -> Session:
    """Made at noon, renamed ten minutes later by an edit, completed after twenty."""
    write(organization, 0, '{"name": "Before", "status": "active", "cost": 0.10}')
    session = Session.objects.get()
    edit = Edit.objects.create(organization=organization, session_id="s1", author=editor)
    write(
        organization,
        10,
        '{"name": "After", "status": "active", "cost": 0.30000000000000000001}',
        source=ChangeSource.EDIT,
        edit_id=edit.pk,
    )
    write(
        organization,
        20,
        '{"name": "After", "status": "completed", "messages": [{"role": "user", "content": "hi"}]}',
    )
    return session


def test_the_list_tells_who_when_and_what(client: Client, session: Session) -> None:
    newest, oldest = client.get(f"{PATH}history/").json()["results"]

    assert newest.keys() == documents.FieldChangeRow().get_fields().keys()
    assert (newest["source"], newest["edit"], newest["author"]) == ("sync", None, "")
    assert newest["fields"]["messages"] == {"from": 0, "old": [], "new": [{"role": "user", "content": "hi"}]}
    assert (oldest["source"], oldest["author"], oldest["updated_at"]) == ("edit", "editor", at(10))
    assert oldest["fields"]["name"] == ["Before", "After"]


def test_amounts_are_passed_on_as_they_came(client: Client, session: Session) -> None:
    text = client.get(f"{PATH}history/", {"source": "edit"}).content.decode()
    assert "0.30000000000000000001" in text


def test_the_list_walks_and_filters(client: Client, session: Session) -> None:
    first = client.get(f"{PATH}history/", {"limit": 1}).json()
    second = client.get(first["next"]).json()
    assert [row["source"] for row in first["results"] + second["results"]] == ["sync", "edit"]
    assert second["next"] is None
    assert client.get(f"{PATH}history/", {"updated_at__lt": at(15)}).json()["results"] == second["results"]
    assert client.get(f"{PATH}history/", {"colour": "blue"}).status_code == 400


def test_who_may_not_see_edits_is_not_told_who_made_them(
    viewer_client: Client, viewer: User, session: Session
) -> None:
    assert viewer_client.get(f"{PATH}history/").json()["results"][1]["author"] == "editor"
    viewer.user_permissions.remove(*viewer.user_permissions.filter(codename="view_edit"))
    assert viewer_client.get(f"{PATH}history/").json()["results"][1]["author"] == ""


@pytest.mark.parametrize(
    ("minutes", "name", "status", "cost"),
    [
        (0, "Before", "active", "0.1"),
        (9, "Before", "active", "0.1"),
        (10, "After", "active", "0.3"),
        (20, "After", "completed", None),
        (99999, "After", "completed", None),
    ],
)
def test_a_session_as_it_stood(
    client: Client, session: Session, minutes: int, name: str, status: str, cost: str | None
) -> None:
    shown = client.get(PATH, {"as_of": at(minutes)}).json()

    assert (shown["name"], shown["status"], shown["cost_usd"]) == (name, status, cost)
    assert (shown["payload"]["name"], shown["as_of"]["is_cut"]) == (name, False)
    assert shown.keys() == {*documents.SessionDetail().get_fields(), "as_of"}


def test_a_past_state_has_no_tag_to_write_with(client: Client, session: Session) -> None:
    assert "ETag" not in client.get(PATH, {"as_of": at(0)}).headers


def test_a_time_before_it_was_created(client: Client, session: Session) -> None:
    assert client.get(PATH, {"as_of": at(-1)}).status_code == 404


def test_what_is_no_time(client: Client, session: Session) -> None:
    for text in ("yesterday", ""):
        assert client.get(PATH, {"as_of": text}).json().keys() == {"as_of"}


def test_a_cut_history_says_since_when_it_knows(client: Client, session: Session) -> None:
    FieldChange.objects.order_by("pk")[:1].get().delete()

    shown = client.get(PATH, {"as_of": at(5)}).json()["as_of"]

    assert (shown["is_cut"], shown["known_from"]) == (True, at(10))
    assert "oldest" in shown["note"]


def test_without_a_payload_the_past_is_not_known(client: Client, session: Session) -> None:
    SessionPayload.objects.all().delete()
    assert client.get(PATH, {"as_of": at(5)}).status_code == 404


def test_a_state_costs_the_same_number_of_queries_however_long_the_history(
    client: Client, session: Session, organization: Organization
) -> None:
    def queries() -> int:
        client.get(PATH)  # the first use of a token is noted
        with CaptureQueriesContext(connection) as found:
            assert client.get(PATH, {"as_of": at(0)}).status_code == 200
        return len(found)

    before = queries()
    for minutes in range(21, 60):
        write(organization, minutes, f'{{"name": "{minutes}"}}')
    assert queries() == before
