"""The alarm clock: tasks carry ids alone, a broker that is away is neither shown nor waited for."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest
from django.db import transaction

from sessions_app import tasks
from sessions_app.models import Edit
from tests.sandbox_process import SandboxProcess
from vapiadmin.celery import app

pytestmark = pytest.mark.django_db(transaction=True)

Queue = Callable[..., Edit]


@pytest.fixture
def messages(use_broker: Callable[[str], None]) -> Callable[[], list[Any]]:
    """messages() takes what was enqueued so far, as (task, arguments)."""
    use_broker("memory://")

    def take() -> list[Any]:
        found = []
        with app.connection_for_read() as broker, closing(broker.SimpleQueue("celery")) as waiting:
            while waiting.qsize():
                message = waiting.get(block=False)
                message.ack()
                found.append((message.headers["task"].rpartition(".")[2], message.payload[0]))
        return found

    take()
    return take


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_sweep_enqueues_each_due_edit_by_its_id(messages: Callable[[], list[Any]], queue: Queue) -> None:
    edit = queue(name="After")
    queue(status="completed")

    tasks.sweep()

    assert messages() == [("push_edit", [edit.pk])], "the second waits for the first"


def test_a_push_is_followed_by_the_sessions_next(
    sandbox: SandboxProcess, messages: Callable[[], list[Any]], queue: Queue
) -> None:
    first, second = queue(name="After"), queue(status="completed")

    tasks.push_edit(first.pk)
    assert messages() == [("push_edit", [second.pk])]
    tasks.push_edit(second.pk)
    tasks.push_edit(second.pk)

    assert messages() == []
    assert len(sandbox.journal("PATCH")) == 2


def test_a_task_for_an_edit_that_is_no_more(messages: Callable[[], list[Any]]) -> None:
    tasks.push_edit(4711)
    assert messages() == []


def test_nothing_is_enqueued_before_the_commit(messages: Callable[[], list[Any]], queue: Queue) -> None:
    with transaction.atomic():
        tasks.enqueue(tasks.push_edit, 1)
        assert messages() == []
    assert messages() == [("push_edit", [1])]

    with pytest.raises(RuntimeError), transaction.atomic():
        tasks.enqueue(tasks.push_edit, 2)
        raise RuntimeError
    assert messages() == []


@pytest.mark.parametrize(
    "url",
    [
        "redis+socket:///nowhere/redis.sock",
        "redis://127.0.0.1:9/0",
        "amqp://127.0.0.1:9//",
        "redis://127.0.0.1:{silent}/0",
        "amqp://127.0.0.1:{silent}//",
        "nonsense://",
    ],
)
def test_a_broker_that_is_away_costs_less_than_a_second(
    use_broker: Callable[[str], None], silent_port: int, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    use_broker(url.format(silent=silent_port))
    began = time.monotonic()

    tasks.enqueue(tasks.push_edit, 1)

    assert time.monotonic() - began < 1
    assert "the broker is away" in caplog.text
