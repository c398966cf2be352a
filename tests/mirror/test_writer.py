"""The writer: versions, exact sums, bad records, and several writers at once."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import connection, transaction
from django.db.models import Sum
from django.test.utils import CaptureQueriesContext

from sessions_app.mirror import writer as module
from sessions_app.mirror.forgetting import forget_rows, forgotten_among
from sessions_app.mirror.quarantine import quarantine
from sessions_app.mirror.refetch import stamp_missing
from sessions_app.mirror.tables import SESSIONS
from sessions_app.mirror.writer import mirror_chats, mirror_sessions
from sessions_app.models import (
    Chat,
    CostLine,
    CostRollup,
    Organization,
    QuarantinedRecord,
    ReportedCost,
    Session,
    SessionPayload,
)
from sessions_app.models.forgetting import ForgottenReason
from sessions_app.models.mirrored import MissingReason
from sessions_app.models.runs import Stream
from sessions_app.search.words import (
    index_words,
    matching_chat_ids,
    matching_session_ids,
    numbers_with,
)
from sessions_app.vapi.json import load_payload
from sessions_app.vapi.payloads import ChatRecord, SessionRecord, parse_chat
from tests.search.rows import words_row

NOW = datetime(2026, 2, 1, tzinfo=UTC)
Make = Callable[..., SessionRecord]


def line(cost: object, kind: str = "model") -> dict[str, object]:
    return {
        "type": kind,
        "model": {"provider": "openai", "model": "gpt-4.1"},
        "promptTokens": 3,
        "completionTokens": 2,
        "cost": cost,
    }


def itemized_in_rollup() -> Decimal:
    rows = CostRollup.objects.filter(is_itemized=True)
    return Decimal(rows.aggregate(total=Sum("cost_usd"))["total"] or 0)


@pytest.mark.django_db
def test_a_session_becomes_rows_lines_rollup_and_words(organization: Organization, record: Make) -> None:
    result = mirror_sessions(
        organization,
        [
            record(
                "s1", cost=0.3, costs=[line(0.1), line(0.2, "analysis")], customer={"number": "+49 151 234"}
            )
        ],
        asked_at=NOW,
    )

    session = Session.objects.get()
    assert (result.created, result.updated, result.unchanged) == (1, 0, 0)
    assert (session.cost_usd, session.itemized_cost_usd) == (Decimal("0.3"), Decimal("0.3"))
    assert session.customer_digits == "49151234"
    assert [entry.kind for entry in CostLine.objects.order_by("position")] == ["model", "analysis"]
    assert itemized_in_rollup() == Decimal("0.3")
    assert list(matching_session_ids("words")) == ["s1"]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("later", "asked_later", "name"),
    [
        (timedelta(seconds=1), timedelta(seconds=-5), "new"),
        (timedelta(seconds=-1), timedelta(seconds=5), "old"),
        (timedelta(0), timedelta(seconds=5), "new"),
        (timedelta(0), timedelta(seconds=-5), "old"),
    ],
    ids=["newer", "older", "equal, asked later", "equal, asked earlier"],
)
def test_the_version_rule(
    organization: Organization, record: Make, later: timedelta, asked_later: timedelta, name: str
) -> None:
    first = record("s1", name="old")
    mirror_sessions(organization, [first], asked_at=NOW)

    mirror_sessions(
        organization,
        [record("s1", name="new", updatedAt=(first.updated_at + later).isoformat())],
        asked_at=NOW + asked_later,
    )

    assert Session.objects.get().name == name


@pytest.mark.django_db
def test_only_a_deep_comparison_sees_what_the_fingerprint_leaves_out(
    organization: Organization, record: Make
) -> None:
    mirror_sessions(organization, [record("s1", metadata={"plan": "a"})], asked_at=NOW)
    changed = record("s1", metadata={"plan": "b"})

    assert mirror_sessions(organization, [changed], asked_at=NOW).unchanged == 1
    assert mirror_sessions(organization, [changed], asked_at=NOW, deep=True).updated == 1
    assert '"plan":"b"' in SessionPayload.objects.get().payload_json


@pytest.mark.django_db
def test_a_row_that_was_missing_is_here_again(organization: Organization, record: Make) -> None:
    mirror_sessions(organization, [record("s1")], asked_at=NOW)
    Session.objects.update(missing_since=NOW, missing_reason="gone")

    assert mirror_sessions(organization, [record("s1")], asked_at=NOW).updated == 1

    session = Session.objects.get()
    assert (session.missing_since, session.missing_reason) == (None, "")


@pytest.mark.django_db
@pytest.mark.parametrize(("asked_later", "is_missing"), [(-1, True), (1, False)])
def test_a_newer_state_lifts_a_stamp_only_where_it_was_asked_for_later(
    organization: Organization, record: Make, asked_later: int, is_missing: bool
) -> None:
    mirror_sessions(organization, [record("s1")], asked_at=NOW - timedelta(hours=1))
    stamp_missing(organization, "s1", MissingReason.GONE)
    stamped_at = Session.objects.get().asked_at
    newer = record("s1", name="newer", updatedAt=NOW.isoformat())

    asked_at = stamped_at + timedelta(seconds=asked_later)

    # Also where it was looked at before it was stamped.
    mirror_sessions(organization, [newer], asked_at=asked_at, looked_at={})
    mirror_sessions(organization, [newer], asked_at=asked_at)

    session = Session.objects.get()
    assert (session.missing_since is not None, session.name == "newer") == (is_missing, not is_missing)


@pytest.mark.django_db
def test_changed_costs_replace_lines_and_move_the_rollup(organization: Organization, record: Make) -> None:
    mirror_sessions(organization, [record("s1", cost=1, costs=[line(0.7), line(0.3)])], asked_at=NOW)

    mirror_sessions(
        organization, [record("s1", cost=0.1, costs=[line("1e-12")])], asked_at=NOW + timedelta(1)
    )

    assert [entry.cost_usd for entry in CostLine.objects.all()] == [Decimal("1E-12")]
    assert itemized_in_rollup() == Decimal("1E-12")
    reported = CostRollup.objects.filter(is_itemized=False).aggregate(total=Sum("cost_usd"))["total"]
    assert reported == Decimal("0.1") == ReportedCost.objects.get().cost_usd


@pytest.mark.django_db
def test_one_record_more_than_a_days_sum_can_hold_is_kept_apart(
    organization: Organization, record: Make
) -> None:
    for number in range(10):
        mirror_sessions(organization, [record(f"s{number}", cost=999999)], asked_at=NOW)

    assert QuarantinedRecord.objects.get().remote_id == "s9"
    assert Session.objects.count() == 9
    assert CostRollup.objects.get(is_itemized=False).cost_usd == 9 * 999999


@pytest.mark.django_db
def test_one_record_that_the_database_refuses_is_kept_apart(organization: Organization, record: Make) -> None:
    # PostgreSQL has no place for it in an index row; SQLite would take it and is told to refuse it.
    noise = random.Random(1)
    status = "".join(chr(noise.randrange(0x4E00, 0x9FFF)) for _ in range(4000))
    bad = record("s3", status=status)
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute(
                "CREATE TRIGGER refuse BEFORE INSERT ON sessions_app_session WHEN length(NEW.status) > 99 "
                "BEGIN SELECT RAISE(ABORT, 'refused'); END"
            )
    good = [record(f"s{number}") for number in range(7) if number != 3]

    result = mirror_sessions(organization, [*good, bad], asked_at=NOW)

    assert (result.created, result.quarantined) == (6, 1)
    assert set(Session.objects.values_list("id", flat=True)) == {row.id for row in good}
    kept = QuarantinedRecord.objects.get()
    assert kept.remote_id == "s3"
    assert status[:20] not in kept.reason


@pytest.mark.django_db
def test_blanks_never_replace_words(organization: Organization, record: Make) -> None:
    mirror_sessions(organization, [record("s1")], asked_at=NOW)

    mirror_sessions(
        organization,
        [record("s1", status="completed", messages=[{"role": "user", "content": ""}])],
        asked_at=NOW + timedelta(seconds=1),
    )

    session = Session.objects.get()
    assert (session.status, session.has_blank_content) == ("completed", True)
    assert "words of s1" in SessionPayload.objects.get().payload_json
    assert list(matching_session_ids("words")) == ["s1"]


@pytest.mark.django_db
def test_what_came_with_blanks_is_found_by_its_new_names_and_the_words_that_are_kept(
    organization: Organization, record: Make
) -> None:
    mirror_sessions(
        organization, [record("s1", name="Ada", customer={"number": "+4915100001"})], asked_at=NOW
    )
    blank = record(
        "s1", name="Grace Hopper", customer={"number": "+4917788899"}, updatedAt=NOW.isoformat(),
        messages=[{"role": "user", "content": ""}],
    )  # fmt: skip

    mirror_sessions(organization, [blank], asked_at=NOW)

    found = {
        text: list(matching_session_ids(text, names_too=True)) for text in ("words", "Grace", "Ada", "177888")
    }
    assert found == {"words": ["s1"], "Grace": ["s1"], "Ada": [], "177888": []}
    assert list(numbers_with("78889")) == ["4917788899"]


@pytest.mark.django_db
def test_a_blank_chat_is_found_by_its_new_name_and_the_words_that_are_kept(
    organization: Organization,
) -> None:
    times = {"createdAt": NOW.isoformat(), "updatedAt": NOW.isoformat()}
    chat = {"id": "c1", "orgId": "o", "name": "Ada", "input": "a refund", **times}
    for seconds, fields in enumerate([{}, {"name": "Grace", "input": ""}]):
        mirror_chats(
            organization, [parse_chat({**chat, **fields})], asked_at=NOW + timedelta(seconds=seconds)
        )

    found = {text: list(matching_chat_ids(text, names_too=True)) for text in ("refund", "Grace", "Ada")}
    assert found == {"refund": ["c1"], "Grace": ["c1"], "Ada": []}


@pytest.mark.django_db
def test_what_is_new_in_an_artifact_comes_with_blanks(organization: Organization, record: Make) -> None:
    said, blank = {"role": "user", "content": "words"}, {"role": "user", "content": ""}
    old = {"transcript": "words", "messages": [said], "structuredOutputs": {"a": 1}, "wasHeld": True}
    new = {"transcript": "", "messages": [blank], "structuredOutputs": {"a": 2}, "wasHeld": False}
    mirror_sessions(organization, [record("s1", artifact=old)], asked_at=NOW)

    came_blank = record("s1", messages=[blank], artifact=new, updatedAt=NOW.isoformat())
    mirror_sessions(organization, [came_blank], asked_at=NOW)

    assert load_payload(SessionPayload.objects.get().payload_json)["artifact"] == {
        "transcript": "words",
        "messages": [said],
        "structuredOutputs": {"a": 2},
        "wasHeld": False,
    }


@pytest.mark.django_db
def test_a_failed_call_outlives_blanks(organization: Organization, record: Make) -> None:
    call = {"id": "t1", "type": "function", "function": {"name": "book", "arguments": "{}"}}
    failed = [
        {"role": "assistant", "content": "One moment.", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "t1", "content": "Error: no free table"},
    ]
    mirror_sessions(organization, [record("s1", messages=failed)], asked_at=NOW)
    assert Session.objects.get().failed_tool_count == 1

    blank = record("s1", messages=[{"role": "user", "content": ""}], updatedAt=NOW.isoformat())
    mirror_sessions(organization, [blank], asked_at=NOW)

    assert Session.objects.get().failed_tool_count == 1


@pytest.mark.django_db
def test_the_same_id_twice_in_a_page_is_one_row(organization: Organization, record: Make) -> None:
    newer = record("s1", name="newer", updatedAt="2026-01-11T00:00:00Z")

    result = mirror_sessions(organization, [newer, record("s1", name="older")], asked_at=NOW)

    assert result.created == 1
    assert Session.objects.get().name == "newer"


@pytest.mark.django_db(transaction=True)
def test_four_writers_at_once_keep_every_sum(organization: Organization, record: Make) -> None:
    """Each writes the same thirty sessions in its own order with amounts of its own, again and again."""
    errors: list[BaseException] = []

    def write(seed: int) -> None:
        chance = random.Random(seed)
        try:
            for turn in range(8):
                asked = NOW + timedelta(seconds=turn, microseconds=seed)
                rows = [
                    record(
                        f"s{number}",
                        cost=chance.randrange(10**6) / 10**6,
                        costs=[line(chance.randrange(10**9) / 10**9) for _ in range(chance.randrange(4))],
                        assistantId=f"a{chance.randrange(3)}",
                        updatedAt=asked.isoformat(),
                    )
                    for number in chance.sample(range(30), 20)
                ]
                mirror_sessions(organization, rows, asked_at=asked)
        except BaseException as error:
            errors.append(error)
        finally:
            connection.close()

    writers = [threading.Thread(target=write, args=(seed,)) for seed in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()

    assert errors == []
    assert Session.objects.count() == ReportedCost.objects.count() == 30
    lines = CostLine.objects.aggregate(total=Sum("cost_usd"))["total"]
    reported = Session.objects.aggregate(total=Sum("cost_usd"))["total"]
    rollup = CostRollup.objects.filter(is_itemized=False)
    assert itemized_in_rollup() == lines
    assert rollup.aggregate(total=Sum("cost_usd"))["total"] == reported
    assert rollup.aggregate(total=Sum("line_count"))["total"] == 30
    for session in Session.objects.all():
        stored = CostLine.objects.filter(parent_id=session.id).aggregate(total=Sum("cost_usd"))["total"]
        assert session.itemized_cost_usd == stored


@pytest.mark.django_db
def test_a_second_blanking_replaces_no_words_either(organization: Organization, record: Make) -> None:
    mirror_sessions(organization, [record("s1")], asked_at=NOW)

    for second in (1, 2):
        blank = record(
            "s1", name=f"blank {second}", messages=[{"role": "user", "content": ""}],
            updatedAt=(NOW + timedelta(seconds=second)).isoformat(),
        )  # fmt: skip
        mirror_sessions(organization, [blank], asked_at=NOW + timedelta(seconds=second))

    assert Session.objects.get().name == "blank 2"
    assert "words of s1" in SessionPayload.objects.get().payload_json


@pytest.mark.django_db
def test_blanks_replace_blanks(organization: Organization, record: Make) -> None:
    for name in ("first", "second"):
        blank = record("s1", name=name, messages=[{"role": "user", "content": ""}])
        mirror_sessions(organization, [blank], asked_at=NOW)

    assert '"second"' in SessionPayload.objects.get().payload_json


@pytest.mark.django_db
def test_the_report_time_zone_is_the_one_stored_now(organization: Organization, record: Make) -> None:
    """It may have been changed, and the rollup rebuilt, while a long sync runs."""
    Organization.objects.update(report_time_zone="Pacific/Auckland")

    mirror_sessions(organization, [record("s1", cost=1, costs=[line(1)])], asked_at=NOW)

    assert {str(day) for day in CostRollup.objects.values_list("day", flat=True)} == {"2026-01-11"}


@pytest.mark.django_db
def test_what_is_as_stored_again_is_let_out_of_quarantine(organization: Organization, record: Make) -> None:
    mirror_sessions(organization, [record("s1")], asked_at=NOW)
    quarantine(organization, Stream.SESSIONS, remote_id="s1", reason="updatedAt: not a time")

    mirror_sessions(organization, [record("s1")], asked_at=NOW)

    assert QuarantinedRecord.objects.get().resolved_at is not None


@pytest.mark.django_db
def test_an_id_of_any_length_can_be_kept_apart(organization: Organization) -> None:
    noise = random.Random(1)
    long = "".join(chr(noise.randrange(0x4E00, 0x9FFF)) for _ in range(9000))
    for _ in range(2):
        quarantine(organization, Stream.SESSIONS, remote_id=long, reason="id: too long")

    kept = QuarantinedRecord.objects.get()
    assert (kept.remote_id, kept.times_seen) == (long[:200], 2)


@pytest.mark.django_db
def test_what_somebody_left_behind_keeps_no_new_session_out(organization: Organization, record: Make) -> None:
    """A page of which nothing is stored is inserted without a look; what is in its way is replaced all the same."""
    SessionPayload.objects.create(session_id="s2", payload_json="{}")
    with transaction.atomic(), connection.cursor() as cursor:
        index_words(cursor, organization.pk, [words_row("session", "s3", "s3", "", "left behind")])

    result = mirror_sessions(organization, [record(f"s{number}") for number in range(5)], asked_at=NOW)

    assert (result.created, result.quarantined) == (5, 0)
    assert "words of s2" in SessionPayload.objects.get(pk="s2").payload_json
    assert set(matching_session_ids("words")) == {f"s{number}" for number in range(5)}
    assert not matching_session_ids("behind").exists()
    assert CostRollup.objects.filter(is_itemized=False).aggregate(total=Sum("line_count"))["total"] == 5


def test_one_that_came_after_the_look_is_counted_once(
    organization: Organization, record: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """New records are looked for once, before the transaction."""

    def store_one_meanwhile(news: Sequence[SessionRecord]) -> Iterator[list[SessionRecord]]:
        monkeypatch.undo()
        mirror_sessions(organization, [record("s1", cost=2, costs=[line(2)])], asked_at=NOW)
        yield list(news)

    monkeypatch.setattr(module, "_portions", store_one_meanwhile)
    rows = [record(f"s{number}", cost=1, costs=[line(1)]) for number in range(3)]
    result = mirror_sessions(organization, rows, asked_at=NOW + timedelta(seconds=1))

    assert (result.created, result.updated) == (2, 1)
    assert CostLine.objects.aggregate(total=Sum("cost_usd"))["total"] == itemized_in_rollup() == 3


@pytest.mark.django_db
def test_a_chat_whose_session_was_erased_after_the_look_is_not_stored(
    organization: Organization, record: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    mirror_sessions(organization, [record("theirs")], asked_at=NOW)

    def erase_meanwhile(news: Sequence[ChatRecord]) -> Iterator[list[ChatRecord]]:
        forget_rows(organization, SESSIONS, ["theirs"], ForgottenReason.ERASED)
        yield list(news)

    monkeypatch.setattr(module, "_portions", erase_meanwhile)
    at = NOW.isoformat()
    chats = [
        parse_chat({"id": name, "orgId": "org", "createdAt": at, "updatedAt": at, "sessionId": session_id})
        for name, session_id in (("c1", "theirs"), ("c2", "another"))
    ]
    result = mirror_chats(organization, chats, asked_at=NOW)

    assert (result.created, result.unchanged) == (1, 1)
    assert list(Chat.objects.values_list("pk", flat=True)) == ["c2"]
    assert forgotten_among(organization, Stream.CHATS, ["c1", "c2"]) == {"c1"}


def test_new_records_are_looked_for_once(organization: Organization, record: Make) -> None:
    with CaptureQueriesContext(connection) as queries:
        mirror_sessions(organization, [record("s1"), record("s2")], asked_at=NOW)

    looks = [
        query for query in queries.captured_queries if query["sql"].startswith('SELECT "id", "organization')
    ]
    assert len(looks) == 1
    assert not any(query["sql"].startswith("DELETE") for query in queries.captured_queries)


@pytest.mark.django_db(transaction=True)
def test_two_writers_of_the_same_new_sessions_count_them_once(
    organization: Organization, record: Make
) -> None:
    """Both see an empty mirror at first; each has its own amounts for the same ids."""
    results, start = [], threading.Barrier(2)

    def write(cost: float) -> None:
        rows = [record(f"s{number}", cost=cost, costs=[line(cost)]) for number in range(200)]
        start.wait()
        results.append(mirror_sessions(organization, rows, asked_at=NOW + timedelta(seconds=cost)))
        connection.close()

    writers = [threading.Thread(target=write, args=(cost,)) for cost in (1, 2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()

    assert sum(result.created for result in results) == 200
    assert CostLine.objects.aggregate(total=Sum("cost_usd"))["total"] == itemized_in_rollup() == 400
    assert CostRollup.objects.filter(is_itemized=False).aggregate(total=Sum("line_count"))["total"] == 200
