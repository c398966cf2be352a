"""Keeps the page of an open active session up to date: read again by a POST of its own, shown where it changed."""

from __future__ import annotations

import hashlib

from sessions_app.admin.session_page import SessionPage

# The page asks this often, while its tab is seen.
FOLLOW_SECONDS = 15


def is_followed(page: SessionPage) -> bool:
    session = page.head.session
    return session.status == "active" and session.missing_since is None


def version_of(page: SessionPage) -> str:
    """Return what changes when anything that the page shows of the session or its chats does."""
    rows = [page.head.session, *(shown.chat for shown in page.chats)]
    told = "\n".join(f"{row.pk} {row.content_hash} {row.updated_at} {row.missing_since}" for row in rows)
    return hashlib.sha256(told.encode()).hexdigest()
