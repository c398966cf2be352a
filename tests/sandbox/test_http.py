"""The simulated Vapi as a client meets it, over its socket."""

import json
import re
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import Any

import pytest
import requests

from sessions_app.sandbox.assistants import MARK
from tests.sandbox_process import SandboxProcess

Ask = Callable[..., requests.Response]


@pytest.fixture
def ask(sandbox: SandboxProcess) -> Ask:
    def ask(method: str, path: str, *, key: str = sandbox.key, **options: Any) -> requests.Response:
        headers = {"Authorization": f"Bearer {key}"}
        return requests.request(method, sandbox.url + path, headers=headers, timeout=10, **options)

    return ask


def newest(ask: Ask) -> dict[str, Any]:
    found: dict[str, Any] = ask("GET", "/session?limit=1").json()["results"][0]
    return found


def test_lists_are_pages_with_metadata(ask: Ask) -> None:
    answer = ask("GET", "/session?limit=15&page=2&sortOrder=ASC&createdAtGe=2026-01-01T00:00:00Z")
    assert len(answer.json()["results"]) == 15
    assert answer.json()["metadata"] == {
        "itemsPerPage": 15,
        "totalItems": 40,
        "currentPage": 2,
        "totalPages": 3,
        "hasNextPage": True,
        "sortOrder": "ASC",
        "itemsBeyondRetention": False,
        "createdAtGe": "2026-01-01T00:00:00.000Z",
    }
    assert parsedate_to_datetime(answer.headers["Date"]).year == 2026


