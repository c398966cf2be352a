"""Remote JSON becomes typed records: the required parts strictly, the rest whatever it is."""

import time
from dataclasses import FrozenInstanceError, fields
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from sessions_app.vapi.costs import CostEntry
from sessions_app.vapi.fields import BadRecord
from sessions_app.vapi.json import load_payload
from sessions_app.vapi.payloads import NameRecord, chat_turns, parse_chat, parse_name, parse_session
from sessions_app.vapi.redaction import redact

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
BARE: dict[str, Any] = {
    "id": "s1",
    "orgId": "o1",
    "createdAt": "2026-06-01T12:00:00.000Z",
    "updatedAt": "2026-06-01T12:30:00.000Z",
}
FULL = BARE | {
    "name": "Ann's table",
    "status": "completed",
    "expirationSeconds": 3600,
    "assistantId": "a1",
    "squadId": "q1",
    "phoneNumberId": "p1",
    "customerId": "k1",
    "customer": {
        "number": "+4930123",
        "name": "Ann",
        "email": "ann@example.org",
        "externalId": "x1",
        "sipUri": "sip:ann@example.org",
    },
    "cost": Decimal("0.0123"),
    "costs": [
        {
            "type": "model",
            "model": {"provider": "openai", "model": "gpt-4o"},
            "promptTokens": 100,
            "completionTokens": Decimal("20.0"),
            "cachedPromptTokens": 5,
            "reasoningTokens": 3,
            "cost": Decimal("1e-07"),
        },
        {"type": "analysis", "analysisType": "summary", "model": "gpt-4o-mini", "cost": 0},
        {"type": "session", "cost": Decimal("0.01")},
    ],
    "messages": [
        {"role": "user", "content": "A table?"},
        {"role": "assistant", "tool_calls": [{"id": "c1", "function": {"name": "find", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "c1", "content": '{"error": "closed"}'},
    ],
}


def session(**changes: Any) -> Any:
    return parse_session(FULL | changes)


def test_a_whole_session() -> None:
    record = parse_session(FULL)

    assert (record.id, record.org_id, record.name, record.status) == ("s1", "o1", "Ann's table", "completed")
    assert (record.created_at, record.updated_at) == (NOON, NOON + timedelta(minutes=30))
    assert record.expiration_seconds == 3600
    assert record.expires_at == NOON + timedelta(hours=1)
    assert record.idle_expires_at == NOON + timedelta(hours=1, minutes=30)
    assert (record.assistant_id, record.squad_id, record.phone_number_id) == ("a1", "q1", "p1")
    assert (record.customer_id, record.customer_number, record.customer_name) == ("k1", "+4930123", "Ann")
    assert (record.customer_email, record.customer_external_id) == ("ann@example.org", "x1")
    assert record.customer_sip_uri == "sip:ann@example.org"
    assert record.cost_usd == Decimal("0.0123")
    assert (record.message_count, record.failed_tool_count, record.blank_content) == (3, 1, False)
    assert record.payload == FULL
    assert (record.text_replaced, record.oddities) == (False, ())


def test_a_prepared_record_has_let_go_of_what_it_was_made_of() -> None:
    record, other = parse_session(FULL), parse_session(FULL)

    record.prepare()

    assert not {"payload", "said"} & vars(record).keys()
    assert (record.payload, record.said) == (other.payload, other.said)


def test_cost_entries_of_each_type() -> None:
    model, analysis, own = parse_session(FULL).costs

    assert model == CostEntry(0, "model", "", "openai", "gpt-4o", 100, 20, 5, 3, Decimal("1e-07"))
    assert analysis == CostEntry(
        1, "analysis", "summary", "", "gpt-4o-mini", None, None, None, None, Decimal(0)
    )
    assert own == CostEntry(2, "session", "", "", "", None, None, None, None, Decimal("0.01"))


def test_a_session_with_nothing_but_what_is_required() -> None:
    record = parse_session(BARE)

    assert (record.name, record.status, record.expiration_seconds, record.cost_usd) == (None, "", None, None)
    assert record.expires_at == NOON + timedelta(days=1)
    assert record.idle_expires_at == NOON + timedelta(days=1, minutes=30)
    assert (record.customer_number, record.assistant_id, record.costs) == ("", "", ())
    assert (record.message_count, record.blank_content, record.words, record.labels) == (0, False, "", "")
    assert record.oddities == ()


def test_null_is_absent() -> None:
    nothing = dict.fromkeys(set(FULL) - set(BARE))

    assert parse_session(BARE | nothing).oddities == ()


def test_what_vapi_adds_tomorrow_is_kept() -> None:
    record = session(metadata={"variableValues": {"a": [1]}}, status="paused")

    assert record.payload["metadata"] == {"variableValues": {"a": [1]}}
    assert record.status == "paused"
    assert load_payload(record.payload_json) == record.payload


@pytest.mark.parametrize("field", ["id", "orgId", "createdAt", "updatedAt"])
@pytest.mark.parametrize("value", [None, "", 5, [], {}, True])
def test_a_required_field_that_is_odd_loses_the_record(field: str, value: Any) -> None:
    for parse in (parse_session, parse_chat):
        with pytest.raises(BadRecord) as caught:
            parse(BARE | {field: value})
        assert caught.value.field == field


def test_a_bad_record_does_not_quote_its_values() -> None:
    for changes in ({"createdAt": "s3cr3t words"}, {"id": "s3cr3t" * 99}, {"orgId": ["s3cr3t"]}):
        with pytest.raises(BadRecord) as caught:
            parse_session(BARE | changes)
        assert "s3cr3t" not in str(caught.value) + repr(caught.value)
        assert caught.value.__context__ is None


@pytest.mark.parametrize("payload", [None, [], "x", 5])
def test_what_is_no_object_is_no_record(payload: Any) -> None:
    for parse in (parse_session, parse_chat, lambda value: parse_name(value, "assistant")):
        with pytest.raises(BadRecord):
            parse(payload)


@pytest.mark.parametrize(
    ("written", "microseconds"),
    [
        ("2026-06-01T12:00:00Z", 0),
        ("2026-06-01T12:00:00", 0),
        ("2026-06-01T12:00:00.123Z", 123_000),
        ("2026-06-01T12:00:00.123456Z", 123_456),
        ("2026-06-01T12:00:00.123456789Z", 123_456),
        ("2026-06-01T17:30:00.5+05:30", 500_000),
        ("2026-06-01T05:00:00-0700", 0),
    ],
)
def test_times_as_they_are_written(written: str, microseconds: int) -> None:
    record = session(createdAt=written)

    assert record.created_at == NOON.replace(microsecond=microseconds)
    assert record.created_at.tzinfo is UTC


def test_a_time_without_an_offset_is_utc_wherever_this_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Kolkata")
    time.tzset()
    try:
        assert session(createdAt="2026-06-01T12:00:00").created_at == NOON
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize("written", ["then", "2026-13-01T00:00:00Z", "0001-01-01T00:00:00+14:00"])
def test_a_time_that_is_none_loses_the_record(written: str) -> None:
    with pytest.raises(BadRecord):
        session(updatedAt=written)


def test_an_expiry_beyond_all_time_loses_the_record() -> None:
    with pytest.raises(BadRecord):
        session(createdAt="9999-12-31T23:59:59Z")


@pytest.mark.parametrize(
    ("changes", "oddity", "field", "value"),
    [
        ({"name": ["x"]}, "name: list", "name", None),
        ({"status": 5}, "status: number", "status", ""),
        ({"cost": "many"}, "cost: no amount", "cost_usd", None),
        ({"cost": True}, "cost: no amount", "cost_usd", None),
        ({"cost": Decimal("1e9")}, "cost: no amount", "cost_usd", None),
        ({"expirationSeconds": "60"}, "expirationSeconds: string", "expiration_seconds", None),
        ({"expirationSeconds": Decimal("1.5")}, "expirationSeconds: number", "expiration_seconds", None),
        ({"expirationSeconds": True}, "expirationSeconds: boolean", "expiration_seconds", None),
        ({"expirationSeconds": -1}, "expirationSeconds: out of range", "expiration_seconds", None),
        ({"expirationSeconds": 2**31}, "expirationSeconds: out of range", "expiration_seconds", None),
        (
            {"expirationSeconds": Decimal("1e99999999")},
            "expirationSeconds: number",
            "expiration_seconds",
            None,
        ),
        ({"assistantId": {}}, "assistantId: object", "assistant_id", ""),
        ({"customer": "Ann"}, "customer: string", "customer_name", ""),
        ({"customer": {"number": 4930123}}, "customer.number: number", "customer_number", ""),
        ({"messages": "none"}, "messages: string", "message_count", 0),
        ({"costs": {}}, "costs: object", "costs", ()),
        ({"costs": ["x"]}, "costs[0]: string", "costs", ()),
    ],
)
def test_an_odd_field_is_none_and_named(changes: Any, oddity: str, field: str, value: Any) -> None:
    record = session(**changes)

    assert record.oddities == (oddity,)
    assert getattr(record, field) == value
    assert record.payload == FULL | changes


def test_an_odd_cost_entry_keeps_its_place_and_the_others() -> None:
    record = session(
        costs=[
            "x",
            {"type": "model", "cost": "much", "model": 5, "promptTokens": -1, "completionTokens": "7"},
            {"cost": Decimal("0.5"), "model": {"provider": None, "model": ["m"]}},
        ]
    )

    assert [(cost.position, cost.kind, cost.cost_usd) for cost in record.costs] == [
        (1, "model", None),
        (2, "", Decimal("0.5")),
    ]
    assert set(record.oddities) == {
        "costs[0]: string",
        "costs[1].cost: no amount",
        "costs[1].model: number",
        "costs[1].promptTokens: out of range",
        "costs[1].completionTokens: string",
        "costs[2].model.model: list",
    }


def test_an_unknown_type_of_cost_is_kept() -> None:
    assert session(costs=[{"type": "voice", "cost": 1}]).costs[0].kind == "voice"


@pytest.mark.parametrize(
    ("messages", "blank"),
    [
        ([{"role": "user", "content": ""}, {"role": "assistant", "content": None}], True),
        ([{"role": "user", "message": ""}], True),
        ([{"role": "user", "content": ""}, {"role": "assistant", "content": "x"}], False),
        ([{"role": "assistant", "refusal": "no"}], False),
        ([], False),
    ],
)
def test_blank_content_is_messages_without_words(messages: Any, blank: bool) -> None:
    assert session(messages=messages).blank_content is blank
    assert parse_chat(BARE | {"output": messages}).blank_content is blank


@pytest.mark.parametrize(
    "changes",
    [
        {"status": "active"},
        {"name": "Bob's table"},
        {"name": None},
        {"cost": Decimal("0.0124")},
        {"expirationSeconds": 60},
        {"messages": []},
        {"costs": []},
        {"customerId": "k2"},
        {"customer": FULL["customer"] | {"number": "+4930124"}},
        {"customer": FULL["customer"] | {"email": "b@example.org"}},
    ],
)
def test_the_fingerprint_sees_what_people_look_at(changes: Any) -> None:
    assert session(**changes).fingerprint != parse_session(FULL).fingerprint
    assert session(**changes).content_hash != parse_session(FULL).content_hash


def test_the_fingerprint_is_the_same_for_the_same() -> None:
    same = load_payload(parse_session(FULL).payload_json)

    assert parse_session(same).fingerprint == parse_session(FULL).fingerprint
    assert parse_session(FULL).fingerprint == session(cost=Decimal("0.01230")).fingerprint
    assert "ann" not in parse_session(FULL).fingerprint.lower()


def signed(name: str, when: int) -> Any:
    query = f"X-Amz-Date={when}&X-Amz-Signature=s{when}&X-Amz-Expires=9"
    return redact(
        FULL
        | {
            "artifact": {
                "recordingUrl": f"https://h/{name}/{when}.wav?{query}",
                "recording": {"mono": {"combinedUrl": f"https://h/{when}"}},
                "presignedLog": {"at": when},
                "transcript": "A table?",
            },
            "presignedUrls": [f"https://h/{when}"],
            "attachment": f"https://h/{name}?{query}",
        }
    )


def test_the_content_hash_leaves_out_what_is_signed_anew() -> None:
    first, again = parse_session(signed("a", 1)), parse_session(signed("a", 2))

    assert first.payload != again.payload
    assert first.content_hash == again.content_hash


def test_the_content_hash_sees_everything_else() -> None:
    first = parse_session(signed("a", 1))
    told = parse_session(signed("a", 1) | {"artifact": {"transcript": "A chair?"}})
    other = parse_session(signed("b", 1))

    assert len({first.content_hash, told.content_hash, other.content_hash}) == 3
    assert session(logoUrl="https://h/1").content_hash != session(logoUrl="https://h/2").content_hash


def test_only_an_artifact_has_addresses_that_change_without_a_signature() -> None:
    def hashed(recording: str, logo: str) -> str:
        return str(session(artifact={"recordingUrl": recording}, logoUrl=logo).content_hash)

    assert hashed("https://h/1", "https://h/l") == hashed("https://h/2", "https://h/l")
    assert hashed("https://h/1", "https://h/l") != hashed("https://h/1", "https://h/m")


def test_the_content_hash_does_not_depend_on_the_order_of_keys() -> None:
    turned = dict(reversed(FULL.items()))

    assert parse_session(turned).content_hash == parse_session(FULL).content_hash


def test_words_and_labels_for_the_search() -> None:
    record = parse_session(FULL)

    assert record.words.splitlines() == ["A table?", "find", "{}", '{"error": "closed"}']
    assert record.labels.splitlines() == [
        "Ann's table",
        "+4930123",
        "Ann",
        "ann@example.org",
        "x1",
        "sip:ann@example.org",
    ]


def test_a_whole_chat() -> None:
    record = parse_chat(
        BARE
        | {
            "id": "c1",
            "sessionId": "s1",
            "previousChatId": "c0",
            "assistantId": "a1",
            "name": "n",
            "input": "A table?",
            "output": [{"role": "assistant", "content": "Yes."}],
            "messages": [{"role": "user", "content": "context"}],
            "cost": Decimal("0.5"),
            "costs": [{"type": "chat", "cost": Decimal("0.5")}],
        },
        text_replaced=True,
    )

    assert (record.id, record.session_id, record.previous_chat_id, record.assistant_id) == (
        "c1",
        "s1",
        "c0",
        "a1",
    )
    assert (record.name, record.cost_usd, record.costs[0].kind) == ("n", Decimal("0.5"), "chat")
    assert (record.message_count, record.blank_content, record.text_replaced) == (2, False, True)
    assert record.words == "A table?\nYes."
    assert record.labels == "n"


def test_the_turns_of_a_chat_are_its_input_and_its_output() -> None:
    listed = {
        "input": [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}],
        "output": [{"role": "assistant", "content": "c"}],
    }

    assert [(turn.position, turn.text) for turn in chat_turns(listed)] == [(0, "a"), (1, "b"), (2, "c")]
    assert [(turn.kind, turn.text) for turn in chat_turns({"input": "a"})] == [("user", "a")]
    assert chat_turns({}) == []


def test_a_chat_that_has_just_begun_has_no_cost_and_no_output() -> None:
    record = parse_chat(BARE | {"input": "A table?"})

    assert (record.cost_usd, record.costs, record.message_count, record.oddities) == (None, (), 1, ())


@pytest.mark.parametrize(
    ("changes", "oddity"), [({"input": 5}, "input: number"), ({"output": "x"}, "output: string")]
)
def test_an_odd_part_of_a_chat_is_named(changes: Any, oddity: str) -> None:
    assert parse_chat(BARE | changes).oddities == (oddity,)


@pytest.mark.parametrize(
    ("changes", "name"),
    [({"name": "Desk"}, "Desk"), ({"number": "+4930123"}, "+4930123"), ({}, ""), ({"name": ["x"]}, "")],
)
def test_what_something_is_called(changes: Any, name: str) -> None:
    assert parse_name(BARE | changes, "assistant") == NameRecord(
        "assistant", "s1", name, NOON + timedelta(minutes=30)
    )


@pytest.mark.parametrize("parse", [parse_session, parse_chat])
def test_a_record_has_each_field_that_it_names_no_other_and_for_good(parse: Any) -> None:
    record = parse(FULL)

    assert set(vars(record)) == {field.name for field in fields(record)} | {"payload"}
    with pytest.raises(FrozenInstanceError):
        record.name = "another"
