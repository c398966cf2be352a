"""What becomes of stored messages, judged by rows and by what reached the simulated Vapi."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from sessions_app import tasks
from sessions_app.mirror import events
from sessions_app.mirror.connection import open_client
from sessions_app.mirror.forgetting import forget_rows, forgotten_among
from sessions_app.mirror.freshness import sweep_head
from sessions_app.mirror.sync import sync_organization
from sessions_app.mirror.tables import SESSIONS
from sessions_app.mirror.writer import mirror_sessions
from sessions_app.models import (
    Budget,
    Chat,
    CostLine,
    Organization,
    QuarantinedRecord,
    Session,
    SessionPayload,
    Watermark,
    WebhookEvent,
)
from sessions_app.models.forgetting import ForgottenReason
from sessions_app.models.requests import Purpose
from sessions_app.models.runs import Stream
from sessions_app.models.webhooks import EventState
from sessions_app.vapi.client import Listing
from sessions_app.vapi.reading import parse_results
from tests.mirror.truth import assert_mirror_equals
from tests.sandbox_process import SandboxProcess
from tests.webhooks.conftest import Send

pytestmark = pytest.mark.django_db

LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)
Row = dict[str, Any]
Deliver = Callable[..., WebhookEvent]


@pytest.fixture
def deliver(send: Send) -> Deliver:
    """deliver("session.updated", row): it comes and is processed."""

    def take(kind: str, row: Row | None, *, process: bool = True) -> WebhookEvent:
        assert send({"type": kind, kind.partition(".")[0]: row}).status_code == 200
        if process:
            events.process_due()
        return WebhookEvent.objects.latest("pk")

    return take


def requests(sandbox: SandboxProcess) -> list[str]:
    return [f"{entry['method']} {entry['path']}" for entry in sandbox.journal()]


def changed(row: Row, *, later: float = 0, **fields: Any) -> Row:
    moment = datetime.fromisoformat(row["updatedAt"]) + timedelta(seconds=later)
    return {**row, **fields, "updatedAt": moment.isoformat()}


@pytest.fixture
def row(sandbox: SandboxProcess) -> Row:
    """A session that Vapi has and nobody synced yet."""
    found: Row = next(row for row in sandbox.truth() if row.get("costs"))
    return found


def test_a_new_session_is_stored_without_asking(sandbox: SandboxProcess, row: Row, deliver: Deliver) -> None:
    event = deliver("session.created", row)

    assert (event.state, event.verdict) == ("processed", "Stored.")
    session = Session.objects.get()
    assert session.id == row["id"]
    assert CostLine.objects.filter(session_id=row["id"]).count() == len(row["costs"])
    assert requests(sandbox) == []


def test_newer_is_written_and_older_ignored(sandbox: SandboxProcess, row: Row, deliver: Deliver) -> None:
    deliver("session.created", row)
    assert deliver("session.updated", changed(row, later=5, name="Newer")).state == "processed"

    older = deliver("session.updated", changed(row, later=3, name="Older"))

    assert (older.state, older.verdict) == ("ignored", "Older than what is here.")
    assert Session.objects.get().name == "Newer"
    assert requests(sandbox) == []


def test_the_same_again_is_ignored(sandbox: SandboxProcess, row: Row, deliver: Deliver) -> None:
    deliver("session.created", row)
    event = deliver("session.updated", row)
    assert (event.state, event.verdict) == ("ignored", "The same as what is here.")
    assert requests(sandbox) == []


def test_a_tie_is_settled_by_asking(sandbox: SandboxProcess, row: Row, deliver: Deliver) -> None:
    deliver("session.created", row)
    sandbox.change("sessions", row["id"], {"name": "The truth"}, touch=False)

    event = deliver("session.updated", {**row, "name": "Of the same time"})

    assert event.state == "processed"
    assert event.verdict.endswith("Vapi was asked: its answer is stored.")
    assert Session.objects.get().name == "The truth"
    assert requests(sandbox) == [f"GET /session/{row['id']}"]


def test_what_was_asked_for_is_never_lost_to_a_tie(
    sandbox: SandboxProcess, organization: Organization, row: Row, deliver: Deliver
) -> None:
    sync_organization(organization)
    deliver("session.updated", {**row, "name": "Of the same time"})
    assert_mirror_equals(sandbox, organization)


@pytest.mark.parametrize("missing", ["updatedAt", "createdAt", "orgId"])
def test_an_incomplete_session_is_asked_for(
    sandbox: SandboxProcess, row: Row, deliver: Deliver, missing: str
) -> None:
    event = deliver("session.updated", {name: value for name, value in row.items() if name != missing})

    assert event.verdict == "The message does not tell all. Vapi was asked: its answer is stored."
    assert Session.objects.get().updated_at == datetime.fromisoformat(row["updatedAt"])
    assert requests(sandbox) == [f"GET /session/{row['id']}"]


def test_of_what_was_erased_nothing_is_kept(
    sandbox: SandboxProcess, organization: Organization, row: Row, deliver: Deliver
) -> None:
    deliver("session.created", row)
    waiting = deliver("session.updated", changed(row, later=1), process=False)
    forget_rows(organization, SESSIONS, [row["id"]], ForgottenReason.ERASED)
    WebhookEvent.objects.filter(pk=waiting.pk).update(body_json=json.dumps({"message": {"session": row}}))
    events.process_due()
    waiting.refresh_from_db()
    assert (waiting.state, waiting.body_json) == ("ignored", "")

    late = deliver("session.updated", changed(row, later=2, name="Late"), process=False)
    assert late.body_json == ""
    events.process_due()
    late.refresh_from_db()
    assert (late.state, late.verdict) == ("ignored", "This session was let go here: nothing is kept.")
    assert requests(sandbox) == []
    assert not Session.objects.exists()


def test_a_new_chat_of_an_erased_session_is_erased_with_it(
    sandbox: SandboxProcess, organization: Organization, row: Row, deliver: Deliver
) -> None:
    deliver("session.created", row)
    forget_rows(organization, SESSIONS, [row["id"]], ForgottenReason.ERASED)
    chat = {**sandbox.truth("chats")[0], "sessionId": row["id"]}

    event = deliver("chat.created", chat)

    assert (event.state, event.body_json) == ("ignored", "")
    assert forgotten_among(organization, "chats", [chat["id"]])
    assert not Chat.objects.exists()
    again = deliver("chat.created", {**chat, "output": []}, process=False)
    assert again.body_json == ""


def test_a_deletion_is_confirmed(sandbox: SandboxProcess, row: Row, deliver: Deliver) -> None:
    deliver("session.created", row)
    still_there = deliver("session.deleted", changed(row, note=1))
    assert (still_there.state, still_there.verdict) == ("ignored", "Vapi still has this session: not marked.")
    assert Session.objects.get().missing_since is None

    sandbox.change("sessions", row["id"], delete=True)
    event = deliver("session.deleted", row)

    assert event.verdict == "Deleted. Vapi no longer has it: marked as missing."
    session = Session.objects.get()
    assert session.missing_since is not None
    assert session.missing_reason == "deleted"


def test_a_late_message_does_not_bring_a_deleted_session_back(
    sandbox: SandboxProcess, row: Row, deliver: Deliver
) -> None:
    deliver("session.created", row)
    sandbox.change("sessions", row["id"], delete=True)
    deliver("session.deleted", row)

    deliver("session.updated", changed(row, later=60, name="Late"))

    session = Session.objects.get()
    assert session.missing_since is not None
    assert session.missing_reason == "deleted"


def test_a_row_found_gone_learns_that_it_was_deleted(
    sandbox: SandboxProcess, row: Row, deliver: Deliver
) -> None:
    deliver("session.created", row)
    Session.objects.update(missing_since=LONG_AGO, missing_reason="gone")
    sandbox.change("sessions", row["id"], delete=True)
    deliver("session.deleted", row)
    assert (Session.objects.get().missing_since, Session.objects.get().missing_reason) == (
        LONG_AGO,
        "deleted",
    )


def test_a_page_asked_for_before_does_not_bring_a_deleted_session_back(
    sandbox: SandboxProcess, organization: Organization, row: Row, deliver: Deliver
) -> None:
    deliver("session.created", row)
    sandbox.change("sessions", row["id"], {"name": "Updated, then deleted"})
    with open_client(organization, Purpose.INCREMENTAL) as client:
        page = client.list_sessions(Listing())
    sandbox.change("sessions", row["id"], delete=True)
    deliver("session.deleted", row)

    records, _ = parse_results("session", page.results, [False] * len(page.results))
    mirror_sessions(organization, records, asked_at=page.asked_at)

    session = Session.objects.get(pk=row["id"])
    assert (session.missing_since is not None, session.missing_reason) == (True, "deleted")


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
def test_any_order_leads_to_the_same_row(
    sandbox: SandboxProcess, row: Row, deliver: Deliver, order: Sequence[int]
) -> None:
    """Created, updated twice at one time with different words, and doubled: the row is Vapi's."""
    first = row
    second = sandbox.change("sessions", row["id"], {"name": "Second"})
    third = sandbox.change("sessions", row["id"], {"name": "Third"}, touch=False)
    messages = [
        ("session.created", first), ("session.updated", second), ("session.updated", third),
        ("session.created", first),
    ]  # fmt: skip
    for place in order:
        deliver(*messages[place])

    assert Session.objects.get().name == "Third"
    assert not WebhookEvent.objects.exclude(state__in=["processed", "ignored"]).exists()


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_any_order_with_a_deletion(
    sandbox: SandboxProcess, row: Row, deliver: Deliver, order: Sequence[int]
) -> None:
    second = sandbox.change("sessions", row["id"], {"name": "Second"})
    sandbox.change("sessions", row["id"], delete=True)
    messages = [("session.created", row), ("session.updated", second), ("session.deleted", second)]
    for place in order:
        deliver(*messages[place])

    assert Session.objects.get().missing_reason == "deleted"


