"""Owns making records of what a listing brought; what is none is told apart, as far as that is safe to keep."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from sessions_app.vapi.errors import Unread, describe_fault
from sessions_app.vapi.fields import BadRecord
from sessions_app.vapi.heads import Head, read_head, read_whole
from sessions_app.vapi.json import JsonObject, dump_payload
from sessions_app.vapi.payloads import ChatRecord, Record, SessionRecord, parse_chat, parse_session

Parse = Callable[..., Any]
PARSERS: Mapping[str, Parse] = {"session": parse_session, "chat": parse_chat}
RECORDS: Mapping[str, type[Record]] = {"session": SessionRecord, "chat": ChatRecord}


@dataclass(frozen=True)
class BadResult:
    """A result that is no session or chat: why, and its redacted payload, '' where it cannot be followed."""

    remote_id: str
    reason: str
    payload_json: str


def parse_results(
    path: str, results: Sequence[JsonObject], text_replaced: Sequence[bool]
) -> tuple[list[Any], list[BadResult]]:
    """Return the records ("session" or "chat") of an answer, and apart from them those that cannot be read."""
    records, bad = [], []
    for result, replaced in zip(results, text_replaced, strict=True):
        read = parse_body(path, result.body) if isinstance(result, Head) else _parse(path, result, replaced)
        if isinstance(read, BadResult):
            bad.append(read)
        else:
            records.append(read)
    return records, bad


def parse_body(path: str, body: bytes | msgspec.Raw) -> Record | BadResult:
    """Return the record of an entry as it came."""
    try:
        payload, text_replaced = read_whole(body)
    except (ValueError, RecursionError):
        head, unread = read_head(path, body), Unread.of("object", bytes(body))
        reason = f"cannot be followed: {unread.length} bytes, sha256 {unread.sha256}"
        return BadResult(head.id if head else "", reason, "")
    return _parse(path, payload, text_replaced)


def _parse(path: str, payload: JsonObject, text_replaced: bool) -> Record | BadResult:
    try:
        record: Record = PARSERS[path](payload, text_replaced=text_replaced)
    except BadRecord as problem:
        return _bad_result(payload, str(problem))
    except Exception as problem:  # Of one record, whatever it was: the others of its page are stored.
        return _bad_result(payload, describe_fault(problem))
    return record


def _bad_result(payload: JsonObject, reason: str) -> BadResult:
    remote_id = payload.get("id")
    return BadResult(remote_id if isinstance(remote_id, str) else "", reason, dump_payload(payload))


def prepare_bodies(path: str, bodies: Sequence[bytes | msgspec.Raw]) -> tuple[list[Any], list[BadResult]]:
    """Return the records of entries as they came, with all made that storing them takes, and what is none apart."""
    records: list[Any] = []
    bad: list[BadResult] = []
    for body in bodies:
        read = _prepared(parse_body(path, body))
        if isinstance(read, BadResult):
            bad.append(read)
        else:
            records.append(read)
    return records, bad


def _prepared(read: Record | BadResult) -> Record | BadResult:
    if isinstance(read, BadResult):
        return read
    try:
        read.prepare()
    except Exception as problem:  # Of one record, whatever it was.
        # Its JSON is made first of all.
        return BadResult(read.id, describe_fault(problem), read.__dict__.get("payload_json", ""))
    return read
