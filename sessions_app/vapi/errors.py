"""Owns the sorting of what can go wrong between us and Vapi; must not know what a caller does about it.

Closed by default: only a 404 in Vapi's own words is `Gone`, and only another 4xx is `Refused`. Everything
that is not clearly an answer is `Unavailable`, which says nothing about the rows.
"""

import hashlib
from dataclasses import dataclass
from typing import Literal

UnavailableKind = Literal["rate_limited", "server", "timeout", "connection", "bad_body"]


@dataclass(frozen=True)
class Unread:
    """All that is kept of a body, or of an entry in one, that could not be read."""

    type: str
    length: int
    sha256: str

    @classmethod
    def of(cls, kind: str, content: bytes) -> "Unread":
        return cls(kind, len(content), hashlib.sha256(content).hexdigest())


def describe_fault(error: BaseException, *details: str) -> str:
    """Return an error's type, what else is told of it, and the innermost place. Never its message: that may quote."""
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    where = f"at {place.tb_frame.f_globals.get('__name__', '?')}:{place.tb_lineno}" if place else ""
    return " ".join(filter(None, (type(error).__name__, *details, where)))


class VapiError(Exception):
    """A request that brought no usable answer.

    `str()` and `repr()` are safe for logs: method, path template and status; no id, query value or body.
    `words` are Vapi's own message lines, for people's eyes only: they may quote what a person typed.
    """

    def __init__(
        self, method: str, path: str, status: int | None = None, words: tuple[str, ...] = ()
    ) -> None:
        super().__init__(method, path, status, words)
        self.method = method
        self.path = path
        self.status = status
        self.words = words

    def __str__(self) -> str:
        return f"{self.method} {self.path}: {self._outcome()}"

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self}>"

    def _outcome(self) -> str:
        return "no answer" if self.status is None else str(self.status)


class Gone(VapiError):
    """Vapi answered 404 for this very id."""


class Refused(VapiError):
    """Vapi understood and said no: any 4xx but 408 and 429. Status None: the id could not be sent."""

    def _outcome(self) -> str:
        return "not sent" if self.status is None else str(self.status)


class WritesOff(VapiError):
    """A write was tried while writing is off. Nothing was sent."""

    def _outcome(self) -> str:
        return "not sent, writing is off"


class Unavailable(VapiError):
    """Vapi could not be asked, or its answer could not be read. Proves nothing about any row.

    `retry_after` is in seconds. Of a body that could not be read only type, length and hash are kept.
    """

    def __init__(
        self,
        method: str,
        path: str,
        status: int | None = None,
        words: tuple[str, ...] = (),
        *,
        kind: UnavailableKind = "connection",
        retry_after: float | None = None,
        body: Unread | None = None,
    ) -> None:
        super().__init__(method, path, status, words)
        self.kind: UnavailableKind = kind
        self.retry_after = retry_after
        self.body_type = body.type if body else ""
        self.body_length = body.length if body else None
        self.body_sha256 = body.sha256 if body else ""

    def _outcome(self) -> str:
        return f"{self.kind}, {super()._outcome()}"
