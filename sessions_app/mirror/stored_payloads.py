"""The payload of a written record: stored, or put in another's place with what changed kept; words outlast blanks."""

from __future__ import annotations

from django.db.backends.utils import CursorWrapper

from sessions_app.mirror.history import Origin, Replacement, keep_words, note_changes
from sessions_app.mirror.rows import delete_rows, insert_rows, select_rows, take_rows
from sessions_app.mirror.tables import SESSIONS, MirrorTable, Record
from sessions_app.models import Organization
from sessions_app.vapi.json import JsonObject, dump_payload, load_payload
from sessions_app.vapi.payloads import SessionRecord, parse_chat, parse_session


def worded_ids(cursor: CursorWrapper, table: MirrorTable, records: list[Record]) -> set[str]:
    """Return those that came blank and whose stored payload says something: Zero Data Retention blanks it, and we
    keep what we have."""
    ids = [record.id for record in records if record.blank_content]
    columns = (table.payload_key, "payload_json")
    stored = select_rows(cursor, table.payload_name, columns, table.payload_key, ids) if ids else []
    parse = parse_session if table is SESSIONS else parse_chat
    return {remote_id for remote_id, text in stored if not parse(load_payload(text)).blank_content}


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