def test_chats_come_before_their_output(
    sandbox: SandboxProcess, organization: Organization, deliver: Deliver
) -> None:
    chat = next(chat for chat in sandbox.truth("chats") if chat.get("output") and chat.get("costs"))
    early = {name: value for name, value in chat.items() if name not in ("output", "cost", "costs")}

    assert deliver("chat.created", early).verdict == "Stored."
    assert Chat.objects.get().cost_usd is None

    # The listing says more of the same time: what was asked for wins.
    sync_organization(organization)
    assert_mirror_equals(sandbox, organization)

    sandbox.change("chats", chat["id"], delete=True)
    deliver("chat.deleted", chat)
    assert Chat.objects.get(pk=chat["id"]).missing_reason == "deleted"


@pytest.mark.parametrize("pull", ["sync", "sweep"])
def test_what_a_listing_says_wins_a_tie_though_the_fingerprint_is_the_same(
    sandbox: SandboxProcess, organization: Organization, row: Row, deliver: Deliver, pull: str
) -> None:
    partly = [{**message, "content": "not all"} for message in row["messages"]]
    deliver("session.updated", {**row, "messages": partly})
    stored = SessionPayload.objects.get()
    assert "not all" in stored.payload_json

    if pull == "sync":
        sync_organization(organization)
        assert_mirror_equals(sandbox, organization)
    else:
        Watermark.objects.create(
            organization=organization, stream=Stream.SESSIONS, updated_at=LONG_AGO, swept_at=LONG_AGO
        )
        assert sweep_head(organization)

    stored.refresh_from_db()
    assert "not all" not in stored.payload_json


