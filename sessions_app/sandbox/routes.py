"""Vapi's paths: which organization asks, what it asks for, and the answer; knows no sockets and no faults."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qs, unquote
from uuid import uuid4

from sessions_app.sandbox.answers import Answer, error_answer, json_answer
from sessions_app.sandbox.clock import parse_us, write_us
from sessions_app.sandbox.conversations import dump
from sessions_app.sandbox.listing import FOREVER, Listing
from sessions_app.sandbox.organizations import Organization
from sessions_app.sandbox.sessions import SIGNED_ANEW
from sessions_app.sandbox.shaping import PLAIN, Poisoned, Shape
from sessions_app.sandbox.store import Payload, Stream
from sessions_app.sandbox.validation import (
    CHAT_FILTERS,
    SESSION_FILTERS,
    BadInput,
    check_create,
    check_patch,
    read_listing,
)

_CATALOGUES = {"assistant": "assistants", "squad": "squads", "phone-number": "phone_numbers"}
_FILTERS = {"session": SESSION_FILTERS, "chat": CHAT_FILTERS}


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def key(self) -> str:
        kind, _, key = self.headers.get("authorization", "").partition(" ")
        return key.strip() if kind.lower() == "bearer" else ""

    def json(self) -> object:
        """The body; raises BadInput where it is no JSON."""
        try:
            return json.loads(self.body)
        except ValueError:
            raise BadInput(["Unexpected token in JSON at position 0"]) from None


def answer(request: Request, organizations: Mapping[str, Organization], shape: Shape = PLAIN) -> Answer:
    """`shape` is what is wrong with it on purpose."""
    organization = organizations.get(request.key)
    if organization is None:
        return error_answer(
            401, "Invalid Key. Hot tip, you may be using the private key instead of the public key"
        )
    try:
        found = _route(request, organization, shape)
    except BadInput as bad:
        return error_answer(400, bad.lines)
    except Poisoned as row:
        return error_answer(row.status, "Internal server error")
    if found is None:
        return error_answer(404, f"Cannot {request.method} {request.path}")
    found.body = found.body.replace(SIGNED_ANEW, uuid4().hex.encode())
    return found


def _route(request: Request, organization: Organization, shape: Shape) -> Answer | None:
    kind, *rest = [unquote(part) for part in request.path.strip("/").split("/")]
    if len(rest) > 1:
        return None
    if kind in _CATALOGUES and request.method == "GET":
        return _catalogue(request, organization, kind, *rest)
    if kind not in _FILTERS:
        return None
    stream = organization.stream(kind)
    if rest:
        return _one(request, stream, kind, rest[0], shape)
    return _all(request, stream, organization, shape)


def _all(request: Request, stream: Stream, organization: Organization, shape: Shape) -> Answer | None:
    if request.method == "GET":
        query, cursor = shape.split_cursor(request.query)
        listing = read_listing(query, _FILTERS[stream.rows.name])
        return list_answer(stream, listing, organization, shape, cursor)
    if request.method == "POST" and stream is organization.sessions:
        return Answer(201, organization.new_row(stream, check_create(request.json())))
    return None


def _one(request: Request, stream: Stream, kind: str, id_: str, shape: Shape) -> Answer | None:
    match request.method:
        case "GET":
            row = stream.get(id_)
            return _row(kind, id_, None if row is None else shape.spoiled([row])[0])
        case "DELETE":
            return _row(kind, id_, stream.delete(id_))
        case "PATCH" if kind == "session":
            given = {name: value for name, value in check_patch(request.json()).items() if value is not None}
            return _row(kind, id_, stream.update(id_, given))
    return None


def _row(kind: str, id_: str, row: bytes | None) -> Answer:
    return error_answer(404, f"{kind.capitalize()} {id_} not found") if row is None else Answer(200, row)


def list_answer(
    stream: Stream, listing: Listing, organization: Organization, shape: Shape = PLAIN, cursor: str = ""
) -> Answer:
    """{"results": [...], "metadata": {...}}."""
    listing = shape.narrowed(listing)
    rows, total = shape.rows(stream, listing, cursor)
    pages = math.ceil(total / listing.limit) if listing.limit else 0
    metadata: Payload = {
        "itemsPerPage": listing.limit,
        "totalItems": total,
        "currentPage": listing.page,
        "totalPages": pages,
        "hasNextPage": listing.page < pages,
        "sortOrder": "DESC" if listing.descending else "ASC",
        "itemsBeyondRetention": organization.beyond_retention,
    }
    if listing.created.end < FOREVER:
        metadata["createdAtLe"] = write_us(listing.created.end - 1)
    if listing.created.start > -FOREVER:
        metadata["createdAtGe"] = write_us(listing.created.start)
    told = shape.told(metadata, rows, cursor)
    end = b"}" if told is None and shape.metadata == "missing" else b',"metadata":' + dump(told) + b"}"
    return Answer(200, b'{"results":[' + b",".join(rows) + b"]" + end)


def _catalogue(request: Request, organization: Organization, kind: str, id_: str = "") -> Answer:
    rows: list[Payload] = getattr(organization.catalogue, _CATALOGUES[kind])
    if id_:
        found = next((row for row in rows if row["id"] == id_), None)
        return _row(kind, id_, None if found is None else dump(found))
    if any(name in ("page", "sortOrder", "sortBy") for name in parse_qs(request.query)):
        raise BadInput(["property page, sortOrder or sortBy should not exist"])
    listing = read_listing(request.query, {})
    chosen = [
        row
        for row in reversed(rows)
        if (parse_us(row["createdAt"]) or 0) in listing.created
        and (parse_us(row["updatedAt"]) or 0) in listing.updated
    ]
    if listing.ids is not None:
        chosen = [row for row in chosen if row["id"] in listing.ids]
    return json_answer(chosen[: listing.limit])
