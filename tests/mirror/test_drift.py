"""Drift: what is unknown is counted by name and shape, and never by value."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from sessions_app.mirror.sync import sync_organization
from sessions_app.mirror.writer import mirror_chats, mirror_sessions
from sessions_app.models import Organization, SchemaDrift
from sessions_app.models.drift import DriftKind
from sessions_app.vapi.payloads import SessionRecord, parse_chat
from sessions_app.vapi.schema import ROLES, SESSION
from sessions_app.vapi.unknown import NO_NAME, shown_name, unknown_in
from tests.mirror.conftest import NOON, ORG
from tests.sandbox_process import SandboxProcess

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 2, 1, tzinfo=UTC)
Make = Callable[..., SessionRecord]


def found() -> dict[str, tuple[str, Any, int]]:
    return {row.name: (row.kind, row.shape, row.count) for row in SchemaDrift.objects.all()}


def test_unknown_fields_are_listed_with_their_shape(organization: Organization, record: Make) -> None:
    mirror_sessions(
        organization,
        [
            record(
                "s1",
                newThing={"a": "secret words", "b": [1, 2.5], "c": None, "d": True},
                customer={"number": "+49 151 1", "loyalty": 7},
                artifact={"transcript": "said", "mood": ["glad", 1]},
                costs=[{"type": "model", "cost": 1, "gpuSeconds": 3}],
                messages=[{"role": "user", "content": "hi", "emotion": {"x": {"y": 1}}}],
            )
        ],
        asked_at=NOW,
    )

    assert found() == {
        "newThing": ("field", {"a": "string", "b": ["number"], "c": "null", "d": "boolean"}, 1),
        "customer.loyalty": ("field", "number", 1),
        "artifact.mood": ("field", ["string", "number"], 1),
        "costs[].gpuSeconds": ("field", "number", 1),
        "messages[].emotion": ("field", {"x": {"y": "number"}}, 1),
    }


def test_unknown_words_are_listed(organization: Organization, record: Make) -> None:
    row = record(
        "s1",
        status="archived",
        messages=[{"role": "narrator", "content": "x"}, {"role": "narrator", "content": "y"}],
        costs=[{"type": "gpu", "cost": 1}],
        artifact={"messages": [{"role": "bot", "message": "hello"}]},
    )
    mirror_sessions(organization, [row], asked_at=NOW)

    assert {name: (kind, count) for name, (kind, _, count) in found().items()} == {
        "archived": (DriftKind.STATUS, 1),
        "narrator": (DriftKind.ROLE, 2),
        "gpu": (DriftKind.COST_KIND, 1),
    }


@pytest.mark.parametrize("odd", [["user"], {"a": 1}, 5, None, True], ids=str)
def test_what_is_no_word_is_noted_without_it(odd: object, organization: Organization, record: Make) -> None:
    row = record("s1", status=odd, messages=[{"role": odd}], costs=[{"type": odd, "cost": 1}])
    mirror_sessions(organization, [row], asked_at=NOW)

    kinds = {DriftKind.ROLE, DriftKind.COST_KIND} | ({DriftKind.STATUS} if odd is not None else set())
    noted = set(SchemaDrift.objects.values_list("kind", "name", "count"))
    assert noted == {(kind, NO_NAME, 1) for kind in kinds}


@pytest.mark.parametrize(
    "entries",
    [
        [{"role": "user"}, {"role": "user", "odd": 1}],
        [{"role": "user"}, {"odd": 1, "role": "bot"}, {"role": "narrator"}],
        [{"role": "user"}, {"content": "without a role"}],
        [{"role": "user"}, "role", ["role"], 5, None, {"role": "narrator"}],
        {"role": "narrator"},
        "role",
        ["role", "content"],
        [{}],
        [],
    ],
    ids=str,
)
def test_lists_of_messages_are_looked_at_whatever_is_in_them(entries: object) -> None:
    found = unknown_in({"artifact": {"messages": entries}}, SESSION)

    messages = [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []
    roles = [entry.get("role") for entry in messages if entry.get("role") not in ROLES]
    expected = {("role", shown_name(role)) for role in roles}
    expected |= {("field", "artifact.messages[].odd") for entry in messages if "odd" in entry}
    assert {(each.kind, each.name) for each in found} == expected


def test_it_is_counted_on_and_the_first_time_is_kept(organization: Organization, record: Make) -> None:
    mirror_sessions(organization, [record("s1", odd=1), record("s2", odd="x")], asked_at=NOW)
    first = SchemaDrift.objects.get()
    mirror_sessions(organization, [record("s3", odd=1)], asked_at=NOW)
    # Unchanged records are not looked at again.
    mirror_sessions(organization, [record("s3", odd=1)], asked_at=NOW)

    again = SchemaDrift.objects.get()
    assert (first.count, again.count) == (2, 3)
    assert again.first_seen_at == first.first_seen_at < again.last_seen_at


def test_no_value_is_kept(organization: Organization, record: Make) -> None:
    numbers = {f"+49151{number}": "Ann" for number in range(3)}
    many = {f"name{chr(97 + number % 26)}{number}": "Ann" for number in range(60)}
    row = record(
        "s1",
        byNumber=numbers,
        byName=many,
        status="Ann Miller called at 5",
        messages=[{"role": "ann@shop.test", "content": "hi", "my number is 5550100": 1}],
    )
    mirror_sessions(organization, [row], asked_at=NOW)

    kept = json.dumps(found())
    assert not any(word in kept for word in ("Ann", "ann", "49151", "5550100", "namea0"))
    assert found()["byNumber"][1] == {NO_NAME: "string"}
    assert found()["byName"][1] == {"*": "string"}


def test_chats_are_looked_at_by_their_own_schema(organization: Organization) -> None:
    chat: dict[str, object] = {
        "id": "c1",
        "orgId": ORG,
        "createdAt": NOON.isoformat(),
        "updatedAt": NOON.isoformat(),
    }
    chat |= {"input": "hello", "status": "active", "costs": [{"type": "session", "cost": 1}]}
    mirror_chats(organization, [parse_chat(chat)], asked_at=NOW)

    assert {(name, row[0]) for name, row in found().items()} == {
        ("status", "field"),
        ("session", "cost_kind"),
    }


def test_each_organization_and_stream_counts_for_itself(
    organization: Organization, other_organization: Organization, record: Make
) -> None:
    mirror_sessions(organization, [record("s1", odd=1)], asked_at=NOW)
    mirror_sessions(other_organization, [record("s2", odd=1)], asked_at=NOW)
    assert SchemaDrift.objects.count() == 2


def test_what_is_documented_is_no_drift(organization: Organization, sandbox: SandboxProcess) -> None:
    """The sandbox speaks as the document says, but for what it was told to add."""
    sync_organization(organization)
    names = set(found())
    sandbox.change("sessions", fields={"odd": 1})
    sync_organization(organization)

    assert set(found()) - names == {"odd"}
    assert names <= SANDBOX_EXTRAS


# What the simulated Vapi sends beyond the document, as the real one does.
SANDBOX_EXTRAS = {"metadata", "supervisor"}


def test_a_page_costs_one_statement_more(organization: Organization, record: Make) -> None:
    def statements(prefix: str, **fields: Any) -> int:
        rows = [record(f"{prefix}{number}", **fields) for number in range(30)]
        with CaptureQueriesContext(connection) as queries:
            mirror_sessions(organization, rows, asked_at=NOW + timedelta(1))
        return len(queries)

    plain = statements("a")
    assert statements("b", odd=1) == plain + 1
    assert statements("c", odd=2) == plain + 1
