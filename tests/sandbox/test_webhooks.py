"""Server messages of the simulated Vapi: what is sent for which change, and how badly."""

from __future__ import annotations

import json

import pytest
from pytest_httpserver import HTTPServer

from sessions_app.sandbox.options import BadOption
from sessions_app.sandbox.webhooks import Target
from tests.sandbox_process import SandboxProcess


def test_each_change_is_told_in_order(sandbox: SandboxProcess, httpserver: HTTPServer) -> None:
    httpserver.expect_request("/told").respond_with_json({})
    sandbox.send_webhooks(httpserver.url_for("/told"), auth="secret:token=abc")

    session = sandbox.change("sessions", fields={"name": "One"})
    sandbox.ask(f"/session/{session['id']}", method="PATCH", body={"name": "Two"})
    sandbox.change("sessions", session["id"], delete=True)
    chat = sandbox.change("chats", fields={"input": "hello", "output": [], "cost": 1})
    sandbox.change("chats", chat["id"], {"name": "said by no message"})

    assert [message["type"] for message in sandbox.webhooks_sent()] == [
        "session.created", "session.updated", "session.deleted", "chat.created",
    ]  # fmt: skip
    first, second, _, fourth = [request for request, _ in httpserver.log]
    assert first.headers["X-Vapi-Secret"] == "abc"
    assert json.loads(first.data)["message"]["session"] == session
    assert json.loads(second.data)["message"]["session"]["name"] == "Two"
    assert json.loads(fourth.data)["message"]["chat"].keys().isdisjoint({"output", "cost", "costs"})


def test_messages_are_lost_and_doubled_and_told_by_some_alone(
    sandbox: SandboxProcess, httpserver: HTTPServer
) -> None:
    httpserver.expect_request("/told").respond_with_json({})
    url = httpserver.url_for("/told")
    sandbox.send_webhooks(url, faults="lost=1")
    sandbox.change("sessions")
    assert [message["status"] for message in sandbox.webhooks_sent()] == [None]

    sandbox.send_webhooks(url, faults="twice=1", assistants=["talks"])
    sandbox.change("sessions", fields={"assistantId": "talks"})
    sandbox.change("sessions", fields={"assistantId": "mute"})
    assert [message["status"] for message in sandbox.webhooks_sent()] == [None, 200, 200]
    assert httpserver.log[0][0].data == httpserver.log[1][0].data

    sandbox.send_webhooks("http://127.0.0.1:9/")
    sandbox.change("sessions")
    assert sandbox.webhooks_sent()[-1]["status"] == 0


@pytest.mark.parametrize(
    ("url", "auth", "faults"),
    [
        ("nowhere", "", ""),
        ("http://127.0.0.1/", "oauth2:x=y", ""),
        ("http://127.0.0.1/", "bearer:header=x", ""),
        ("http://127.0.0.1/", "hmac:key=x,algorithm=crc", ""),
        ("http://127.0.0.1/", "", "late=1"),
        ("http://127.0.0.1/", "", "lost=often"),
    ],
)
def test_what_cannot_be_used_is_said(url: str, auth: str, faults: str) -> None:
    with pytest.raises(BadOption):
        Target(url, auth, faults)


def test_conversations_take_place_and_are_told(sandbox: SandboxProcess, httpserver: HTTPServer) -> None:
    httpserver.expect_request("/told").respond_with_json({})
    sandbox.send_webhooks(httpserver.url_for("/told"))
    before = {row["id"] for row in sandbox.truth()}

    for _ in range(2):
        sandbox.control("POST", "conversations", {"count": 2})

    new = [row for row in sandbox.truth() if row["id"] not in before]
    assert [(row["status"], "artifact" in row) for row in new] == [("completed", True)] * 4
    told = [message["id"] for message in sandbox.webhooks_sent() if message["type"] == "session.created"]
    assert set(told) == {row["id"] for row in new}
