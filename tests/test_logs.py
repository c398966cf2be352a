"""No row, no message of an error and no argument of a task stands in a log line."""

from __future__ import annotations

import json
import logging
import sys
from typing import Any

import pytest
from celery.app.trace import build_tracer
from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory
from structlog.processors import JSONRenderer
from structlog.stdlib import ProcessorFormatter

from sessions_app.logs import LineFormatter
from sessions_app.request_ids import RequestIdMiddleware
from vapiadmin import celery_app

WORDS = "words of a customer"


def logged(record: logging.LogRecord) -> dict[str, Any]:
    """Return the line that our handler would write."""
    formatter = LineFormatter(processors=[ProcessorFormatter.remove_processors_meta, JSONRenderer()])
    line: dict[str, Any] = json.loads(formatter.format(record))
    return line


@pytest.mark.django_db
def test_a_database_error_is_named_without_its_row() -> None:
    try:
        with connection.cursor() as cursor:
            cursor.execute("INSERT INTO sessions_app_organization (slug) VALUES (%s)", [WORDS])
    except DatabaseError:
        record = logging.getLogger("x").makeRecord("x", logging.ERROR, "", 1, "failed", (), sys.exc_info())

    line = logged(record)

    assert WORDS not in json.dumps(line)
    assert line["error"].startswith("IntegrityError")
    if connection.vendor == "postgresql":
        assert "23502" in line["error"]


def test_a_failed_task_is_logged_without_its_error_message(caplog: pytest.LogCaptureFixture) -> None:
    @celery_app.task(name="tests.fails")
    def fails() -> None:
        raise ValueError(WORDS)

    build_tracer("tests.fails", fails, app=celery_app, eager=False)("id", [], {}, {"id": "id"})

    [record] = [record for record in caplog.records if record.name == "celery.app.trace"]
    line = logged(record)
    assert WORDS not in json.dumps(line)
    assert line["event"].startswith("Task tests.fails raised unexpected")
    assert line["error"].startswith("ValueError at ")


def test_only_named_extras_are_kept() -> None:
    record = logging.getLogger("x").makeRecord(
        "x", logging.INFO, "", 1, "done", (), None, extra={"run": 7, "request": WORDS}
    )

    assert logged(record)["run"] == 7
    assert WORDS not in json.dumps(logged(record))


def test_a_line_names_the_request_in_which_it_was_written() -> None:
    record = logging.makeLogRecord({"msg": "noticed", "levelno": logging.ERROR, "levelname": "ERROR"})
    lines = []

    def answer(request: HttpRequest) -> HttpResponse:
        lines.append(logged(record))
        return HttpResponse()

    answered = RequestIdMiddleware(answer)(RequestFactory().get("/"))

    assert [line["request_id"] for line in lines] == [answered["X-Request-ID"]]
    assert "request_id" not in logged(record)
