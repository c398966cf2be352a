"""Owns how a request is tried again and what may be logged about it; must not know what is asked for."""

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Any, Self

import requests
from requests.adapters import HTTPAdapter
from urllib3 import BaseHTTPResponse
from urllib3.exceptions import DecodeError, HTTPError, MaxRetryError, ReadTimeoutError
from urllib3.util import Retry

# One call may sleep this long in all; a longer wait is the caller's to plan, not a worker's to sit out.
LONGEST_SLEEP_SECONDS = 10.0

# A body is read up to here. Parsed it takes several times as much memory.
MOST_BODY_BYTES = 64_000_000
# And for so long: the largest comes over a slow line, and one that drips has an end.
LONGEST_ANSWER_SECONDS = 300.0
_CHUNK_BYTES = 1 << 16

RETRIED_STATUSES = (408, 429, 500, 502, 503, 504)

# Told of each request's end: its status, None where no answer came, and the seconds that a 429 asks to wait.
AfterRequest = Callable[[int | None, float | None], None]


@dataclass(frozen=True)
class Reply:
    """One HTTP answer, read whole."""

    status_code: int
    headers: Mapping[str, str]
    content: bytes


class TooLong(requests.RequestException):
    """The body has more than MOST_BODY_BYTES; the rest was not read."""


class TooSlow(requests.Timeout):
    """The body took more than LONGEST_ANSWER_SECONDS; the rest was not read."""


def read_whole(response: requests.Response) -> Reply:
    """Read the body of a streamed answer. Raises TooLong, TooSlow, and what requests and urllib3 raise."""
    with response:
        try:
            content = b"".join(_read(response.raw))
        except DecodeError as error:
            raise requests.exceptions.ContentDecodingError(error) from None
        except ReadTimeoutError as error:
            raise requests.ReadTimeout(error) from None
    return Reply(response.status_code, response.headers, content)


def _read(body: BaseHTTPResponse) -> Iterator[bytes]:
    """Give a body as it comes: whoever waits for a number of bytes waits for all that drip."""
    size, deadline = 0, time.monotonic() + LONGEST_ANSWER_SECONDS
    while chunk := body.read1(_CHUNK_BYTES, decode_content=True):
        size += len(chunk)
        if size > MOST_BODY_BYTES:
            raise TooLong
        if time.monotonic() > deadline:
            raise TooSlow
        yield chunk


def _say_nothing(_record: logging.LogRecord) -> bool:
    """urllib3 logs full addresses, with ids and with the numbers and emails that were asked for."""
    return False


for _name in ("urllib3.connectionpool", "urllib3.util.retry", "urllib3.connection"):
    logging.getLogger(_name).addFilter(_say_nothing)


class PatientRetry(Retry):
    """Reads only, three times more at most, and never more than `longest_sleep` seconds asleep in one call.

    `before` is called with the method ahead of every attempt after the first, so that each request that
    reaches Vapi is counted, not each call. `after` is told how an attempt ended that another one follows; where
    there is one, `before` sees to the wait that a 429 asks for.
    """

    def __init__(
        self,
        *args: Any,
        slept: float = 0.0,
        longest_sleep: float = LONGEST_SLEEP_SECONDS,
        before: Callable[[str], None] | None = None,
        after: AfterRequest | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.slept = slept
        self.longest_sleep = longest_sleep
        self.before = before
        self.after = after

    def new(self, **kwargs: Any) -> Self:
        own = {"longest_sleep": self.longest_sleep, "before": self.before, "after": self.after}
        return super().new(slept=self.slept, **own, **kwargs)

    def increment(
        self,
        method: str | None = None,
        url: str | None = None,
        response: BaseHTTPResponse | None = None,
        error: Exception | None = None,
        _pool: Any = None,
        _stacktrace: TracebackType | None = None,
    ) -> Self:
        if self.after:
            self.after(*_ending(response))
        # urllib3 would try again whatever failed to connect, writes too.
        if error and method != "GET":
            raise MaxRetryError(_pool, "", error)
        following = super().increment(method, url, response, error, _pool, _stacktrace)
        wait = self.get_retry_after(response) if response is not None else None
        following.slept += wait or following.get_backoff_time()
        if following.slept > self.longest_sleep:
            # As when all tries are used up: an answer is handed on to the caller, an error raised.
            raise MaxRetryError(_pool, "", error)
        if response is not None:
            _read_off(response)
        return following

    def get_retry_after(self, response: BaseHTTPResponse) -> float | None:
        return retry_after_seconds(response.headers)

    def sleep(self, response: BaseHTTPResponse | None = None) -> None:
        if not (self.after and response is not None and response.status == 429):
            super().sleep(response)
        if self.before:
            self.before("GET")


def _read_off(response: BaseHTTPResponse) -> None:
    """Read what nobody wants, so that its connection can be used again; urllib3 would read it whatever it takes."""
    try:
        for _ in _read(response):
            pass
    except (requests.RequestException, HTTPError):
        response.close()


def _ending(response: BaseHTTPResponse | None) -> tuple[int | None, float | None]:
    return (None, None) if response is None else (response.status, retry_after_seconds(response.headers))


def retry_after_seconds(headers: Any) -> float | None:
    """From seconds or an HTTP date; a date is read against the answer's own clock if it has one."""
    value = (headers.get("Retry-After") or "").strip()
    try:
        seconds = float(value)
    except ValueError:
        until = http_date(value)
        if until is None:
            return None
        seconds = (until - (http_date(headers.get("Date")) or datetime.now(UTC))).total_seconds()
    return max(0.0, seconds) if seconds < float("inf") else None


def http_date(value: str | None) -> datetime | None:
    try:
        at = parsedate_to_datetime(value or "")
        return at.replace(tzinfo=at.tzinfo or UTC).astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        return None


def open_session(
    api_key: str,
    before: Callable[[str], None] | None,
    after: AfterRequest | None = None,
    longest_sleep: float = LONGEST_SLEEP_SECONDS,
) -> requests.Session:
    retry = PatientRetry(
        total=3,
        connect=2,
        read=1,
        status=3,
        redirect=0,
        other=0,
        allowed_methods={"GET"},
        status_forcelist=RETRIED_STATUSES,
        backoff_factor=0.3,
        raise_on_status=False,
        longest_sleep=longest_sleep,
        before=before,
        after=after,
    )
    session = requests.Session()
    # No .netrc, no proxies from the environment: the key goes to Vapi and nowhere else.
    session.trust_env = False
    session.headers.update({"Authorization": f"Bearer {api_key}", "Accept": "application/json"})
    session.headers["User-Agent"] = "vapiadmin"
    session.mount("http://", HTTPAdapter(max_retries=retry))
    session.mount("https://", HTTPAdapter(max_retries=retry))
    return session
