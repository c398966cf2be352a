"""The version rule: which of two states of one remote object is the newer one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple, Protocol

from django.db.backends.utils import CursorWrapper

from sessions_app.mirror.rows import select_rows, stored_time
from sessions_app.mirror.tables import MirrorTable
from sessions_app.models import Organization
from sessions_app.vapi.heads import Head
from sessions_app.vapi.payloads import Record

# The same rule as `is_news`, decided by the database while it holds the row: what was read before may have moved.
MAY_REPLACE = """t.organization_id = excluded.organization_id
AND (t.missing_since IS NULL OR excluded.asked_at >= t.asked_at)
AND (
    excluded.updated_at > t.updated_at
    OR (
        excluded.updated_at = t.updated_at
        AND excluded.asked_at >= t.asked_at
        AND (
            excluded.fingerprint <> t.fingerprint
            OR excluded.content_hash <> t.content_hash
            OR t.missing_since IS NOT NULL
        )
    )
)"""


# The rule for what nobody asked for (a webhook): it replaces what is older and wins no tie. A row that Vapi has let
# go does not come back by it either.
MAY_REPLACE_BY_HINT = """t.organization_id = excluded.organization_id AND excluded.updated_at > t.updated_at
    AND t.missing_since IS NULL"""
# A hint is stored as asked for at no time, so that any answer to a GET or listing wins a tie with it.
NEVER_ASKED = datetime(1970, 1, 1, tzinfo=UTC)


class Version(NamedTuple):
    """What a page's rows are compared with before anything is written."""

    organization_id: int
    updated_at: datetime
    fingerprint: str
    content_hash: str
    asked_at: datetime
    is_missing: bool


class Versioned(Protocol):
    """What is compared of a record, or of its head."""

    @property
    def id(self) -> str: ...
    @property
    def org_id(self) -> str: ...
    @property
    def updated_at(self) -> datetime: ...
    @property
    def fingerprint(self) -> str: ...


# By id, of those that are stored.
Versions = Mapping[str, Version]


def stored_versions(cursor: CursorWrapper, table: MirrorTable, ids: Sequence[str]) -> dict[str, Version]:
    """Return the stored version of each id that is mirrored already. One statement (on SQLite one per 900 ids)."""
    columns = (
        "id",
        "organization_id",
        "updated_at",
        "fingerprint",
        "content_hash",
        "asked_at",
        "missing_since",
    )
    return {
        row[0]: Version(
            organization_id=row[1],
            updated_at=stored_time(row[2]),
            fingerprint=row[3],
            content_hash=row[4],
            asked_at=stored_time(row[5]),
            is_missing=row[6] is not None,
        )
        for row in select_rows(cursor, table.name, columns, "id", ids)
    }


def is_news(record: Versioned, stored: Version | None, asked_at: datetime, *, deep: bool) -> bool:
    """Say whether a record from a GET or a listing asked for at `asked_at` replaces what is stored.

    Newer updatedAt: yes. Older: no. Equal: if it was asked for later and differs, by fingerprint or, where `deep`,
    by content, as also where what is stored came unasked. A row that was stamped missing and is here again is news as
    well, if it was asked for after that.
    """
    if stored is not None and stored.is_missing and asked_at < stored.asked_at:
        return False
    if stored is None or record.updated_at > stored.updated_at:
        return True
    if record.updated_at < stored.updated_at or asked_at < stored.asked_at:
        return False
    if stored.is_missing or record.fingerprint != stored.fingerprint:
        return True
    # What came unasked may lack what no fingerprint tells: what was asked for is compared whole, and read for that.
    is_unasked = stored.asked_at == NEVER_ASKED
    if not isinstance(record, Record):
        return is_unasked
    return (deep or is_unasked) and record.content_hash != stored.content_hash


def refusal(record: Versioned, stored: Version | None, organization: Organization) -> str:
    """Return why a record may not be stored for this organization; '' where it may."""
    if stored is not None and stored.organization_id != organization.pk:
        return "id: belongs to another organization"
    if organization.vapi_org_id and record.org_id != organization.vapi_org_id:
        return "orgId: not the one this organization was pinned to"
    return ""


def stands(head: Head, stored: Version | None, organization: Organization, asked_at: datetime) -> bool:
    """Say whether what a head is of is surely stored as it came, or newer: then it need not be read."""
    if stored is None or refusal(head, stored, organization):
        return False
    try:
        return not is_news(head, stored, asked_at, deep=False)
    except ValueError:
        # What it costs is no amount.
        return False


def is_hint_news(record: Versioned, stored: Version | None) -> bool:
    """Say whether a record that came unasked replaces what is stored: MAY_REPLACE_BY_HINT in words."""
    return stored is None or (record.updated_at > stored.updated_at and not stored.is_missing)
