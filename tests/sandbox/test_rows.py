"""What is made of the seed: the same for the same seed, in order, with every oddity that Vapi has."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from sessions_app.sandbox.assistants import MARK
from sessions_app.sandbox.clock import Clock
from sessions_app.sandbox.listing import Listing
from sessions_app.sandbox.options import Options
from sessions_app.sandbox.organizations import Organization, make_organizations

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)


def organization(
    sessions: int = 40, seed: str = "tests", key: str = "sandbox-key", chats: int = 2
) -> Organization:
    options = Options(sessions=sessions, chats=chats, seed=seed, now=NOW)
    return make_organizations(options, Clock(NOW))[key]


def rows(of: Organization, kind: str = "session") -> list[dict[str, Any]]:
    found, _ = of.stream(kind).page(Listing(limit=10_000, descending=False))
    return [json.loads(row) for row in found]


@pytest.fixture(scope="module")
def sessions() -> list[dict[str, Any]]:
    return rows(organization())


@pytest.fixture(scope="module")
def chats() -> list[dict[str, Any]]:
    return rows(organization(), "chat")


def test_the_same_seed_makes_the_same_rows(sessions: list[dict[str, Any]]) -> None:
    assert rows(organization()) == sessions
    assert rows(organization(seed="another"))[0]["id"] != sessions[0]["id"]


def test_each_key_is_an_organization_of_its_own(sessions: list[dict[str, Any]]) -> None:
    others = rows(organization(key="sandbox-key-2"))
    assert not {row["id"] for row in others} & {row["id"] for row in sessions}
    assert {row["orgId"] for row in others}.isdisjoint(row["orgId"] for row in sessions)


@pytest.mark.parametrize(("kind", "chats"), [("session", 2), ("chat", 2), ("chat", 3)])
def test_a_million_rows_are_found_by_arithmetic(kind: str, chats: int) -> None:
    found = organization(1_000_000, chats=chats).stream(kind).rows
    for index in (0, 1, 31, 4711, found.size // 2, found.size - 1):
        assert found.index_of(found.id_of(index)) == index
        assert found.created_us(index) <= found.created_us(min(index + 1, found.size - 1))
        created = found.created_us(index)
        assert found.index_at(created) <= index < found.index_at(created + 1)
        assert found.created_us(index) <= found.updated_us(index) <= created + found.max_lag_us


def test_ids_of_others_are_unknown() -> None:
    stranger = organization(key="sandbox-key-2").sessions.rows.id_of(3)
    assert organization().sessions.rows.index_of(stranger) is None
    assert organization(3).sessions.rows.index_of(organization(4).sessions.rows.id_of(3)) is None
    assert organization().sessions.rows.index_of("../assistant") is None


@pytest.mark.parametrize("each", [2, 3])
def test_there_are_as_many_chats_as_asked_for(each: int) -> None:
    assert len(rows(organization(40, chats=each), "chat")) == 40 * each


@pytest.mark.parametrize("each", [2, 3])
@pytest.mark.parametrize("size", [0, 1, 2, 3, 5, 7, 40])
def test_chats_follow_their_sessions(size: int, each: int) -> None:
    of = organization(size, chats=each)
    ids, created = {row["id"] for row in rows(of)}, {row["id"]: row["createdAt"] for row in rows(of)}
    chats = rows(of, "chat")
    assert [row["createdAt"] for row in chats] == sorted(row["createdAt"] for row in chats)
    for row in chats:
        assert row.get("sessionId", next(iter(ids))) in ids
        assert row["createdAt"] >= created.get(row.get("sessionId"), "")
        assert not ("sessionId" in row and "previousChatId" in row)


def test_what_is_remembered_is_forgotten_when_it_changes() -> None:
    options = Options(sessions=8, seed="tests", now=NOW, remember=100)
    stream = make_organizations(options, Clock(NOW))["sandbox-key"].sessions
    first = stream.rows.id_of(0)
    before = stream.get(first)
    assert before == organization(8).sessions.get(first) == stream.get(first)

    stream.update(first, {"name": "changed"})

    assert json.loads(stream.get(first) or b"{}")["name"] == "changed"
    found, _ = stream.page(Listing(limit=1, descending=False))
    assert json.loads(found[0])["name"] == "changed"


@pytest.mark.parametrize("each", [2, 3])
def test_free_chats_form_chains(each: int) -> None:
    chats = rows(organization(chats=each), "chat")
    known = {row["id"]: row for row in chats}
    linked = [row for row in chats if "previousChatId" in row]
    assert linked
    assert all("sessionId" not in known[row["previousChatId"]] for row in linked)


def test_every_kind_of_cost_is_there(sessions: list[dict[str, Any]], chats: list[dict[str, Any]]) -> None:
    lines = [line for row in sessions for line in row.get("costs", [])]
    assert {line["type"] for line in lines} == {"model", "analysis", "session"}
    assert {line.get("analysisType") for line in lines if line["type"] == "analysis"} == {
        "summary", "structuredData", "successEvaluation", "structuredOutput"
    }  # fmt: skip
    assert any(line.get("structuredOutputBreakdown") for line in lines)
    assert {line["type"] for row in chats for line in row["costs"]} == {"model", "chat"}
    assert any(line["cost"] == 1e-07 for line in lines)


def test_some_costs_do_not_add_up(sessions: list[dict[str, Any]]) -> None:
    def differs(row: dict[str, Any]) -> bool:
        return bool(abs(row["cost"] - sum(line["cost"] for line in row["costs"])) > 0.001)

    both = [row for row in sessions if "cost" in row and "costs" in row]
    assert [row["metadata"]["sandbox"] for row in both if differs(row)] == [
        "cost differs from the sum of costs"
    ]
    assert any("cost" in row and "costs" not in row for row in sessions)
    assert any("cost" not in row and "costs" in row for row in sessions)
    assert any("cost" not in row and "costs" not in row for row in sessions)


def test_every_shape_of_messages_is_there(sessions: list[dict[str, Any]]) -> None:
    turns = [row["messages"] for row in sessions]
    assert [] in turns
    assert any(t and all(m.get("content") == "" for m in t) for t in turns), "blank content"
    assert any("secondsFromStart" in m for t in turns for m in t), "call style"
    assert any(m["role"] == "supervisor" for t in turns for m in t), "an unknown role"
    assert any(isinstance(m.get("content"), list) for t in turns for m in t), "content in parts"
    assert any("error" in str(m.get("content")) for t in turns for m in t if m["role"] == "tool"), (
        "a failed tool"
    )
    assert any(len(t) == 2 for t in turns)
    lengths = [len(row["messages"]) for row in rows(organization(400))]
    assert max(lengths) > 60


def test_customers_come_in_every_way(sessions: list[dict[str, Any]]) -> None:
    found = {name for row in sessions for name in row.get("customer", {})}
    assert found == {"number", "name", "email", "externalId", "sipUri"}
    assert any("customer" not in row for row in sessions)
    assert all(len(value) <= 40 for row in sessions for value in row.get("customer", {}).values())


def test_completed_sessions_have_an_artifact(sessions: list[dict[str, Any]]) -> None:
    assert {row["status"] for row in sessions} == {"active", "completed"}
    assert all(("artifact" in row) == (row["status"] == "completed") for row in sessions)


def test_secrets_are_marked_and_deep(sessions: list[dict[str, Any]]) -> None:
    of = organization()
    inline = [row for row in sessions if "assistant" in row or "assistantOverrides" in row]
    assert len(inline) == 2
    assert all(MARK in json.dumps(row.get("assistant", row.get("assistantOverrides"))) for row in inline)
    for row in (*of.catalogue.assistants, *of.catalogue.squads, *of.catalogue.phone_numbers):
        assert MARK in json.dumps(row)


def test_large_sandboxes_are_not_kept_in_memory() -> None:
    of = organization(1_000_000)
    page, total = of.sessions.page(Listing(limit=5, page=100_000))
    assert total == 1_000_000
    assert len(page) == 5
    assert of.chats.page(Listing(limit=1))[1] == 2_000_000
