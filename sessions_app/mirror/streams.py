"""The table of streams: what sync has to know of each, so that another one is a row here."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sessions_app.mirror.quarantine import quarantine, release
from sessions_app.mirror.tables import CHATS, SESSIONS, MirrorTable
from sessions_app.mirror.versions import Versions
from sessions_app.mirror.writer import WriteResult, mirror_chats, mirror_sessions
from sessions_app.models import Organization, SyncRun
from sessions_app.models.history import ChangeSource
from sessions_app.models.names import NameKind
from sessions_app.models.runs import Stream
from sessions_app.vapi.answers import BrokenResult, UnreadableResult
from sessions_app.vapi.reading import PARSERS, BadResult


@dataclass(frozen=True)
class StreamSpec:
    path: str
    table: MirrorTable
    parse: Callable[..., Any]
    mirror: Callable[..., WriteResult]


STREAMS = {
    Stream.SESSIONS: StreamSpec("session", SESSIONS, PARSERS["session"], mirror_sessions),
    Stream.CHATS: StreamSpec("chat", CHATS, PARSERS["chat"], mirror_chats),
}
NAME_PATHS = {
    NameKind.ASSISTANT: "assistant",
    NameKind.SQUAD: "squad",
    NameKind.PHONE_NUMBER: "phone-number",
}


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
    looked_at: Versions | None = None,
    known: Collection[str] = (),
) -> WriteResult:
    """Mirror the records of an answer and keep apart what was none.

    `looked_at` are the versions that were stored when the answer was looked at, where it was; `known` the ids of what
    it brought besides, which stands here as it came.
    """
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
        spec,
        organization,
        records,
        asked_at=asked_at,
        run=run,
        deep=deep,
        source=source,
        edit_id=edit_id,
        looked_at=looked_at,
    )
    release(organization, spec.table.stream, known)
    result.unchanged += len(known)
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
    looked_at: Versions | None = None,
) -> WriteResult:
    return spec.mirror(
        organization,
        records,
        asked_at=asked_at,
        run=run,
        deep=deep,
        source=source,
        edit_id=edit_id,
        looked_at=looked_at,
    )
