"""History: what changed, who brought it, and past states made from it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from sessions_app.mirror.differences import find_differences, undo_differences
from sessions_app.mirror.history import change_fields, read_changes, state_at
from sessions_app.mirror.tables import SESSIONS
from sessions_app.mirror.writer import mirror_hint, mirror_sessions
from sessions_app.models import FieldChange, Organization, Session, SessionPayload
from sessions_app.models.history import ChangeSource
from sessions_app.vapi.json import dump_payload, parse_json
from sessions_app.vapi.payloads import SessionRecord, parse_session
from tests.mirror.conftest import NOON

NOW = datetime(2026, 2, 1, tzinfo=UTC)
Make = Callable[..., SessionRecord]


def said(*words: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": word} for word in words]


def at(minutes: float) -> str:
    return (NOON + timedelta(minutes=minutes)).isoformat()


def changes() -> list[Any]:
    return [change_fields(each) for each in read_changes(FieldChange.objects.order_by("pk"))]


def write(organization: Organization, record: SessionRecord, **options: Any) -> None:
    mirror_sessions(organization, [record], asked_at=options.pop("asked_at", NOW), **options)


@pytest.mark.django_db
def test_a_newer_state_leaves_what_changed(organization: Organization, record: Make) -> None:
    write(organization, record("s1", name="Before", messages=said("hello")))
    assert not FieldChange.objects.exists()

    write(organization, record("s1", name="After", cost=0.1, messages=said("hello", "more"), updatedAt=at(5)))

    change = FieldChange.objects.get()
    assert (change.session_id, change.source, change.edit_id) == ("s1", ChangeSource.SYNC, None)
    assert change.updated_at == NOON + timedelta(minutes=5)
    assert changes() == [
        {
            "name": ["Before", "After"],
            "cost": [None, Decimal("0.1")],
            "messages": {"from": 1, "old": [], "new": said("more")},
            "updatedAt": [NOON.isoformat(), at(5)],
        }
    ]


@pytest.mark.django_db
def test_who_brought_it(organization: Organization, record: Make) -> None:
    write(organization, record("s1"))
    write(organization, record("s1", name="a", updatedAt=at(1)), source=ChangeSource.REFETCH)
    mirror_hint(SESSIONS, organization, record("s1", name="b", updatedAt=at(2)))

    sources = FieldChange.objects.order_by("pk").values_list("source", flat=True)
    assert list(sources) == [ChangeSource.REFETCH, ChangeSource.WEBHOOK]


@pytest.mark.django_db
def test_the_same_again_and_an_older_state_leave_nothing(organization: Organization, record: Make) -> None:
    write(organization, record("s1", name="a", updatedAt=at(5)))
    write(organization, record("s1", name="a", updatedAt=at(5)), deep=True)
    write(organization, record("s1", name="old", updatedAt=at(1)))
    # Missing and here again, with nothing new.
    Session.objects.update(missing_since=NOW)
    write(organization, record("s1", name="a", updatedAt=at(5)))

    assert not FieldChange.objects.exists()


@pytest.mark.django_db
def test_an_address_signed_anew_is_no_change(organization: Organization, record: Make) -> None:
    def artifact(signature: str, words: str) -> dict[str, str]:
        return {
            "transcript": words,
            "recordingUrl": f"https://files.test/a?Signature={signature}",
            "presignedMonoUrl": signature,
        }

    write(organization, record("s1", artifact=artifact("one", "hello")))
    write(organization, record("s1", status="completed", artifact=artifact("two", "hello")))
    write(organization, record("s1", status="active", artifact=artifact("three", "hello more")))

    assert changes() == [
        {"status": [None, "completed"]},
        {"status": ["completed", "active"], "artifact": {"fields": {"transcript": ["hello", "hello more"]}}},
    ]


@pytest.mark.django_db
def test_every_past_state_is_found_again(organization: Organization, record: Make) -> None:
    states = [
        record("s1", name="a", messages=said("1"), cost="0.1"),
        record("s1", messages=said("1", "2", "3"), updatedAt=at(10), customer={"name": "Ann"}),
        record("s1", messages=said("1", "x", "3"), updatedAt=at(20), customer={"name": "Bea"}, cost=1e-13),
        record("s1", messages=said("3"), status="completed", updatedAt=at(30), costs=[{"cost": 1}]),
        record("s1", updatedAt=at(40), name="z", artifact={"nodes": [1]}, metadata={"a.b": {"c": None}}),
    ]
    for state in states:
        write(organization, state)
    session = Session.objects.get()

    for number, state in enumerate(states):
        for minutes in (0, 9.999):
            found = state_at(session, NOON + timedelta(minutes=10 * number + minutes))
            assert found is not None
            assert {k: v for k, v in found.payload.items() if v} == {
                k: v for k, v in state.payload.items() if v
            }
            assert (found.known_from, found.is_cut) == (state.updated_at, False)


@pytest.mark.django_db
def test_a_change_without_a_newer_time_happened_when_it_was_seen(
    organization: Organization, record: Make
) -> None:
    write(organization, record("s1", name="a"))
    write(organization, record("s1", name="b"))
    FieldChange.objects.update(seen_at=NOON + timedelta(hours=1))
    session = Session.objects.get()

    names = [state_at(session, NOON + timedelta(hours=hours)).payload["name"] for hours in (0.5, 1.5)]  # type: ignore[union-attr]  # there is one

    assert names == ["a", "b"]


@pytest.mark.django_db
def test_a_cut_history_says_so(organization: Organization, record: Make) -> None:
    write(organization, record("s1", name="a"))
    write(organization, record("s1", name="b", updatedAt=at(10)))
    write(organization, record("s1", name="c", updatedAt=at(20)))
    FieldChange.objects.order_by("pk")[:1].get().delete()

    found = state_at(Session.objects.get(), NOON + timedelta(minutes=5))

    assert found is not None
    assert (found.payload["name"], found.is_cut) == ("b", True)
    assert found.known_from == NOON + timedelta(minutes=10)


@pytest.mark.django_db
def test_blanks_keep_the_words_and_tell_the_rest(organization: Organization, record: Make) -> None:
    write(organization, record("s1", status="active", artifact={"transcript": "words"}))
    write(
        organization,
        record("s1", status="completed", messages=said(""), artifact={"transcript": ""}, updatedAt=at(5)),
    )

    assert changes() == [{"status": ["active", "completed"], "updatedAt": [NOON.isoformat(), at(5)]}]
    payload = parse_json(SessionPayload.objects.get().payload_json)
    assert (payload["status"], payload["messages"]) == ("completed", said("words of s1"))
    assert payload["artifact"] == {"transcript": "words"}


@pytest.mark.django_db
def test_a_number_that_no_database_holds(organization: Organization, record: Make) -> None:
    write(organization, record("s1"))
    endless = record("s1", name="a", updatedAt=at(5)).payload | parse_json('{"odd": {"n": [1e99999]}}')
    write(organization, parse_session(endless))

    assert changes()[0]["odd"] == [None, {"n": ["1E+99999"]}]


@pytest.mark.django_db
def test_a_page_costs_the_same_number_of_statements(organization: Organization, record: Make) -> None:
    def statements(count: int, minutes: int) -> int:
        rows = [record(f"s{number}", name=str(minutes), updatedAt=at(minutes)) for number in range(count)]
        with CaptureQueriesContext(
            connection,
        ) as queries:
            mirror_sessions(organization, rows, asked_at=NOW)
        return len(queries)

    statements(1, 0), statements(40, 1)
    assert statements(1, 2) == statements(40, 3)
    assert FieldChange.objects.count() == 1 + 1 + 40


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"a": 1}, {"b": 2}),
        ({"a": [1, 2, 3, 4]}, {"a": [1, 9, 4]}),
        ({"a": [1, 1, 1]}, {"a": [1, 1]}),
        ({"a": "text"}, {"a": ["list"]}),
        ({"a": {"b": {"c": [1]}}}, {"a": {"b": {"d": 1}}}),
        ({"a": {"b": 1}}, {"a": 5}),
        ({"a": [{"x": 1}, {"x": 2}]}, {"a": []}),
    ],
)
def test_a_difference_can_be_undone(old: dict[str, Any], new: dict[str, Any]) -> None:
    assert undo_differences(new, parse_json(dump_payload(find_differences(old, new)))) == old
