"""Channels, and a receiver of notices that keeps what reached it."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db.models.functions import Now
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from sessions_app.models import Channel, Delivery, Organization
from sessions_app.models.notices import Topic, make_secret
from sessions_app.notices.delivering import deliver, due_deliveries


class Receiver:
    """Answers with `status` and keeps what came."""

    def __init__(self, server: HTTPServer) -> None:
        self.server, self.status, self.headers = server, 200, dict[str, str]()
        self.requests: list[Request] = []
        self.url = server.url_for("/hook/very-secret")
        server.expect_request("/hook/very-secret").respond_with_handler(self._answer)

    def _answer(self, request: Request) -> Response:
        request.get_data()
        self.requests.append(request)
        return Response("words of the receiver", self.status, self.headers)

    @property
    def bodies(self) -> list[Any]:
        return [json.loads(request.get_data()) for request in self.requests]


@pytest.fixture
def receiver(httpserver: HTTPServer) -> Receiver:
    return Receiver(httpserver)


@pytest.fixture
def make_channel(organization: Organization, receiver: Receiver) -> Callable[..., Channel]:
    """make_channel(kind="slack", owner=editor): told of everything unless `topics` are given."""

    def make(
        kind: str = "webhook", *, owner: User | None = None, topics: list[str] | None = None, **columns: Any
    ) -> Channel:
        columns.setdefault("address", "team@example.com" if kind == "email" else receiver.url)
        return Channel.objects.create(
            name=columns.pop("name", f"By {kind}"),
            kind=kind,
            owner=owner,
            topics=Topic.values if topics is None else topics,
            secret=make_secret() if kind == "webhook" else "",
            **columns,
        )

    return make


@pytest.fixture
def deliver_all() -> Callable[[], list[str]]:
    """Try whatever is due until nothing is, as workers do. Returns the states."""

    def work() -> list[str]:
        states = []
        while due := due_deliveries():
            for delivery_id in due:
                delivery = deliver(delivery_id)
                assert delivery is not None
                states.append(delivery.state)
        return states

    return work


@pytest.fixture
def let_time_pass() -> Callable[[], None]:
    """Whatever waits, rests or is claimed waits no more."""

    def make_due() -> None:
        past = Now() - timedelta(seconds=1)
        Delivery.objects.exclude(next_attempt_at=None).update(next_attempt_at=past)
        Delivery.objects.exclude(claimed_until=None).update(claimed_until=past)
        Channel.objects.exclude(rests_until=None).update(rests_until=past)

    return make_due
