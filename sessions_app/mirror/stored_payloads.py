"""The payload of a written record: stored, or put in another's place with what changed kept; words outlast blanks."""

from __future__ import annotations

from collections.abc import Mapping

from django.db.backends.utils import CursorWrapper

from sessions_app.mirror.history import Origin, Replacement, keep_words, note_changes
from sessions_app.mirror.rows import delete_rows, insert_rows, select_rows, take_rows
from sessions_app.mirror.tables import SESSIONS, MirrorTable, Record
from sessions_app.models import Organization
from sessions_app.vapi.json import JsonObject, dump_payload, load_payload
from sessions_app.vapi.messages import Said
from sessions_app.vapi.payloads import SessionRecord, parse_chat, parse_session


def kept_words(cursor: CursorWrapper, table: MirrorTable, records: list[Record]) -> dict[str, Said]:
    """Return what is said, by id, in the stored payloads of those that came blank, where anything is: Zero Data
    Retention blanks it, and we keep what we have."""
    ids = [record.id for record in records if record.blank_content]
    columns = (table.payload_key, "payload_json")
    stored = select_rows(cursor, table.payload_name, columns, table.payload_key, ids) if ids else []
    parse = parse_session if table is SESSIONS else parse_chat
    said = {remote_id: parse(load_payload(text)).said for remote_id, text in stored}
    return {remote_id: each for remote_id, each in said.items() if not each.is_silent}


def keep_failures(table: MirrorTable, said: Mapping[str, Said]) -> None:
    """Count the failed calls in words that are kept, in rows whose records came without them."""
    for remote_id, each in said.items():
        if each.failures:
            table.model.objects.filter(id=remote_id).update(failed_tool_count=each.failures)


def insert_payloads(cursor: CursorWrapper, table: MirrorTable, rows: list[tuple[str, str]]) -> None:
    """Store payloads given as (id, JSON) of which none is stored yet."""
    insert_rows(cursor, table.payload_name, (table.payload_key, "payload_json"), rows)


def replace_payloads(
    cursor: CursorWrapper,
    table: MirrorTable,
    organization: Organization,
    records: list[Record],
    with_words: set[str],
    origin: Origin,
) -> None:
    """Store payloads where others are; those whose id is not in `with_words` came blank, and words are kept."""
    if table is SESSIONS:
        rows = _replace_with_history(cursor, organization, records, with_words, origin)
    else:
        rows = [(record.id, record.payload_json) for record in records if record.id in with_words]
        delete_rows(cursor, table.payload_name, table.payload_key, [row[0] for row in rows])
    insert_payloads(cursor, table, rows)


def _replace_with_history(
    cursor: CursorWrapper,
    organization: Organization,
    records: list[Record],
    with_words: set[str],
    origin: Origin,
) -> list[tuple[str, str]]:
    """Take the sessions' old payloads out, keep what changed, and return (id, JSON) of the new ones."""
    ids = [record.id for record in records]
    taken = take_rows(cursor, SESSIONS.payload_name, SESSIONS.payload_key, "payload_json", ids)
    rows: list[tuple[str, str]] = []
    replaced: list[Replacement] = []
    for record in records:
        assert isinstance(record, SessionRecord)  # noqa: S101 - of the sessions' table
        if record.id not in taken:
            rows.append((record.id, record.payload_json))
            continue
        old: JsonObject = load_payload(taken[record.id])
        has_words = record.id in with_words
        new = record.payload if has_words else keep_words(old, record)
        rows.append((record.id, record.payload_json if has_words else dump_payload(new)))
        replaced.append(Replacement(record, old, new))
    note_changes(cursor, organization, replaced, origin)
    return rows
