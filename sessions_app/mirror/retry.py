"""Tries once more to store a quarantined record: from what is kept of it, else from Vapi. For a person who asks."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sessions_app.mirror.connection import NoKey, open_client
from sessions_app.mirror.quarantine import release
from sessions_app.mirror.streams import STREAMS, StreamSpec, mirror_results
from sessions_app.models import QuarantinedRecord
from sessions_app.models.history import ChangeSource
from sessions_app.models.requests import Purpose
from sessions_app.models.runs import Stream
from sessions_app.vapi.errors import Gone, VapiError
from sessions_app.vapi.fields import BadRecord
from sessions_app.vapi.json import BadJson, load_payload


@dataclass(frozen=True)
class Outcome:
    is_stored: bool
    # For people; never a value of the record.
    words: str


def retry_record(record: QuarantinedRecord) -> Outcome:
    """Store a record, if that can be done now. Raises nothing of Vapi's: the outcome says it."""
    spec = STREAMS.get(Stream(record.stream))
    if spec is None:
        return Outcome(False, "Names are read again every ten minutes.")
    kept = _try_kept(record, spec)
    if kept.is_stored or not record.remote_id:
        return kept
    asked = _try_vapi(record, spec)
    return asked if asked.is_stored or not kept.words else Outcome(False, f"{kept.words} {asked.words}")


def _try_kept(record: QuarantinedRecord, spec: StreamSpec) -> Outcome:
    if not record.payload_json:
        return Outcome(
            False, "" if record.remote_id else "Nothing is kept of it, and it has no id to ask for."
        )
    try:
        parsed = spec.parse(load_payload(record.payload_json))
    except (BadJson, BadRecord) as problem:
        return Outcome(False, f"What is kept still cannot be read ({problem}).")
    if _mirror(record, spec, parsed, record.last_seen_at):
        return Outcome(True, "Stored from what was kept of it.")
    return Outcome(False, "What is kept still cannot be stored.")


def _try_vapi(record: QuarantinedRecord, spec: StreamSpec) -> Outcome:
    try:
        with open_client(record.organization, Purpose.PERSON) as client:
            fetched = client.get_stream(spec.path, record.remote_id)
    except Gone:
        return Outcome(False, "Vapi no longer has it.")
    except (VapiError, NoKey) as problem:
        return Outcome(False, f"Vapi could not be asked: {problem}.")
    try:
        parsed = spec.parse(fetched.payload, text_replaced=fetched.text_replaced)
    except BadRecord as problem:
        return Outcome(False, f"Vapi was asked; its answer cannot be read either ({problem}).")
    if parsed.id == record.remote_id and _mirror(record, spec, parsed, fetched.asked_at):
        return Outcome(True, "Fetched from Vapi and stored.")
    return Outcome(False, "Vapi was asked; its answer cannot be stored either.")


def _mirror(record: QuarantinedRecord, spec: StreamSpec, parsed: Any, asked_at: datetime) -> bool:
    """Say whether it, or a newer state of it, is stored now."""
    written = mirror_results(
        spec, record.organization, [parsed], asked_at=asked_at, deep=True, source=ChangeSource.REFETCH
    )
    if written.quarantined:
        return False
    release(record.organization, Stream(record.stream), {record.remote_id})
    return True
