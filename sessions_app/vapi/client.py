"""Owns HTTP with Vapi: one client for one key, one place that every request passes; knows nothing of rows."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, Self
from urllib.parse import quote, urlsplit

import requests
from urllib3.exceptions import HTTPError, ReadTimeoutError

from sessions_app.vapi.answers import (
    Answer,
    BrokenResult,
    Fetched,
    Page,
    read_answer,
    read_array,
    read_object,
    read_page,
    read_page_as_heads,
)
from sessions_app.vapi.errors import Refused, Unavailable, UnavailableKind, WritesOff
from sessions_app.vapi.json import JsonObject, dump_bytes
from sessions_app.vapi.times import format_time
from sessions_app.vapi.transport import (
    LONGEST_SLEEP_SECONDS,
    AfterRequest,
    Reply,
    TooLong,
    open_session,
    read_whole,
    retry_after_seconds,
)

__all__ = ["BrokenResult", "Fetched", "Listing", "Page", "VapiClient", "never"]

Query = Mapping[str, str | int]


def never() -> bool:
    """The write mode of a client that was not told one."""
    return False


@dataclass(frozen=True)
class Listing:
    """What to list. Times are aware; bounds are created_at_ge <= createdAt < created_at_lt."""

    created_at_ge: datetime | None = None
    created_at_lt: datetime | None = None
    updated_at_ge: datetime | None = None
    page: int = 1
    limit: int = 1000
    sort_order: Literal["ASC", "DESC"] = "ASC"
    id_any: tuple[str, ...] = ()
    session_id: str = ""
    number: str = ""
    email: str = ""
    external_id: str = ""
    # What a page of the same listing named as `nextCursor`; it takes the place of the page number.
    cursor: str = ""

    def parameters(self) -> dict[str, str | int]:
        """Vapi's own names; what is not asked for is left out."""
        given: dict[str, str | int] = {
            "createdAtGe": _time(self.created_at_ge),
            "createdAtLt": _time(self.created_at_lt),
            "updatedAtGe": _time(self.updated_at_ge),
            "idAny": ",".join(self.id_any),
            "sessionId": self.session_id,
            "number": self.number,
            "email": self.email,
            "externalId": self.external_id,
        }
        paging: dict[str, str | int] = {"cursor": self.cursor} if self.cursor else {"page": self.page}
        paging |= {"limit": self.limit, "sortOrder": self.sort_order}
        return {name: value for name, value in given.items() if value != ""} | paging


def _time(at: datetime | None) -> str:
    return "" if at is None else format_time(at)


