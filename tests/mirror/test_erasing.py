"""Erasing a customer: nothing of theirs stands anywhere here, nor at Vapi, and no later sync brings it back."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.models import Q, Sum
from django.utils import timezone

from sessions_app.mirror import erasing
from sessions_app.mirror.erasing import due_erasures, request_erasure, run_erasure
from sessions_app.mirror.forgetting import forget_rows, forgotten_among
from sessions_app.mirror.holds import set_hold
from sessions_app.mirror.reconcile import reconcile_stream
from sessions_app.mirror.sync import sync_organization, sync_stream
from sessions_app.mirror.tables import SESSIONS
from sessions_app.models import (
    Chat,
    CostLine,
    CostRollup,
    Coverage,
    Edit,
    Erasure,
    FieldChange,
    ForgottenId,
    Organization,
    QuarantinedRecord,
    Session,
    WebhookEvent,
)
from sessions_app.models.edits import EditState
from sessions_app.models.forgetting import ForgottenReason
from sessions_app.models.runs import Stream
from sessions_app.webhooks.inbox import digest_of, store_message
from sessions_app.webhooks.messages import read_message
from tests.admin.rows import mirror_chat, mirror_session
from tests.mirror.locks import beside_the_next_write
from tests.sandbox_process import SandboxProcess

pytestmark = pytest.mark.django_db(transaction=True)
NUMBER, NAME, EMAIL, WORD = "+4915199988877", "Xaverina Quendel", "xq@example.org", "zwetschgendatschi"
TRACES = (NUMBER, NUMBER[1:], "Xaverina", "Quendel", "xaverina", "quendel", EMAIL, WORD)


@pytest.fixture
def theirs(sandbox: SandboxProcess, organization: Organization) -> str:
    """A session of the customer with chats, history, an edit, messages and quarantine, mirrored."""
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            # No model's table: what an earlier test left in it is not emptied after that test.
            cursor.execute("DELETE FROM sessions_app_searchwords")
    Organization.objects.update(requests_per_second=10_000, concurrent_requests=100)
    organization.refresh_from_db()
    session_id: str = sandbox.truth("chats")[5]["sessionId"] or sandbox.truth("sessions")[3]["id"]
    customer = {"number": NUMBER, "name": NAME, "email": EMAIL, "externalId": "x-17"}
    said = [{"role": "user", "content": f"I am {NAME} and want {WORD}"}]
    fields = {"customer": customer, "messages": said, "name": f"Order of {NAME}"}
    sandbox.change("sessions", session_id, fields)
    sync_organization(organization)
    sandbox.change("sessions", session_id, {"name": f"Second order of {NAME}"})
    sync_organization(organization)
    body = json.dumps({"customer": customer, "messages": said}, separators=(",", ":"))
    for digest, remote_id in (("a", session_id), ("b", "of-a-call")):
        WebhookEvent.objects.create(
            organization=organization, digest=digest, remote_id=remote_id, body_json=body,
            received_at=timezone.now(), state="processed",
        )  # fmt: skip
    QuarantinedRecord.objects.create(
        organization=organization, stream="sessions", remote_id="never-stored", reason="odd",
        payload_json=json.dumps({"id": "never-stored", "createdAt": "2026-01-02T03:04:05Z", "customer": customer},
                                separators=(",", ":")),
        first_seen_at=timezone.now(), last_seen_at=timezone.now(),
    )  # fmt: skip
    Edit.objects.create(
        organization=organization, session_id=session_id, base={"name": NAME}, fields={"name": NAME},
        theirs={"name": NAME}, operations=[{"text": WORD}], reason=f"asked by {NAME}",
    )  # fmt: skip
    return session_id


def everything() -> Iterator[str]:
    """Every value of every table, indexes of words included."""
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f'SELECT * FROM "{table}"')  # noqa: S608 - a table's own name
            for row in cursor.fetchall():
                for value in row:
                    yield (
                        bytes(value).decode(errors="replace")
                        if isinstance(value, bytes | memoryview)
                        else str(value)
                    )


def traces() -> set[str]:
    text = "\n".join(everything())
    return {trace for trace in TRACES if trace in text}


def erase(organization: Organization, **options: Any) -> Erasure:
    asked: dict[str, Any] = {"by": "number", "value": NUMBER, "at_vapi": False, **options}
    erasure = request_erasure(organization, asked["by"], asked["value"], "asked", at_vapi=asked["at_vapi"])
    ended = run_erasure(erasure.pk)
    assert ended is not None
    return ended


def test_nothing_of_a_customer_stays(organization: Organization, theirs: str) -> None:
    assert traces() >= {NUMBER, "Quendel", EMAIL, WORD}
    assert FieldChange.objects.filter(session_id=theirs).exists()
    sums = CostRollup.objects.aggregate(total=Sum("cost_usd"), lines=Sum("line_count"))
    lines = CostLine.objects.aggregate(total=Sum("cost_usd"))

    erasure = erase(organization)

    assert (erasure.state, erasure.erased_here, erasure.value, erasure.note) == ("done", 1, "", "")
    assert traces() == set()
    assert not Session.objects.filter(pk=theirs).exists()
    assert theirs not in set(CostLine.objects.values_list("session_id", flat=True))
    assert CostRollup.objects.aggregate(total=Sum("cost_usd"), lines=Sum("line_count")) == sums
    assert CostLine.objects.aggregate(total=Sum("cost_usd")) == lines
    assert Edit.objects.get().state == EditState.WITHDRAWN


@pytest.mark.skipif(connection.vendor != "sqlite", reason="one file")
def test_nothing_stays_in_the_file(organization: Organization, theirs: str) -> None:
    erase(organization)
    content = Path(connection.settings_dict["NAME"]).read_bytes()
    assert {trace for trace in TRACES if trace.encode() in content} == set()


def test_no_sync_brings_it_back_and_the_day_is_proven(
    sandbox: SandboxProcess, organization: Organization, theirs: str
) -> None:
    erase(organization)
    sandbox.change("sessions", theirs, {"name": f"Third order of {NAME}"})

    sync_organization(organization, full=True)
    for stream in (Stream.SESSIONS, Stream.CHATS):
        reconcile_stream(organization, stream, whole=True)

    assert traces() == set()
    assert set(Coverage.objects.values_list("state", flat=True)) == {"proven"}
    assert Coverage.objects.filter(stream="sessions").aggregate(n=Sum("forgotten_count"))["n"] == 1


def test_a_new_chat_of_an_erased_session_is_not_taken(
    sandbox: SandboxProcess, organization: Organization, theirs: str
) -> None:
    erase(organization)
    said = {"sessionId": theirs, "input": f"I am {NAME} again", "output": []}
    chat = sandbox.change("chats", fields=said)

    sync_organization(organization)
    reconcile_stream(organization, Stream.CHATS, whole=True)

    assert traces() == set()
    assert not Chat.objects.filter(pk=chat["id"]).exists()
    assert set(Coverage.objects.filter(stream="chats").values_list("state", flat=True)) == {"proven"}


def a_chat_and_its_session(sandbox: SandboxProcess) -> tuple[str, str]:
    """A chat at Vapi whose session is made the customer's there. Returns both ids."""
    chat = next(row for row in sandbox.truth("chats") if row.get("sessionId"))
    sandbox.change("sessions", chat["sessionId"], {"customer": {"number": NUMBER}})
    return chat["id"], chat["sessionId"]


