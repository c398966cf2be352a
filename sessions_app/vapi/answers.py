"""Owns what one HTTP answer of Vapi means: parsed, redacted, made safe, or sorted into an error.

Sends nothing and knows no rows.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, NoReturn

from sessions_app.vapi.errors import Gone, Refused, Unavailable, Unread
from sessions_app.vapi.heads import read_head, read_page_heads
from sessions_app.vapi.json import JsonObject, parse_json
from sessions_app.vapi.redaction import redact
from sessions_app.vapi.text import make_safe, may_need_safety
from sessions_app.vapi.transport import Reply, http_date, retry_after_seconds

# Vapi's words are shown to people on one page; a proxy's may go on for ever.
_MOST_WORDS = 20
_LONGEST_WORDS = 500
_LONGEST_CURSOR = 2000


@dataclass(frozen=True)
class BrokenResult:
    """An entry of a listing that is no object that can be kept: where and what it was, never its text."""

    index: int
    type: str
    length: int
    sha256: str
    remote_id = ""

    @property
    def reason(self) -> str:
        return f"no object but {self.type} of {self.length} bytes, sha256 {self.sha256}"


@dataclass(frozen=True)
class UnreadableResult:
    """An entry that a listing cannot show: every answer that would hold it fails. Its id is '' where it is unknown."""

    remote_id: str
    reason: str


@dataclass(frozen=True)
class Page:
    """One page of a listing. `results` are redacted and storable; some may be heads, which are not read further yet.

    `text_replaced` holds indexes into `results` in which characters had to be replaced. `date` is Vapi's own
    clock, `asked_at` ours before the request. What `metadata` says is a hint: None where it is absent or odd.
    """

    results: list[JsonObject]
    total_items: int | None
    has_next_page: bool | None
    items_beyond_retention: bool | None
    date: datetime | None
    asked_at: datetime
    bytes: int
    text_replaced: frozenset[int]
    broken: list[BrokenResult]
    next_cursor: str | None = None


@dataclass(frozen=True)
class Fetched:
    """One object as Vapi answered it, redacted and storable."""

    payload: JsonObject
    date: datetime | None
    asked_at: datetime
    text_replaced: bool


@dataclass(frozen=True)
class Answer:
    """A successful answer whose body is JSON, not yet clean: `clean` is the only way its parts leave."""

    method: str
    path: str
    asked_at: datetime
    response: Reply
    body: Any
    may_need_safety: bool

    @property
    def date(self) -> datetime | None:
        return http_date(self.response.headers.get("Date"))

    def clean(self, value: Any) -> tuple[Any, bool]:
        return _clean(value, may_need_safety=self.may_need_safety)

    def bad_body(self) -> Unavailable:
        return _bad_body(self.method, self.path, self.response)


def _clean(value: Any, *, may_need_safety: bool) -> tuple[Any, bool]:
    # No look at the whole body spares the walk: it costs as much, and most pages hold an address.
    value = redact(value)
    return make_safe(value) if may_need_safety else (value, False)


def read_answer(method: str, path: str, asked_at: datetime, response: Reply) -> Answer:
    """Raises the fitting `VapiError` for everything that is not a 2xx with a JSON body."""
    if not 200 <= response.status_code < 300:
        _raise_refusal(method, path, response)
    content = response.content
    try:
        body = parse_json(content)
    except ValueError:
        pass
    else:
        return Answer(method, path, asked_at, response, body, may_need_safety(content))
    # Raised out here, so that the parser's error, which holds the text, is not chained to it.
    raise _bad_body(method, path, response)


def read_page(answer: Answer) -> Page:
    body = answer.body
    if not isinstance(body, dict) or not isinstance(body.get("results"), list):
        raise answer.bad_body()
    found = _Results()
    for index, entry in enumerate(body["results"]):
        found.add(index, entry, answer.clean)
    return _page(found, body.get("metadata"), answer.asked_at, answer.response)


def read_page_as_heads(kind: str, method: str, path: str, asked_at: datetime, response: Reply) -> Page:
    """As `read_page`, of "session" or "chat", with each result read no further than its head where it has one.

    Raises the fitting `VapiError` for everything that is not a 2xx with a page as JSON.
    """
    heads = read_page_heads(response.content) if 200 <= response.status_code < 300 else None
    if heads is None:
        return read_page(read_answer(method, path, asked_at, response))
    found = _Results()
    for index, body in enumerate(heads.results):
        head = read_head(kind, body)
        if head is not None:
            found.results.append(head)
        else:
            found.add_unread(index, bytes(body))
    return _page(found, _hints(bytes(heads.metadata)), asked_at, response)


def _hints(text: bytes) -> object:
    try:
        return parse_json(text)
    except ValueError:
        return None


def _page(found: "_Results", metadata: object, asked_at: datetime, response: Reply) -> Page:
    hints: Mapping[str, object] = metadata if isinstance(metadata, dict) else {}
    return Page(
        results=found.results,
        total_items=_count(hints.get("totalItems")),
        has_next_page=_flag(hints.get("hasNextPage")),
        items_beyond_retention=_flag(hints.get("itemsBeyondRetention")),
        date=http_date(response.headers.get("Date")),
        asked_at=asked_at,
        bytes=len(response.content),
        text_replaced=frozenset(found.replaced),
        broken=found.broken,
        next_cursor=_cursor(hints.get("nextCursor")),
    )


def read_object(answer: Answer) -> Fetched:
    if not isinstance(answer.body, dict):
        raise answer.bad_body()
    try:
        payload, replaced = answer.clean(answer.body)
    except RecursionError:
        replaced = None
    if replaced is None:
        raise answer.bad_body()
    return Fetched(payload, answer.date, answer.asked_at, replaced)


def read_array(answer: Answer) -> list[JsonObject]:
    """A bare array, as the lists of names are; entries that are no objects have no name and are left out."""
    if not isinstance(answer.body, list):
        raise answer.bad_body()
    found = _Results()
    for index, entry in enumerate(answer.body):
        found.add(index, entry, answer.clean)
    return found.results


class _Results:
    """The entries of a list, sorted out."""

    def __init__(self) -> None:
        self.results: list[JsonObject] = []
        # Places of results in which characters were replaced.
        self.replaced: set[int] = set()
        self.broken: list[BrokenResult] = []

    def add(self, index: int, entry: Any, clean: Callable[[Any], tuple[Any, bool]]) -> None:
        try:
            payload, was_replaced = clean(entry) if isinstance(entry, dict) else (None, False)
        except RecursionError:
            payload = None
        if payload is None:
            self.broken.append(_broken(index, entry))
            return
        if was_replaced:
            self.replaced.add(len(self.results))
        self.results.append(payload)

    def add_unread(self, index: int, body: bytes) -> None:
        """Add an entry as it came. It is JSON, but perhaps more of it than can be followed."""
        try:
            entry = parse_json(body)
        except ValueError:
            unread = Unread.of("object", body)
            self.broken.append(BrokenResult(index, unread.type, unread.length, unread.sha256))
        else:
            self.add(index, entry, partial(_clean, may_need_safety=may_need_safety(body)))


def _broken(index: int, entry: object) -> BrokenResult:
    try:
        content = json.dumps(entry, default=str).encode()
    except RecursionError:
        content = b""
    unread = Unread.of(_JSON_TYPES.get(type(entry), "number"), content)
    return BrokenResult(index, unread.type, unread.length, unread.sha256)


_JSON_TYPES: dict[type, str] = {
    dict: "object",
    list: "array",
    str: "string",
    bool: "boolean",
    type(None): "null",
}


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _cursor(value: object) -> str | None:
    """An opaque word that can be sent back."""
    if isinstance(value, str) and 0 < len(value) <= _LONGEST_CURSOR and value.isprintable():
        return value
    return None


def _flag(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


def _bad_body(method: str, path: str, response: Reply) -> Unavailable:
    kind = response.headers.get("Content-Type", "").split(";")[0].strip().lower()[:100]
    body = Unread.of(kind, response.content)
    return Unavailable(method, path, response.status_code, kind="bad_body", body=body)


def _raise_refusal(method: str, path: str, response: Reply) -> NoReturn:
    status = response.status_code
    envelope = _envelope(response)
    words = _words(envelope)
    if status in (408, 429) or not 400 <= status < 500:
        kind = {429: "rate_limited", 408: "timeout"}.get(status, "server")
        after = retry_after_seconds(response.headers)
        raise Unavailable(method, path, status, words, kind=kind, retry_after=after)  # type: ignore[arg-type]  # the two above are kinds
    if status == 404 and path.endswith("{id}"):
        if envelope is None:
            # Some proxy's page. It knows nothing of Vapi's ids.
            raise _bad_body(method, path, response)
        if not _names_no_route(words):
            raise Gone(method, path, status, words)
    raise Refused(method, path, status, words)


def _names_no_route(words: tuple[str, ...]) -> bool:
    """A wrong base URL gets the framework's 404 for every path; taken for `Gone` it would empty a mirror."""
    return any(line.startswith(("Cannot GET ", "Cannot PATCH ", "Cannot DELETE ")) for line in words)


def _envelope(response: Reply) -> JsonObject | None:
    try:
        body = parse_json(response.content)
    except ValueError:
        return None
    return body if isinstance(body, dict) else None


def _words(envelope: JsonObject | None) -> tuple[str, ...]:
    message = (envelope or {}).get("message") or (envelope or {}).get("error")
    lines = message if isinstance(message, list) else [message]
    told = [line for line in lines if isinstance(line, str)][:_MOST_WORDS]
    return tuple(make_safe(redact(line))[0][:_LONGEST_WORDS] for line in told)
