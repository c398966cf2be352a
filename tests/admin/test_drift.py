"""Pages about what Vapi sends that is not known, what could not be stored, and what changed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from sessions_app.mirror.quarantine import quarantine
from sessions_app.mirror.writer import mirror_sessions
from sessions_app.models import Edit, Organization, QuarantinedRecord, SchemaDrift, Session
from sessions_app.models.history import ChangeSource
from sessions_app.models.runs import Stream
from sessions_app.vapi.json import dump_payload
from sessions_app.vapi.payloads import parse_session
from tests.sandbox_process import SandboxProcess

pytestmark = pytest.mark.django_db(transaction=True)
NOON = datetime(2026, 1, 10, 12, tzinfo=UTC)
DRIFT = "/admin/sessions_app/schemadrift/"
QUARANTINE = "/admin/sessions_app/quarantinedrecord/"
PAGE = "/admin/sessions_app/session/s1/"


def payload(minutes: int = 0, **fields: Any) -> dict[str, Any]:
    base = {"id": "s1", "orgId": "org", "createdAt": NOON.isoformat()}
    return {**base, "updatedAt": (NOON + timedelta(minutes=minutes)).isoformat(), **fields}


def write(organization: Organization, minutes: int, **options: Any) -> None:
    fields = options.pop("fields", {})
    record = parse_session(payload(minutes, **fields))
    mirror_sessions(organization, [record], asked_at=NOON, **options)


def queries(client: Client, path: str) -> int:
    client.get(path)
    with CaptureQueriesContext(connection) as found:
        assert client.get(path).status_code == 200
    return len(found)


# Drift ---------------------------------------------------------------------------------------------


def test_drift_is_listed_and_shown_with_its_shape(ops_client: Client, organization: Organization) -> None:
    write(organization, 0, fields={"mood": {"score": 7, "words": "very secret"}, "status": "archived"})

    page = ops_client.get(DRIFT).content.decode()
    assert "mood" in page
    assert "{score: number, words: string}" in page
    assert "archived" in page

    drift = SchemaDrift.objects.get(name="mood")
    shown = ops_client.get(f"{DRIFT}{drift.pk}/change/").content.decode()
    assert "&quot;score&quot;: &quot;number&quot;" in shown
    assert "very secret" not in page + shown


def test_drift_is_filtered(ops_client: Client, organization: Organization) -> None:
    write(organization, 0, fields={"mood": 1, "status": "archived"})
    page = ops_client.get(DRIFT, {"kind": "status"}).content.decode()
    assert "archived" in page
    assert "mood" not in page


def test_nothing_unknown_is_said(ops_client: Client, organization: Organization) -> None:
    assert "known by name" in ops_client.get(DRIFT).content.decode()


def test_the_list_of_drift_costs_the_same_for_more_rows(
    ops_client: Client, organization: Organization
) -> None:
    write(organization, 0, fields={"mood": 1})
    before = queries(ops_client, DRIFT)
    write(organization, 1, fields={f"field_{letter}": 1 for letter in "abcdefgh"})
    assert queries(ops_client, DRIFT) == before


def test_who_may_not_see_drift(editor_client: Client, organization: Organization) -> None:
    assert editor_client.get(DRIFT).status_code == 403


# Quarantine ----------------------------------------------------------------------------------------


def kept_apart(organization: Organization, remote_id: str, body: str = "") -> QuarantinedRecord:
    quarantine(organization, Stream.SESSIONS, remote_id=remote_id, reason="odd", payload_json=body)
    return QuarantinedRecord.objects.get(remote_id=remote_id)


def retry(client: Client, record: QuarantinedRecord) -> str:
    answer = client.post(f"{QUARANTINE}{record.pk}/retry/", follow=True)
    assert answer.status_code == 200
    return answer.content.decode()


def test_a_kept_record_is_stored_after_all(ops_client: Client, organization: Organization) -> None:
    record = kept_apart(organization, "s1", dump_payload(payload(name="Kept")))

    assert "Stored from what was kept" in retry(ops_client, record)

    assert Session.objects.get().name == "Kept"
    record.refresh_from_db()
    assert record.resolved_at is not None


def test_a_record_that_was_not_kept_is_fetched(
    ops_client: Client, organization: Organization, sandbox: SandboxProcess
) -> None:
    remote_id = sandbox.truth()[0]["id"]
    for body in ("", '{"id": 1}'):
        QuarantinedRecord.objects.all().delete()
        assert "Fetched from Vapi and stored" in retry(ops_client, kept_apart(organization, remote_id, body))
    assert Session.objects.filter(pk=remote_id).exists()


def test_a_record_that_cannot_be_stored_stays(
    ops_client: Client, organization: Organization, sandbox: SandboxProcess
) -> None:
    record = kept_apart(organization, "not-there", '{"id": "not-there"}')

    page = retry(ops_client, record)

    assert "still cannot be read" in page
    assert "Vapi no longer has it" in page
    record.refresh_from_db()
    assert record.resolved_at is None


def test_vapi_that_does_not_answer_is_said(ops_client: Client, organization: Organization) -> None:
    assert "Vapi could not be asked" in retry(ops_client, kept_apart(organization, "s1"))


def test_an_older_kept_state_replaces_nothing(ops_client: Client, organization: Organization) -> None:
    write(organization, 30, fields={"name": "Newer"})
    record = kept_apart(organization, "s1", dump_payload(payload(name="Older")))
    retry(ops_client, record)
    assert Session.objects.get().name == "Newer"


def test_trying_again_is_a_post_of_who_may(
    ops_client: Client, viewer_client: Client, organization: Organization
) -> None:
    record = kept_apart(organization, "s1", dump_payload(payload()))
    address = f"{QUARANTINE}{record.pk}/retry/"
    assert ops_client.get(address).status_code == 405
    assert viewer_client.post(address).status_code == 403
    assert not Session.objects.exists()


# History on the page of a session ------------------------------------------------------------------


def test_the_page_tells_what_changed_and_who_did_it(
    editor_client: Client, editor: User, organization: Organization
) -> None:
    write(organization, 0, fields={"name": "Before", "customer": {"name": "Ann"}})
    edit = Edit.objects.create(organization=organization, session_id="s1", author=editor)
    write(
        organization, 5, fields={"name": "After", "customer": {"name": "Bea"}},
        source=ChangeSource.EDIT, edit_id=edit.pk,
    )  # fmt: skip
    write(
        organization,
        6,
        fields={
            "name": "After",
            "customer": {"name": "Bea"},
            "messages": [{"role": "user", "content": "<b>hi"}],
        },
    )

    assert f"{PAGE}changes/" in editor_client.get(f"{PAGE}change/").content.decode()
    part = editor_client.get(f"{PAGE}changes/").content.decode()

    assert "by <bdi>editor</bdi>" in part
    assert f"/edit/{edit.pk}/change/" in part
    assert '<del dir="auto">Before</del>' in part
    assert '<ins dir="auto">After</ins>' in part
    assert "customer.name" in part
    assert "1 new turn, from turn 1" in part
    assert "&lt;b&gt;hi" in part
    assert "updatedAt" not in part


def test_a_long_history_is_read_in_parts(editor_client: Client, organization: Organization) -> None:
    for minutes in range(30):
        write(organization, minutes, fields={"name": f"name {minutes}"})
    first = editor_client.get(f"{PAGE}changes/")
    older = first.context["history"].older
    second = editor_client.get(f"{PAGE}changes/", {"before": older})

    parts = [answer.context["history"].changes for answer in (first, second)]
    assert [len(part) for part in parts] == [20, 9]
    assert f"?before={older}" in first.content.decode()
    assert "kept for 365 days" in second.content.decode()
    assert queries(editor_client, f"{PAGE}changes/") == queries(
        editor_client, f"{PAGE}changes/?before={older}"
    )


def test_who_sees_no_session_sees_no_history(stranger_client: Client, organization: Organization) -> None:
    write(organization, 0)
    assert stranger_client.get(f"{PAGE}changes/").status_code == 403
