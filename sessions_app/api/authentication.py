"""Owns how a bearer token becomes an ApiToken. What the token may do is permissions.py's to say."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib.auth.models import AnonymousUser
from django.db.models import Q
from django.utils import timezone
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from sessions_app.models import ApiToken
from sessions_app.tokens import digest_of

_KEYWORD = b"bearer"
# A row is not written at every request.
_NOTE_USE_EVERY = timedelta(minutes=1)


class TokenAuthentication(BaseAuthentication):
    """`Authorization: Bearer TOKEN`. The token is `request.auth`; there is no user then."""

    def authenticate(self, request: Request) -> tuple[AnonymousUser, ApiToken] | None:
        parts = get_authorization_header(request).split()
        if not parts or parts[0].lower() != _KEYWORD:
            return None
        token = ApiToken.objects.filter(digest=digest_of(parts[1])).first() if len(parts) == 2 else None
        if token is None or not token.is_active:
            raise AuthenticationFailed("This token is unknown, expired or revoked.")
        _note_use(token)
        return AnonymousUser(), token

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


class TokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # registers itself by being defined
    """Tells the OpenAPI document what a token is."""

    target_class = TokenAuthentication
    name = "token"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer"}


def _note_use(token: ApiToken) -> None:
    now = timezone.now()
    if token.last_used_at is None or token.last_used_at < now - _NOTE_USE_EVERY:
        unnoted = Q(last_used_at=None) | Q(last_used_at__lt=now - _NOTE_USE_EVERY)
        ApiToken.objects.filter(unnoted, pk=token.pk).update(last_used_at=now)