def test_chats_go_whose_session_is_only_at_vapi(sandbox: SandboxProcess, organization: Organization) -> None:
    chat_id, session_id = a_chat_and_its_session(sandbox)
    sync_stream(organization, Stream.CHATS)
    Edit.objects.create(organization=organization, session_id=session_id, base={"name": NAME}, fields={})

    erasure = erase(organization, at_vapi=True)
    sync_organization(organization, full=True)

    assert (erasure.state, erasure.erased_here, erasure.erased_at_vapi) == ("done", 0, 1)
    assert not Chat.objects.filter(Q(pk=chat_id) | Q(session_id=session_id)).exists()
    assert Edit.objects.get().base == {}


def test_chats_go_that_came_after_their_session_was_pruned(
    sandbox: SandboxProcess, organization: Organization
) -> None:
    _, session_id = a_chat_and_its_session(sandbox)
    sync_organization(organization)
    forget_rows(organization, SESSIONS, [session_id], ForgottenReason.PRUNED)
    sandbox.change("chats", fields={"sessionId": session_id, "input": "It is me again", "output": []})
    sync_organization(organization)
    assert Chat.objects.filter(session_id=session_id).exists()

    assert erase(organization, at_vapi=True).state == "done"
    sandbox.change("chats", fields={"sessionId": session_id, "input": "And again", "output": []})
    sync_organization(organization)

    assert not Chat.objects.filter(session_id=session_id).exists()
    assert forgotten_among(organization, Stream.SESSIONS, [session_id], ForgottenReason.ERASED)


