"""Records as they come on a bad day: odd words, sizes, amounts, times, ids, and fields that are not there."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from sessions_app.mirror.reconcile import reconcile_stream
from sessions_app.mirror.refetch import refetch_session
from sessions_app.mirror.sync import sync_stream
from sessions_app.models import (
    CostLine,
    Coverage,
    Organization,
    QuarantinedRecord,
    SchemaDrift,
    Session,
    SessionPayload,
)
from sessions_app.models.runs import Stream
from sessions_app.search.words import matching_session_ids
from sessions_app.vapi import payloads
from sessions_app.vapi.messages import Said, look_through
from tests.mirror.truth import assert_mirror_equals
from tests.sandbox_process import SandboxProcess

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def small_process() -> Iterator[SandboxProcess]:
    process = SandboxProcess(sessions=3, seed="odd", days=2)
    yield process
    process.stop()


@pytest.fixture
def vapi(small_process: SandboxProcess, ask_freely: Callable[[SandboxProcess], None]) -> SandboxProcess:
    ask_freely(small_process)
    return small_process


def stored(vapi: SandboxProcess, organization: Organization, **fields: Any) -> Session:
    """A session with such fields, as a sync stores it."""
    made = vapi.change("sessions", "", fields)
    run = sync_stream(organization, Stream.SESSIONS)
    assert (run.state, run.error) == ("succeeded", "")
    return Session.objects.get(id=made["id"])


def assert_proven(vapi: SandboxProcess, organization: Organization) -> None:
    sync_stream(organization, Stream.CHATS)
    assert_mirror_equals(vapi, organization)
    assert reconcile_stream(organization, Stream.SESSIONS).state == "succeeded"
    assert set(Coverage.objects.values_list("state", flat=True)) == {"proven"}


@pytest.mark.parametrize(
    "words",
    [
        pytest.param("Grüße 😀👩‍👩‍👧 🇺🇳", id="emoji"),
        pytest.param("مرحبا שלום \u202eright to left", id="right to left"),
        pytest.param("e\u0301 \u00e9 \ufeff \u2028 \x7f", id="marks and separators"),
    ],
)
def test_words_of_any_script_stay_as_they_are(
    words: str, vapi: SandboxProcess, organization: Organization
) -> None:
    messages = [{"role": "user", "content": words}]
    session = stored(vapi, organization, name=words, messages=messages, customer={"name": words})

    assert (session.name, session.customer_name) == (words, words)
    assert_proven(vapi, organization)


@pytest.mark.parametrize(
    "bad", ["\x00", "\ud800", "\udfff\ud800"], ids=["NUL", "lone surrogate", "two of them"]
)
def test_what_no_database_keeps_is_replaced_and_the_rest_stays(
    bad: str, vapi: SandboxProcess, organization: Organization
) -> None:
    messages = [{"role": "user", "content": f"before{bad}after"}, {"role": "assistant", "content": "clean"}]
    session = stored(vapi, organization, name=f"a{bad}b", messages=messages)

    shown = "\ufffd" * len(bad)
    assert session.name == f"a{shown}b"
    payload = SessionPayload.objects.get(session=session).payload_json
    assert f"before{shown}after" in payload
    assert "clean" in payload
    assert sync_stream(organization, Stream.SESSIONS, full=True).unchanged == len(vapi.truth())


def test_what_cannot_be_looked_through_is_kept_apart_alone(
    vapi: SandboxProcess, organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also on a page that is made ready while the one before it is stored."""
    monkeypatch.setattr("sessions_app.mirror.walk.MAX_LIMIT", 1)

    def break_one(messages: list[Any]) -> Said:
        if "never look" in str(messages):
            raise TypeError
        return look_through(messages)

    monkeypatch.setattr(payloads, "look_through", break_one)
    for _ in range(3):
        vapi.change("sessions", "", {"messages": [{"role": "user", "content": "never look"}]})

    run = sync_stream(organization, Stream.SESSIONS)

    assert (run.state, run.quarantined, run.created) == ("partial", 3, len(vapi.truth()) - 3)


