"""An answer on its way to the socket, and Vapi's error envelope; knows no rows."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from http import HTTPStatus

from sessions_app.sandbox.conversations import dump

_HTML = b"<html><head><title>Bad gateway</title></head><body><h1>Bad gateway</h1><p>proxy-7</p></body></html>"


@dataclass(slots=True)
class Answer:
    status: int
    body: bytes
    content_type: str = "application/json; charset=utf-8"
    headers: dict[str, str] = field(default_factory=dict)


def json_answer(value: object, status: int = 200) -> Answer:
    return Answer(status, dump(value))


_AFTER_ROWS = b'],"metadata":'


def emptied(body: bytes) -> bytes:
    """A list without its rows."""
    _, mark, metadata = body.rpartition(_AFTER_ROWS)
    return b'{"results":[' + mark + metadata if mark else body


def miscounted(body: bytes, by: int) -> bytes:
    """A list whose totalItems is wrong."""
    rows, mark, metadata = body.rpartition(_AFTER_ROWS)
    counted = re.sub(
        rb'"totalItems": ?(\d+)', lambda found: b'"totalItems":%d' % (int(found[1]) + by), metadata
    )
    return rows + mark + counted


def error_answer(status: int, message: str | Sequence[str]) -> Answer:
    """Vapi's envelope: {"message": ..., "error": ..., "statusCode": ...}."""
    words = HTTPStatus(status).phrase if status in set(HTTPStatus) else "Error"
    return json_answer({"message": message, "error": words, "statusCode": status}, status)


def html_answer(status: int) -> Answer:
    return Answer(status, _HTML, "text/html")