def test_a_chat_that_comes_just_before_its_session_goes_is_erased_too(
    organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    mirror_session(organization, "theirs", customer={"number": NUMBER})
    erase_traces = erasing._erase_traces

    def store_a_chat_meanwhile(erasure: Erasure, ids: list[str]) -> None:
        erase_traces(erasure, ids)
        if ids == ["theirs"]:
            mirror_chat(organization, "late", sessionId="theirs", input=WORD)

    monkeypatch.setattr(erasing, "_erase_traces", store_a_chat_meanwhile)
    assert erase(organization).state == "done"

    assert not Chat.objects.exists()
    assert forgotten_among(organization, Stream.CHATS, ["late"])


@pytest.mark.skipif(connection.vendor == "sqlite", reason="one writer at a time")
def test_a_chat_that_is_being_stored_while_its_session_goes_is_erased_too(
    organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The chat is written and not committed yet when the session goes: the erasure waits for it."""
    mirror_session(organization, "theirs", customer={"number": NUMBER})
    beside = beside_the_next_write(monkeypatch, lambda: erase(organization))
    mirror_chat(organization, "late", sessionId="theirs", input=WORD)
    beside.join()

    assert not Session.objects.exists()
    assert not Chat.objects.exists()


def test_at_vapi_too(sandbox: SandboxProcess, organization: Organization, theirs: str) -> None:
    before = len(sandbox.truth("sessions"))
    erasure = erase(organization, at_vapi=True)
    assert (erasure.state, erasure.erased_at_vapi) == ("done", 1)
    assert theirs not in {row["id"] for row in sandbox.truth("sessions")}
    assert len(sandbox.truth("sessions")) == before - 1


def test_what_is_only_at_vapi_is_erased_there(
    sandbox: SandboxProcess, organization: Organization, theirs: str
) -> None:
    erase(organization)
    assert erase(organization, at_vapi=True).erased_at_vapi == 1
    assert theirs not in {row["id"] for row in sandbox.truth("sessions")}


def test_with_writing_off_it_is_erased_here_and_says_so(
    sandbox: SandboxProcess, organization: Organization, theirs: str
) -> None:
    Organization.objects.update(write_mode="off")
    erasure = erase(organization, at_vapi=True)
    assert (erasure.state, erasure.erased_here, erasure.erased_at_vapi) == ("partial", 1, 0)
    assert "is off" in erasure.note
    assert not sandbox.journal("DELETE")
    assert traces() == set()


def theirs_too(sandbox: SandboxProcess, organization: Organization, count: int) -> list[str]:
    """Give so many more sessions to the customer, mirrored. Returns the ids of all that are theirs."""
    free = [row["id"] for row in sandbox.truth("sessions") if row.get("customer", {}).get("number") != NUMBER]
    sandbox.change_many(
        "sessions", [{"id": each, "fields": {"customer": {"number": NUMBER}}} for each in free[:count]]
    )
    sync_organization(organization)
    return sorted(Session.objects.filter(customer_number=NUMBER).values_list("pk", flat=True))


def test_it_waits_for_the_request_budget_as_long_as_it_takes(
    sandbox: SandboxProcess, organization: Organization, theirs: str
) -> None:
    ids = theirs_too(sandbox, organization, 8)
    Organization.objects.update(requests_per_second=1)
    organization.refresh_from_db()

    erasure = erase(organization, at_vapi=True)

    assert (erasure.state, erasure.erased_at_vapi, erasure.erased_here) == ("done", 9, 9)
    assert not {row["id"] for row in sandbox.truth("sessions")} & set(ids)


def test_what_was_deleted_at_vapi_is_not_deleted_again_when_it_goes_on(
    sandbox: SandboxProcess, organization: Organization, theirs: str
) -> None:
    ids = theirs_too(sandbox, organization, 4)
    sandbox.fault("503:method=DELETE,skip=3")
    erasure = erase(organization, at_vapi=True)
    assert (erasure.state, erasure.erased_at_vapi, erasure.erased_here) == ("running", 3, 0)
    begun = Erasure.objects.get()
    assert begun.next_attempt_at is not None
    sandbox.fault("")
    after = max(entry["number"] for entry in sandbox.journal())

    Erasure.objects.update(next_attempt_at=None)
    run_erasure(erasure.pk)

    asked = [entry["path"] for entry in sandbox.journal("DELETE", after=after)]
    assert asked == [f"/session/{session_id}" for session_id in ids[3:]]
    ended = Erasure.objects.get()
    assert (ended.state, ended.erased_at_vapi, ended.erased_here) == ("done", 5, 5)


def test_one_that_vapi_refuses_to_delete_keeps_no_other_there(
    sandbox: SandboxProcess, organization: Organization, theirs: str
) -> None:
    ids = theirs_too(sandbox, organization, 3)
    sandbox.fault(f"400:method=DELETE,path=/session/{ids[0]}")

    erasure = erase(organization, at_vapi=True)

    assert (erasure.state, erasure.erased_here, erasure.erased_at_vapi) == ("partial", 4, 3)
    assert erasure.note == "Vapi refused to delete 1 session: ask for the erasure again, or delete there."
    assert {row["id"] for row in sandbox.truth("sessions")} & set(ids) == {ids[0]}


@pytest.mark.parametrize("by", ["session", "number"])
def test_what_is_held_while_others_are_deleted_at_vapi_stays_there_and_here(
    sandbox: SandboxProcess, organization: Organization, theirs: str, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    first, *_, last = theirs_too(sandbox, organization, 3)

    def hold_meanwhile(*args: Any) -> None:
        monkeypatch.undo()
        set_hold(organization, by, {"session": last, "number": NUMBER}[by], "a case", "Ada")

    monkeypatch.setattr(erasing, "stamp_missing", hold_meanwhile)
    erasure = erase(organization, at_vapi=True)

    kept = {"session": 1, "number": 3}[by]
    assert (erasure.state, erasure.erased_at_vapi) == ("partial", 4 - kept)
    assert "legal hold" in erasure.note
    at_vapi = {row["id"] for row in sandbox.truth("sessions")}
    assert last in at_vapi
    assert first not in at_vapi
    assert Session.objects.filter(pk=last).exists()


@pytest.mark.parametrize("status", [401, 402, 403])
def test_a_key_that_vapi_refuses_is_not_tried_on_every_session(
    sandbox: SandboxProcess, organization: Organization, theirs: str, status: int
) -> None:
    theirs_too(sandbox, organization, 3)
    sandbox.fault(f"{status}:method=DELETE")

    erasure = erase(organization, at_vapi=True)

    assert (erasure.state, erasure.erased_at_vapi, len(sandbox.journal("DELETE"))) == ("partial", 0, 1)
    assert erasure.note == f"Not erased at Vapi: DELETE /session/{{id}}: {status}"


@pytest.mark.parametrize("typed", ["+49 151 999 88 877", "+49 (151) 99988877"])
def test_a_number_is_the_same_however_it_was_typed(
    sandbox: SandboxProcess, organization: Organization, theirs: str, typed: str
) -> None:
    only_at_vapi = theirs_too(sandbox, organization, 1)
    only_at_vapi.remove(theirs)
    forget_rows(organization, SESSIONS, only_at_vapi, ForgottenReason.PRUNED)

    erasure = erase(organization, value=typed, at_vapi=True)

    assert (erasure.state, erasure.erased_here, erasure.erased_at_vapi) == ("done", 1, 2)
    assert not {row["id"] for row in sandbox.truth("sessions")} & {theirs, *only_at_vapi}
    assert traces() == set()


@pytest.mark.parametrize(
    ("by", "value", "customer"),
    [
        ("number", NUMBER, '{"number": "+4915199988877"}'),
        ("number", NUMBER, '{ "number" : "+4915199988877" }'),
        ("number", NUMBER, '{"number": "4915199988877"}'),
        ("number", "+49 151 999-88877", '{"number": "+49 151 999-88877"}'),
        ("email", EMAIL, '{"email": "XQ@Example.org"}'),
        ("external_id", 'x"17', '{"externalId": "x\\"17"}'),
    ],
)
def test_a_message_that_names_the_customer_is_emptied_however_it_is_written(
    organization: Organization, by: str, value: str, customer: str
) -> None:
    store_body(organization, f'{{"message": {{"type": "transcript", "call": {{"customer": {customer}}}}}}}')
    erase(organization, by=by, value=value)
    assert WebhookEvent.objects.get().body_json == ""


@pytest.mark.parametrize("customer", ['{"number": "+491519998887700"}', '{"name": "4915199988877"}'])
def test_a_message_that_names_another_customer_stays(organization: Organization, customer: str) -> None:
    body = f'{{"message": {{"type": "transcript", "customer": {customer}}}}}'
    store_body(organization, body)
    erase(organization)
    assert WebhookEvent.objects.get().body_json == body


def test_a_message_that_names_a_held_customer_too_stays(organization: Organization) -> None:
    set_hold(organization, "email", "ada@example.org", "a case", "Grace")
    body = f'{{"message": {{"type": "t", "customer": {{"number": "{NUMBER}", "email": "Ada@example.org"}}}}}}'
    store_body(organization, body)
    erase(organization)
    assert WebhookEvent.objects.get().body_json == body


def store_body(organization: Organization, body: str) -> None:
    message = read_message(body.encode())
    store_message(organization.pk, digest_of(body.encode()), message)


def test_a_legal_hold_beats_it(organization: Organization, theirs: str) -> None:
    set_hold(organization, "session", theirs, "a case", "Ada")
    erasure = erase(organization, at_vapi=True)
    assert (erasure.state, erasure.erased_here, erasure.erased_at_vapi) == ("partial", 0, 0)
    assert "legal hold" in erasure.note
    assert Session.objects.get(pk=theirs).customer_number == NUMBER


def test_a_killed_workers_erasure_goes_on(organization: Organization, theirs: str) -> None:
    erasure = request_erasure(organization, "email", EMAIL.upper(), "asked", at_vapi=False)
    Erasure.objects.update(state="running", next_attempt_at=timezone.now() + timedelta(minutes=5))
    assert (due_erasures(), run_erasure(erasure.pk)) == ([], None)

    Erasure.objects.update(next_attempt_at=timezone.now() - timedelta(seconds=1))
    assert due_erasures() == [erasure.pk]
    ended = run_erasure(erasure.pk)
    assert ended is not None
    assert (ended.state, ended.erased_here) == ("done", 1)
    assert traces() == set()
    assert ForgottenId.objects.filter(reason="erased", stream="sessions").exists()


def test_the_command_reads_the_value_from_standard_input(
    organization: Organization, theirs: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("x-17\n"))
    out = io.StringIO()
    call_command("erase_customer", "--external-id", "--organization=sandbox", "--reason=asked", stdout=out)
    assert "1 erased here" in out.getvalue()
    assert not Session.objects.filter(pk=theirs).exists()
    monkeypatch.setattr("sys.stdin", io.StringIO("\n"))
    with pytest.raises(CommandError, match="Nothing came"):
        call_command("erase_customer", "--number", "--organization=sandbox", "--reason=asked")