@pytest.mark.parametrize("bad", ["\x00", "\ud800"], ids=["NUL", "lone surrogate"])
def test_json_inside_a_string_may_hold_them_too(
    bad: str, vapi: SandboxProcess, organization: Organization
) -> None:
    text = json.dumps({"error": {"city": f"Rome{bad}"}})
    calls = [{"id": "c1", "type": "function", "function": {"name": "find", "arguments": text}}]
    answer = {"role": "tool", "tool_call_id": "c1", "content": text}
    session = stored(
        vapi, organization, messages=[{"role": "assistant", "content": None, "tool_calls": calls}, answer]
    )

    assert session.failed_tool_count == 1
    assert matching_session_ids("rome").filter(parent_id=session.pk).exists()
    assert not QuarantinedRecord.objects.exists()
    assert_proven(vapi, organization)


def test_blank_content_never_replaces_words(vapi: SandboxProcess, organization: Organization) -> None:
    session = stored(vapi, organization, messages=[{"role": "user", "content": "words that we keep"}])
    vapi.change(
        "sessions", session.pk, {"messages": [{"role": "user", "content": ""}], "status": "completed"}
    )

    sync_stream(organization, Stream.SESSIONS)

    session.refresh_from_db()
    assert (session.status, session.has_blank_content) == ("completed", True)
    assert "words that we keep" in SessionPayload.objects.get(session=session).payload_json


def test_a_transcript_of_5_mb_and_a_page_of_such(vapi: SandboxProcess, organization: Organization) -> None:
    """A page above 32 MB makes the next ones smaller."""
    text = "word " * 1_000_000
    at = "2026-01-31T10:00:00.000Z"
    made = [
        vapi.change(
            "sessions", f"long-{place}", {"messages": [{"role": "user", "content": text}], "createdAt": at}
        )
        for place in range(7)
    ]

    run = sync_stream(organization, Stream.SESSIONS)

    assert (run.state, run.quarantined) == ("succeeded", 0)
    kept = SessionPayload.objects.filter(session__in=[row["id"] for row in made])
    assert {len(payload) > 5_000_000 for payload in kept.values_list("payload_json", flat=True)} == {True}
    large = [entry["bytes"] for entry in vapi.journal() if entry["bytes"] > 32_000_000]
    limits = [int(entry["query"].split("limit=")[1].split("&")[0]) for entry in vapi.journal()]
    assert len(large) >= 1
    assert min(limits[1:]) <= 500


COSTS = [
    (1e-07, "0.0000001"),
    (1e-13, "0"),
    (6e-13, "0.000000000001"),
    (0, "0"),
    (-0.25, "-0.25"),
    ("0.1", "0.1"),
    (None, None),
    (0.1 + 0.2, "0.3"),
]


@pytest.mark.parametrize(("sent", "kept"), COSTS)
def test_a_cost_is_kept_to_the_twelfth_place(
    sent: object, kept: str | None, vapi: SandboxProcess, organization: Organization
) -> None:
    lines = [{"type": "model", "cost": sent}, {"type": "session"}]
    made = vapi.change("sessions", "", {"costs": lines})
    vapi.change("sessions", made["id"], {"cost": sent})
    run = sync_stream(organization, Stream.SESSIONS)

    amount = None if kept is None else Decimal(kept)
    assert run.state == "succeeded"
    assert Session.objects.get(id=made["id"]).cost_usd == amount
    costs = CostLine.objects.filter(parent_id=made["id"]).order_by("position")
    assert list(costs.values_list("cost_usd", flat=True)) == [amount, None]
    assert_proven(vapi, organization)


@pytest.mark.parametrize("odd", ["a lot", True, [], {}, 1e300])
def test_a_cost_that_is_no_amount_is_none_and_the_record_stays(
    odd: object, vapi: SandboxProcess, organization: Organization
) -> None:
    session = stored(
        vapi, organization, cost=odd, costs=[{"type": "model", "cost": odd}, {"type": "session", "cost": 2}]
    )

    assert session.cost_usd is None
    costs = CostLine.objects.filter(parent_id=session.pk).order_by("position")
    assert list(costs.values_list("cost_usd", flat=True)) == [None, Decimal(2)]