class VapiClient:
    """One organization's key at one region. Not for several threads at once.

    `may_write` is asked before every write, so that a mode turned off takes effect at once. `before_request`
    is called with the method ahead of every request that goes out, repeated ones too; what it raises stops
    that request and reaches the caller. `after_request` is told at least once how each of them ended. No call
    sleeps longer than `longest_sleep` seconds before it tries again.
    """

    def __init__(
        self,
        base_url: str,
        api_key: str,
        *,
        may_write: Callable[[], bool] = never,
        timeout: tuple[float, float] = (5, 30),
        before_request: Callable[[str], None] | None = None,
        after_request: AfterRequest | None = None,
        longest_sleep: float = LONGEST_SLEEP_SECONDS,
    ) -> None:
        self._base_url = _checked_url(base_url)
        self._may_write = may_write
        self._timeout = timeout
        self._before_request = before_request
        self._after_request = after_request
        self._session = open_session(_checked_key(api_key), before_request, after_request, longest_sleep)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._session.close()

    def list_sessions(self, query: Listing) -> Page:
        return self.list_stream("session", query)

    def get_session(self, session_id: str) -> Fetched:
        return self.get_stream("session", session_id)

    def patch_session(self, session_id: str, fields: Mapping[str, object]) -> Fetched:
        """Sends `fields` once, never again; answers with the session as Vapi then has it."""
        return read_object(self._request("PATCH", "session", session_id, body=fields))

    def get_session_unredacted(self, session_id: str) -> tuple[Fetched, JsonObject]:
        """A session as it may be kept, and as Vapi has it, secrets and all: the latter only to be sent back to Vapi."""
        answer = self._request("GET", "session", session_id)
        return read_object(answer), answer.body

    def create_session(self, fields: Mapping[str, object]) -> Fetched:
        """Sends `fields` once, never again: what was lost may have been made."""
        return read_object(self._request("POST", "session", body=fields))

    def delete_session(self, session_id: str) -> Fetched:
        """Sends it once, never again; answers with the session that was. Raises Gone where there was none."""
        return read_object(self._request("DELETE", "session", session_id))

    def list_chats(self, query: Listing) -> Page:
        return self.list_stream("chat", query)

    def get_chat(self, chat_id: str) -> Fetched:
        return self.get_stream("chat", chat_id)

    def list_assistants(
        self, *, limit: int = 1000, created_at_lt: datetime | None = None
    ) -> list[JsonObject]:
        return self.list_names("assistant", limit=limit, created_at_lt=created_at_lt)

    def list_squads(self, *, limit: int = 1000, created_at_lt: datetime | None = None) -> list[JsonObject]:
        return self.list_names("squad", limit=limit, created_at_lt=created_at_lt)

    def list_phone_numbers(
        self, *, limit: int = 1000, created_at_lt: datetime | None = None
    ) -> list[JsonObject]:
        return self.list_names("phone-number", limit=limit, created_at_lt=created_at_lt)

    def list_stream(self, path: str, query: Listing) -> Page:
        """A page of any listing that answers {results, metadata}; `path` as in "session"."""
        return read_page(self._request("GET", path, query=query.parameters()))

    def list_heads(self, path: str, query: Listing) -> Page:
        """The same page, each result read no further than it takes to tell whether it is known ("session", "chat")."""
        exchange = self._exchange("GET", path, query=query.parameters())
        return read_page_as_heads(path, *exchange)

    def get_stream(self, path: str, remote_id: str) -> Fetched:
        return read_object(self._request("GET", path, remote_id))

    def list_names(
        self, path: str, *, limit: int = 1000, created_at_lt: datetime | None = None
    ) -> list[JsonObject]:
        """A listing that answers a bare array, newest first and without page numbers."""
        query: dict[str, str | int] = {"limit": limit}
        if created_at_lt is not None:
            query["createdAtLt"] = format_time(created_at_lt)
        return read_array(self._request("GET", path, query=query))

    def _request(
        self,
        method: str,
        path: str,
        remote_id: str | None = None,
        *,
        query: Query | None = None,
        body: Mapping[str, object] | None = None,
    ) -> Answer:
        return read_answer(*self._exchange(method, path, remote_id, query=query, body=body))

    def _exchange(
        self,
        method: str,
        path: str,
        remote_id: str | None = None,
        *,
        query: Query | None = None,
        body: Mapping[str, object] | None = None,
    ) -> tuple[str, str, datetime, Reply]:
        """The one place that every request passes: write mode, budget, time-outs. Returns what `read_answer` takes."""
        listing = f"/{path.strip('/')}"
        template = listing if remote_id is None else f"{listing}/{{id}}"
        if method != "GET" and not self._may_write():
            raise WritesOff(method, template)
        address = self._base_url + listing
        if remote_id is not None:
            address += "/" + _quoted_id(method, template, remote_id)
        if self._before_request:
            self._before_request(method)
        asked_at = datetime.now(UTC)
        return method, template, asked_at, self._send(method, template, address, query, body)

    def _send(
        self,
        method: str,
        template: str,
        address: str,
        query: Query | None,
        body: Mapping[str, object] | None,
    ) -> Reply:
        content = None if body is None else dump_bytes(dict(body))
        kind: UnavailableKind
        status: int | None = None
        retry_after: float | None = None
        try:
            response = self._session.request(
                method,
                address,
                params=query,
                data=content,
                headers={} if content is None else {"Content-Type": "application/json"},
                timeout=self._timeout,
                allow_redirects=False,
                stream=True,
            )
            reply = read_whole(response)
            status, retry_after = reply.status_code, retry_after_seconds(reply.headers)
            return reply
        except (requests.RequestException, HTTPError) as error:
            kind = _kind_of(error)
        finally:
            if self._after_request:
                self._after_request(status, retry_after)
        # Raised out here: the library's error names the whole address, and must not be chained to ours.
        raise Unavailable(method, template, kind=kind)


def _kind_of(error: Exception) -> UnavailableKind:
    if isinstance(error, requests.exceptions.ContentDecodingError | TooLong):
        return "bad_body"
    cause = error.args[0] if error.args else None
    reason = getattr(cause, "reason", cause)
    timed_out = isinstance(error, requests.Timeout) or isinstance(reason, ReadTimeoutError)
    return "timeout" if timed_out else "connection"


def _quoted_id(method: str, template: str, remote_id: str) -> str:
    """One path segment. What would be resolved away on the wire, however it is written, is not sent."""
    try:
        quoted = quote(remote_id, safe="")
    except UnicodeEncodeError:
        quoted = ""
    if quoted in ("", ".", ".."):
        raise Refused(method, template, words=("This is no id.",))
    return quoted


def _checked_url(base_url: str) -> str:
    parts = urlsplit(base_url.strip())
    plain = not (parts.username or parts.password or parts.query or parts.fragment)
    if parts.scheme not in ("http", "https") or not parts.hostname or not plain:
        raise ValueError("a base URL is http(s)://HOST, without user, query and fragment")
    return base_url.strip().rstrip("/")


def _checked_key(api_key: str) -> str:
    """Checked here, because the HTTP library would quote a key with a line break in its error."""
    key = api_key.strip()
    if not key or not key.isascii() or not key.isprintable() or " " in key:
        raise ValueError("an API key is one word of printable ASCII")
    return key
