"""The table of streams: what sync has to know of each, so that another one is a row here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sessions_app.logs import describe_error
from sessions_app.mirror.quarantine import quarantine
from sessions_app.mirror.tables import CHATS, SESSIONS, MirrorTable
from sessions_app.mirror.writer import WriteResult, mirror_chats, mirror_sessions
from sessions_app.models import Organization, SyncRun
from sessions_app.models.history import ChangeSource
from sessions_app.models.names import NameKind
from sessions_app.models.runs import Stream
from sessions_app.vapi.answers import BrokenResult, UnreadableResult
from sessions_app.vapi.fields import BadRecord
from sessions_app.vapi.json import JsonObject, dump_payload
from sessions_app.vapi.payloads import parse_chat, parse_session


@dataclass(frozen=True)
class StreamSpec:
    path: str
    table: MirrorTable
    parse: Callable[..., Any]
    mirror: Callable[..., WriteResult]


STREAMS = {
    Stream.SESSIONS: StreamSpec("session", SESSIONS, parse_session, mirror_sessions),
    Stream.CHATS: StreamSpec("chat", CHATS, parse_chat, mirror_chats),
}
NAME_PATHS = {
    NameKind.ASSISTANT: "assistant",
    NameKind.SQUAD: "squad",
    NameKind.PHONE_NUMBER: "phone-number",
}


@dataclass(frozen=True)
class BadResult:
    """A result that is no session or chat: what it was, as far as that is safe to keep."""

    remote_id: str
    reason: str
    payload_json: str


def parse_results(
    spec: StreamSpec, results: Sequence[JsonObject], text_replaced: Sequence[bool]
) -> tuple[list[Any], list[BadResult]]:
    """Return the records of an answer, and apart from them those that cannot be read."""
    records, bad = [], []
    for result, replaced in zip(results, text_replaced, strict=True):
        try:
            records.append(spec.parse(result, text_replaced=replaced))
        except BadRecord as problem:
            bad.append(_bad_result(result, str(problem)))
        except Exception as problem:  # Of one record, whatever it was: the others of its page are stored.
            bad.append(_bad_result(result, describe_error(problem)))
    return records, bad


def _bad_result(result: JsonObject, reason: str) -> BadResult:
    remote_id = result.get("id")
    return BadResult(remote_id if isinstance(remote_id, str) else "", reason, dump_payload(result))


def store_answer(
    spec: StreamSpec,
    organization: Organization,
    records: Sequence[Any],
    bad: Sequence[BadResult],
    *,
    broken: Sequence[BrokenResult | UnreadableResult] = (),
    asked_at: datetime,
    run: SyncRun | None = None,
    deep: bool = False,
    source: ChangeSource = ChangeSource.SYNC,
    edit_id: int | None = None,
) -> WriteResult:
    """Mirror the records of an answer and keep apart what was none."""
    apart = [(result.remote_id, result.reason, result.payload_json) for result in bad]
    apart += [(entry.remote_id, entry.reason, "") for entry in broken]
    for remote_id, reason, payload_json in apart:
        quarantine(
            organization,
            spec.table.stream,
            remote_id=remote_id,
            reason=reason,
            payload_json=payload_json,
            run=run,
        )
    result = mirror_results(
        spec, organization, records, asked_at=asked_at, run=run, deep=deep, source=source, edit_id=edit_id
    )
    result.quarantined += len(apart)
    return result


def mirror_results(
    spec: StreamSpec,
    organization: Organization,
    records: Sequence[Any],
    *,
    asked_at: datetime,
    run: SyncRun | None = None,
    deep: bool = False,
    source: ChangeSource = ChangeSource.SYNC,
    edit_id: int | None = None,
) -> WriteResult:
    return spec.mirror(
        organization, records, asked_at=asked_at, run=run, deep=deep, source=source, edit_id=edit_id
    )
