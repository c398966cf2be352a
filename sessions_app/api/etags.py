"""Owns a session's version tag: the same as long as nothing that matters has changed, whatever was synced.

Compression turns a strong tag into a weak one on its way out (W/"..."), so both forms of a tag mean the same here.
"""

from __future__ import annotations

import hashlib

from django.utils.http import parse_etags
from rest_framework.exceptions import ValidationError

from sessions_app.api.views import PreconditionFailed, PreconditionRequired
from sessions_app.models import Edit, Session
from sessions_app.models.edits import UNDER_WAY_STATES


def etag_of(session: Session, newest_edit: Edit | None) -> str:
    """Return the tag over Vapi's content, what we show beside it, what is pending, and the newest edit's id and state.

    One query.
    """
    pending = Edit.objects.filter(session_id=session.pk, state__in=UNDER_WAY_STATES).order_by("pk")
    parts = (
        session.pk,
        session.content_hash or session.fingerprint,
        session.updated_at.isoformat(),
        session.missing_since.isoformat() if session.missing_since else "",
        session.missing_reason,
        f"{newest_edit.pk} {newest_edit.state}" if newest_edit else "",
        *map(str, pending.values_list("pk", flat=True)),
    )
    return f'"{hashlib.sha256("|".join(parts).encode()).hexdigest()[:32]}"'


def demand_match(if_match: str | None, etag: str) -> None:
    """428 without If-Match, 400 where it holds no tag at all, 412 where it does not hold this one."""
    if not if_match:
        raise PreconditionRequired
    if not parse_etags(if_match.strip()):
        raise ValidationError(
            {"detail": ["If-Match must be the ETag as it was answered, quotes and all, or *."]}
        )
    if not _holds(if_match, etag):
        raise PreconditionFailed


def is_known(if_none_match: str | None, etag: str) -> bool:
    return bool(if_none_match) and _holds(str(if_none_match), etag)


def _holds(header: str, etag: str) -> bool:
    tags = parse_etags(header.strip())
    return "*" in tags or etag in (tag.removeprefix("W/") for tag in tags)