def test_other_messages_are_kept_and_ignored(sandbox: SandboxProcess, deliver: Deliver) -> None:
    for kind in ("end-of-call-report", "session.archived", "status-update", "session"):
        event = deliver(kind, {"id": "x"})
        assert (event.state, event.verdict) == ("ignored", "No message about a session or chat.")
    assert deliver("session.updated", None).verdict == "Names no session."
    assert requests(sandbox) == []


def test_a_session_of_another_organization_is_kept_apart(
    organization: Organization, row: Row, deliver: Deliver
) -> None:
    Organization.objects.update(vapi_org_id="another")
    event = deliver("session.created", row)
    assert (event.state, event.verdict) == ("failed", "Could not be stored: see Quarantine.")
    assert not Session.objects.exists()
    assert QuarantinedRecord.objects.get().remote_id == row["id"]


def test_while_vapi_cannot_be_asked_the_event_waits(
    sandbox: SandboxProcess, row: Row, deliver: Deliver
) -> None:
    sandbox.fault("429:retry_after=600")
    event = deliver("session.updated", {"id": row["id"]})

    assert event.state == "received"
    assert event.next_attempt_at is not None
    assert event.next_attempt_at > timezone.now() + timedelta(seconds=500)
    assert row["id"] not in event.verdict
    assert events.due_events() == []

    sandbox.fault("")
    # Ten minutes go by.
    Budget.objects.update(cool_down_until=None)
    WebhookEvent.objects.update(next_attempt_at=LONG_AGO)
    assert events.process_due() == 1
    assert Session.objects.get().id == row["id"]