def test_a_patch_changes_what_it_names_and_moves_updated_at(ask: Ask) -> None:
    before = newest(ask)
    messages = [*before["messages"], {"role": "assistant", "content": "Corrected."}]
    patch = {"name": "Corrected", "status": "completed", "expirationSeconds": 60, "messages": messages}
    after = ask("PATCH", f"/session/{before['id']}", json=patch).json()
    assert after == before | patch | {"updatedAt": after["updatedAt"]}
    again = ask("PATCH", f"/session/{before['id']}", json={"name": "Again"}).json()
    assert before["updatedAt"] < after["updatedAt"] < again["updatedAt"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", after["updatedAt"])
    assert ask("GET", f"/session/{before['id']}").json()["name"] == "Again"
    changed = ask("GET", f"/session?updatedAtGe={again['updatedAt']}").json()["results"]
    assert [row["id"] for row in changed] == [before["id"]]


@pytest.mark.parametrize(
    ("patch", "line"),
    [
        ({"cost": 1}, "property cost should not exist"),
        ({"name": "x" * 41}, "name must be shorter than or equal to 40 characters"),
        ({"name": 7}, "name must be a string"),
        ({"status": "done"}, "status must be one of the following values: active, completed"),
        ({"expirationSeconds": 59}, "expirationSeconds must not be less than 60"),
        ({"expirationSeconds": 2592001}, "expirationSeconds must not be greater than 2592000"),
        (
            {"expirationSeconds": "60"},
            "expirationSeconds must be a number conforming to the specified constraints",
        ),
        ({"messages": "hi"}, "messages must be an array"),
        ({"messages": ["hi"]}, "messages.0 must be an object"),
        ({"messages": [{"content": "hi"}]}, "messages.0.role must be a string"),
        ({"messages": [{"role": "user"}]}, "messages.0.content must be a string"),
        ({"messages": [{"role": "tool", "content": ""}]}, "messages.0.tool_call_id must be a string"),
        (
            {"messages": [{"role": "assistant", "tool_calls": [{"function": {"name": "x"}}]}]},
            "messages.0.tool_calls.0.function.arguments must be a string",
        ),
        (
            {"messages": [{"role": "bot", "message": "hi", "time": 1}]},
            "messages.0.secondsFromStart must be a number conforming to the specified constraints",
        ),
    ],
)
def test_what_may_not_be_patched_is_refused_in_vapis_words(ask: Ask, patch: object, line: str) -> None:
    session = newest(ask)
    answer = ask("PATCH", f"/session/{session['id']}", json=patch)
    assert answer.status_code == 400
    assert answer.json()["statusCode"] == 400
    assert answer.json()["error"] == "Bad Request"
    assert line in answer.json()["message"]
    assert newest(ask)["updatedAt"] == session["updatedAt"]


@pytest.mark.parametrize(
    ("query", "line"),
    [
        ("limit=1001", "limit must not be greater than 1000"),
        ("limit=-1", "limit must not be less than 0"),
        ("limit=many", "limit must be a number conforming to the specified constraints"),
        ("page=0", "page must not be less than 1"),
        ("sortOrder=UP", "sortOrder must be one of the following values: ASC, DESC"),
        ("sortBy=name", "sortBy must be one of the following values: createdAt, duration, cost"),
        ("createdAtGe=yesterday", "createdAtGe must be a valid ISO 8601 date string"),
        ("updatedAtLt=2026-01-31T12:00:00+00:00", "updatedAtLt must be a valid ISO 8601 date string"),
        ("number=12", "number must be longer than or equal to 3 characters"),
        ("colour=red", "property colour should not exist"),
    ],
)
def test_bad_parameters_are_refused(ask: Ask, query: str, line: str) -> None:
    answer = ask("GET", f"/session?{query}")
    assert answer.status_code == 400
    assert answer.json()["message"] == [line] or line in answer.json()["message"]


def test_an_unknown_key_is_401(ask: Ask) -> None:
    answer = ask("GET", "/session", key="stranger")
    assert (answer.status_code, answer.json()["error"]) == (401, "Unauthorized")


@pytest.mark.parametrize(
    "path", ["/session/nobody", "/chat/nobody", "/assistant/nobody", "/elsewhere", "/session/a/b"]
)
def test_unknown_ids_and_paths_are_404(ask: Ask, path: str) -> None:
    answer = ask("GET", path)
    assert (answer.status_code, answer.json()["statusCode"]) == (404, 404)


def test_another_organizations_rows_are_unknown(ask: Ask, sandbox: SandboxProcess) -> None:
    stranger = sandbox.truth(key=sandbox.keys[1])[0]
    assert ask("GET", f"/session/{stranger['id']}").status_code == 404
    assert ask("GET", f"/session/{stranger['id']}", key=sandbox.keys[1]).status_code == 200


def test_sessions_are_created_and_deleted(ask: Ask) -> None:
    made = ask("POST", "/session", json={"name": "New", "customer": {"number": "+14155550123"}})
    assert (made.status_code, made.json()["status"]) == (201, "active")
    assert newest(ask)["id"] == made.json()["id"]
    found = ask("GET", "/session?number=%2B14155550123").json()["results"]
    assert [row["id"] for row in found if row["name"] == "New"] == [made.json()["id"]]
    assert ask("DELETE", f"/session/{made.json()['id']}").json()["name"] == "New"
    assert ask("GET", f"/session/{made.json()['id']}").status_code == 404
    assert ask("POST", "/session", json={"colour": "red"}).status_code == 400


def test_chats_can_be_read_and_deleted_but_not_patched(ask: Ask) -> None:
    chat = ask("GET", "/chat?limit=1").json()["results"][0]
    assert ask("GET", f"/chat/{chat['id']}").json() == chat
    assert ask("PATCH", f"/chat/{chat['id']}", json={"name": "x"}).status_code == 404
    assert ask("DELETE", f"/chat/{chat['id']}").json() == chat
    assert ask("GET", "/chat").json()["metadata"]["totalItems"] == 79


@pytest.mark.parametrize(("path", "count"), [("/assistant", 5), ("/squad", 2), ("/phone-number", 3)])
def test_names_are_bare_arrays_with_bounds(ask: Ask, path: str, count: int) -> None:
    rows = ask("GET", f"{path}?limit=1000").json()
    assert len(rows) == count
    assert MARK in json.dumps(rows)
    older = ask("GET", f"{path}?limit=1000&createdAtLt={rows[0]['createdAt']}").json()
    assert older == rows[1:]
    assert ask("GET", f"{path}?limit=1").json() == rows[:1]
    assert ask("GET", f"{path}?page=2").status_code == 400


def test_artifacts_are_signed_anew_in_every_answer(ask: Ask, sandbox: SandboxProcess) -> None:
    id_ = next(row["id"] for row in sandbox.truth() if "artifact" in row)
    first, second = (ask("GET", f"/session/{id_}").json() for _ in range(2))
    assert first["artifact"]["presignedMonoUrl"] != second["artifact"]["presignedMonoUrl"]
    assert MARK in first["artifact"]["presignedMonoUrl"]
    assert first | {"artifact": None} == second | {"artifact": None}


def test_the_journal_tells_what_was_asked(ask: Ask, sandbox: SandboxProcess) -> None:
    id_ = newest(ask)["id"]
    ask("PATCH", f"/session/{id_}", json={"name": "Told"})
    ask("GET", "/session", key="stranger")
    listed, patched, refused = sandbox.journal()
    assert (listed["method"], listed["path"], listed["query"], listed["status"]) == (
        "GET",
        "/session",
        "limit=1",
        200,
    )
    assert (patched["path"], patched["body"]) == (f"/session/{id_}", {"name": "Told"})
    assert patched["organization"] == sandbox.truth()[0]["orgId"]
    assert (refused["status"], refused["organization"]) == (401, "")
    assert [entry["number"] for entry in sandbox.journal("PATCH")] == [2]


def test_rows_are_changed_behind_the_clients_back(ask: Ask, sandbox: SandboxProcess) -> None:
    first = sandbox.truth()[0]
    sandbox.change(id_=first["id"], fields={"name": "Quiet"}, touch=False)
    quiet = ask("GET", f"/session/{first['id']}").json()
    assert (quiet["name"], quiet["updatedAt"]) == ("Quiet", first["updatedAt"])
    odd = {
        "id": "odd/../id",
        "createdAt": "2026-01-30T10:00:00.123456+02:00",
        "cost": "0.1",
        "name": "\ud800\x00",
    }
    sandbox.change(fields=odd)
    found = ask(
        "GET", "/session?createdAtGe=2026-01-30T08:00:00.123456Z&createdAtLt=2026-01-30T08:00:00.123457Z"
    )
    assert [{name: row[name] for name in odd} for row in found.json()["results"]] == [odd]
    assert ask("GET", "/session/odd%2F..%2Fid").status_code == 200
    sandbox.change(id_=first["id"], delete=True)
    assert ask("GET", f"/session/{first['id']}").status_code == 404
    sandbox.change_many("sessions", [{"fields": {"createdAt": "2026-01-30T00:00:00Z"}}] * 1500)
    tie = ask(
        "GET", "/session?createdAtGe=2026-01-30T00:00:00Z&createdAtLe=2026-01-30T00:00:00Z&limit=1000&page=2"
    )
    assert (tie.json()["metadata"]["totalItems"], len(tie.json()["results"])) == (1500, 500)
    sandbox.reset()
    assert sandbox.truth()[0]["name"] == first["name"]
    assert sandbox.journal() == []


def test_its_clock_can_be_wrong(ask: Ask, sandbox: SandboxProcess) -> None:
    sandbox.control("POST", "clock", {"ahead_seconds": 600})
    answer = ask("PATCH", f"/session/{newest(ask)['id']}", json={"name": "Later"})
    assert answer.json()["updatedAt"] >= "2026-01-31T12:10:00"
    assert "12:1" in answer.headers["Date"]


def test_retention_is_told(ask: Ask, sandbox: SandboxProcess) -> None:
    sandbox.control("POST", "retention", {"itemsBeyondRetention": True})
    assert ask("GET", "/session").json()["metadata"]["itemsBeyondRetention"] is True