def test_unknown_kinds_statuses_and_roles_are_stored_and_listed(
    vapi: SandboxProcess, organization: Organization
) -> None:
    session = stored(
        vapi,
        organization,
        status="hibernating",
        costs=[{"type": "quantum", "cost": 0.5}],
        messages=[{"role": "oracle", "content": "an unknown role speaks"}],
        brandNew={"deep": 1},
    )

    assert (session.status, session.message_count) == ("hibernating", 1)
    assert CostLine.objects.get(parent_id=session.pk).kind == "quantum"
    assert SchemaDrift.objects.filter(organization=organization).count() >= 4
    assert_proven(vapi, organization)


@pytest.mark.parametrize("odd_id", ["session 1", "ü/ß?%2F#&", "a" * 200, "../../session", "0"])
def test_an_id_that_is_no_uuid(odd_id: str, vapi: SandboxProcess, organization: Organization) -> None:
    vapi.change("sessions", odd_id, {"name": "odd id"})
    assert sync_stream(organization, Stream.SESSIONS).state == "succeeded"
    vapi.change("sessions", odd_id, {"name": "seen by its id"})

    found = refetch_session(organization, odd_id)

    assert found is not None
    assert (found.pk, found.name) == (odd_id, "seen by its id")
    assert_proven(vapi, organization)


@pytest.mark.parametrize("odd_id", ["a" * 201, 17, None, ""])
def test_an_id_that_cannot_be_one_is_kept_apart(
    odd_id: object, vapi: SandboxProcess, organization: Organization
) -> None:
    made = vapi.change("sessions", "", {"name": "odd"})
    vapi.change("sessions", made["id"], {"id": odd_id}, touch=False)

    run = sync_stream(organization, Stream.SESSIONS)

    assert (run.state, run.quarantined, run.created) == ("partial", 1, 3)
    assert QuarantinedRecord.objects.get().reason.startswith("id: ")


@pytest.mark.parametrize(
    ("written", "moment"),
    [
        ("2026-01-31T11:30:00+05:30", datetime(2026, 1, 31, 6, tzinfo=UTC)),
        ("2026-01-31T05:00:00.123456Z", datetime(2026, 1, 31, 5, 0, 0, 123456, tzinfo=UTC)),
        ("2026-01-31T05:00:00Z", datetime(2026, 1, 31, 5, tzinfo=UTC)),
        ("2026-01-31T05:00:00", datetime(2026, 1, 31, 5, tzinfo=UTC)),
        ("2026-01-30T20:00:00-09:00", datetime(2026, 1, 31, 5, tzinfo=UTC)),
    ],
)
def test_a_time_however_it_is_written(
    written: str, moment: datetime, vapi: SandboxProcess, organization: Organization
) -> None:
    session = stored(vapi, organization, createdAt=written)

    assert (session.created_at, session.updated_at) == (moment, moment)
    vapi.change("sessions", session.pk, {"name": "later"})
    assert sync_stream(organization, Stream.SESSIONS).updated == 1
    assert reconcile_stream(organization, Stream.SESSIONS).state == "succeeded"
    assert set(Coverage.objects.values_list("state", flat=True)) == {"proven"}


OPTIONAL = (
    *("name", "status", "cost", "costs", "messages", "customer", "customerId", "assistantId", "assistant"),
    *(
        "squadId",
        "squad",
        "phoneNumberId",
        "phoneNumber",
        "artifact",
        "expirationSeconds",
        "assistantOverrides",
    ),
)


@pytest.mark.parametrize("is_null", [True, False], ids=["null", "absent"])
def test_optional_fields_may_be_missing(
    is_null: bool, vapi: SandboxProcess, organization: Organization
) -> None:
    bare = vapi.truth()[1]["id"]
    if is_null:
        vapi.change("sessions", bare, dict.fromkeys(OPTIONAL))
    else:
        vapi.change("sessions", bare, unset=OPTIONAL)

    assert sync_stream(organization, Stream.SESSIONS).state == "succeeded"

    session = Session.objects.get(id=bare)
    assert (session.name, session.status, session.cost_usd, session.message_count) == ("", "", None, 0)
    assert_proven(vapi, organization)
