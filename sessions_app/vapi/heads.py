"""Owns reading a page of sessions or chats only as far as it takes to tell what is known already from what is news.

Most of what a listing brings again is stored as it is; reading all of it, and looking for secrets in it, takes ten
times as long as a look at what tells its versions apart. What does not look as documented has no head: it is read
whole at once.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec

from sessions_app.vapi.fields import LONGEST_ID
from sessions_app.vapi.fingerprints import chat_fingerprint, session_fingerprint
from sessions_app.vapi.json import JsonObject, parse_json
from sessions_app.vapi.money import parse_usd
from sessions_app.vapi.redaction import redact
from sessions_app.vapi.text import make_safe, may_need_safety
from sessions_app.vapi.times import parse_time


class _Object(msgspec.Struct):
    """Any object; what is in it is passed over."""


class _Customer(msgspec.Struct, rename="camel"):
    number: str | None = None
    name: str | None = None
    email: str | None = None
    external_id: str | None = None
    sip_uri: str | None = None


_NULL = msgspec.Raw(b"null")


class _Outline(msgspec.Struct, kw_only=True, rename="camel"):
    id: str
    org_id: str
    created_at: str
    updated_at: str
    name: str | None = None
    cost: msgspec.Raw = _NULL
    costs: list[_Object] | None = None

    def fingerprint(self) -> str:
        raise NotImplementedError

    def cost_usd(self) -> Decimal | None:
        return parse_usd(parse_json(bytes(self.cost)))

    def cost_lines(self) -> int:
        return len(self.costs or ())


class _SessionOutline(_Outline, kw_only=True, rename="camel"):
    status: str | None = None
    expiration_seconds: int | None = None
    messages: list[msgspec.Raw] | None = None
    customer_id: str | None = None
    customer: _Customer | None = None

    def fingerprint(self) -> str:
        of = self.customer or _Customer()
        customer = (of.number, of.name, of.email, of.external_id, of.sip_uri)
        return session_fingerprint(
            self.status or "",
            self.name,
            self.cost_usd(),
            self.expiration_seconds,
            len(self.messages or ()),
            self.cost_lines(),
            self.customer_id or "",
            tuple([text or "" for text in customer]),
        )


class _ChatOutline(_Outline, kw_only=True, rename="camel"):
    input: str | list[msgspec.Raw] | None = None
    output: list[msgspec.Raw] | None = None
    session_id: str | None = None

    def fingerprint(self) -> str:
        said = 1 if isinstance(self.input, str) else len(self.input or ())
        messages = said + len(self.output or ())
        return chat_fingerprint(
            self.name, self.cost_usd(), messages, self.cost_lines(), self.session_id or ""
        )


class Head(dict[str, Any]):
    """A session or chat by `id`, `orgId`, `createdAt` and `updatedAt`; the rest of it is `body`, secrets and all.

    Its fingerprint is that of the whole record, unless that had to be cleaned: then it is another.
    """

    __slots__ = ("_outline", "body", "updated_at")

    def __init__(self, outline: _Outline, updated_at: datetime, body: bytes | msgspec.Raw) -> None:
        super().__init__(
            id=outline.id, orgId=outline.org_id, createdAt=outline.created_at, updatedAt=outline.updated_at
        )
        self._outline, self.updated_at, self.body = outline, updated_at, body

    @property
    def id(self) -> str:
        return self._outline.id

    @property
    def org_id(self) -> str:
        return self._outline.org_id

    @property
    def fingerprint(self) -> str:
        """Raises ValueError where its cost is no amount."""
        return self._outline.fingerprint()


class PageHeads(msgspec.Struct):
    """A page of a listing, each entry of its results as it came."""

    results: list[msgspec.Raw]
    metadata: msgspec.Raw = _NULL


_read_page = msgspec.json.Decoder(PageHeads).decode
_OUTLINES: Mapping[str, Callable[[bytes | msgspec.Raw], _Outline]] = {
    "session": msgspec.json.Decoder(_SessionOutline).decode,
    "chat": msgspec.json.Decoder(_ChatOutline).decode,
}


def read_page_heads(content: bytes) -> PageHeads | None:
    """Return the entries of a page; None where only the patient parser can say what it is."""
    try:
        if not content.isascii():
            # What is passed over is not looked at for this.
            content.decode()
        return _read_page(content)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None


def read_head(path: str, body: bytes | msgspec.Raw) -> Head | None:
    """Return the head of an entry of a listing; None where it does not look as documented, or nothing is."""
    decode = _OUTLINES.get(path)
    if decode is None:
        return None
    try:
        outline = decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    updated_at = parse_time(outline.updated_at)
    if updated_at is None or parse_time(outline.created_at) is None or not _is_plain(outline):
        return None
    return Head(outline, updated_at, body)


def _is_plain(outline: _Outline) -> bool:
    """Say whether its ids are surely ids, storable, and hold no secret."""
    return all(
        0 < len(text) <= LONGEST_ID and ":" not in text and "\0" not in text
        for text in (outline.id, outline.org_id)
    )


def read_whole(body: bytes | msgspec.Raw) -> tuple[JsonObject, bool]:
    """Return the payload, redacted and storable, and whether characters of it had to be replaced.

    Raises BadJson or RecursionError where it cannot be followed.
    """
    content = bytes(body)
    payload: JsonObject = redact(parse_json(content))
    return make_safe(payload) if may_need_safety(content) else (payload, False)
