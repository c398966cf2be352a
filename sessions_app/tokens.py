"""Makes API tokens for the browser, the command line and REST alike. A token's text is kept nowhere."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from datetime import datetime

from django.contrib.auth.models import User

from sessions_app.models import ApiToken

_SHOWN_CHARACTERS = 8


def make_token(
    name: str,
    scopes: Sequence[str],
    *,
    expires_at: datetime | None = None,
    created_by: User | None = None,
) -> tuple[ApiToken, str]:
    """Store a new token and return it with its text."""
    text = f"va_{secrets.token_urlsafe(32)}"
    token = ApiToken.objects.create(
        name=name,
        digest=digest_of(text.encode()),
        prefix=text[:_SHOWN_CHARACTERS],
        scopes=list(scopes),
        expires_at=expires_at,
        created_by=created_by,
    )
    return token, text


def digest_of(text: bytes) -> str:
    """Return what is stored of a token: it has 256 random bits and needs no slow hash."""
    return hashlib.sha256(text).hexdigest()