def test_it_gives_up_in_the_end(sandbox: SandboxProcess, row: Row, deliver: Deliver) -> None:
    sandbox.fault("401")
    event = deliver("session.updated", {"id": row["id"]})
    for _ in range(events.MOST_ATTEMPTS):
        WebhookEvent.objects.update(next_attempt_at=LONG_AGO)
        events.process_due()

    event.refresh_from_db()
    assert event.state == "failed"
    assert event.verdict.startswith("Gave up after 10 attempts: GET /session/{id}: 401")

    sandbox.fault("")
    assert events.replay_event(event.pk)
    assert events.process_due() == 1
    assert Session.objects.get().id == row["id"]


def test_an_id_that_cannot_be_asked_for(deliver: Deliver) -> None:
    event = deliver("session.updated", {"id": ".."})
    assert (event.state, event.verdict) == ("failed", "Vapi cannot be asked for such an id.")


def test_one_that_breaks_stops_no_other(
    sandbox: SandboxProcess, row: Row, deliver: Deliver, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliver("session.created", {**row, "id": "breaks"}, process=False)
    deliver("session.created", row, process=False)
    look = events._look

    def break_one(event: WebhookEvent) -> events.Outcome:
        if event.remote_id == "breaks":
            raise ZeroDivisionError("with a customer's words")
        return look(event)

    monkeypatch.setattr(events, "_look", break_one)
    assert events.process_due() == 1
    assert Session.objects.get().id == row["id"]
    waiting = WebhookEvent.objects.get(state="received")
    assert waiting.verdict.startswith("Waits: ZeroDivisionError at ")
    assert "words" not in waiting.verdict


def test_a_claim_that_ran_out_changes_nothing(sandbox: SandboxProcess, row: Row, deliver: Deliver) -> None:
    event = deliver("session.created", row, process=False)
    frozen = events._claim(event.pk)
    assert frozen is not None
    assert events._claim(event.pk) is None
    WebhookEvent.objects.update(next_attempt_at=LONG_AGO)
    assert events.process_event(event.pk) == "processed"

    assert events._end(frozen, events.Outcome(EventState.FAILED, "woken")) is None

    event.refresh_from_db()
    assert (event.state, event.verdict, event.attempts) == ("processed", "Stored.", 2)


def test_organizations_that_stand_still_keep_their_events(
    organization: Organization, row: Row, deliver: Deliver
) -> None:
    deliver("session.created", row, process=False)
    Organization.objects.update(paused_at=LONG_AGO)
    assert events.process_due() == 0
    Organization.objects.update(paused_at=None)
    assert events.process_due() == 1


def test_a_body_that_was_dropped_is_asked_for(sandbox: SandboxProcess, row: Row, deliver: Deliver) -> None:
    event = deliver("session.created", row)
    WebhookEvent.objects.update(body_json="")
    assert events.replay_event(event.pk)
    assert not events.replay_event(event.pk)
    events.process_due()
    event.refresh_from_db()
    assert event.verdict == "The message does not tell all. Vapi was asked: nothing new."


def test_the_task_processes(row: Row, deliver: Deliver) -> None:
    deliver("session.created", row, process=False)
    tasks.process_events()
    assert Session.objects.get().id == row["id"]


def test_replaced_characters_are_asked_for(sandbox: SandboxProcess, row: Row, deliver: Deliver) -> None:
    sandbox.change("sessions", row["id"], {"name": "NUL \x00"})
    remote = next(found for found in sandbox.truth() if found["id"] == row["id"])
    deliver("session.updated", remote)
    session = Session.objects.get()
    assert session.name == "NUL �"
    assert session.has_replaced_text
    assert json.loads(session.stored_payload.payload_json)["name"] == "NUL �"
