"""Owns who may do what over REST: a token by its scopes, a person by their model permissions. Closed by default."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from sessions_app.models import ApiToken
from sessions_app.models.access import RIGHTS_OF_SCOPE, Scope

if TYPE_CHECKING:  # DRF's views import this module.
    from rest_framework.views import APIView

# What a person needs where a view names no permission of its own.
PERMISSIONS: Mapping[str, str] = {scope: rights[0] for scope, rights in RIGHTS_OF_SCOPE.items()}


class ScopePermission(BasePermission):
    """Asks a token for the scope, and a person for the permission, that the view names for the method.

    `required_scopes` maps methods to scopes; `required_permissions`, where a view has it, methods to permissions.
    A method that is not named may be used by nobody. One that the view does not have at all is answered by 405.
    """

    message = "You lack the right to do this."

    def has_permission(self, request: Request, view: APIView) -> bool:
        if request.method not in view.allowed_methods:
            return SignedIn().has_permission(request, view)
        method = "GET" if request.method == "HEAD" else str(request.method)
        scope = getattr(view, "required_scopes", {}).get(method)
        if isinstance(request.auth, ApiToken):
            self.message = f"This token lacks the scope {scope}." if scope else "No token may do this."
            return scope is not None and scope in request.auth.scopes
        permission = getattr(view, "required_permissions", {}).get(method) or PERMISSIONS.get(scope or "")
        return permission is not None and request.user.is_active and request.user.has_perm(permission)


class SignedIn(BasePermission):
    """Any token that is in force, and anybody who is signed in."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        return isinstance(request.auth, ApiToken) or request.user.is_active


def may(request: Request, scope: Scope) -> bool:
    """Say whether the request may do what `scope` names, beside what its view asks for."""
    if isinstance(request.auth, ApiToken):
        return scope in request.auth.scopes
    return request.user.has_perm(PERMISSIONS[scope])


def author_of(request: Request) -> tuple[AbstractBaseUser | None, ApiToken | None]:
    """Return who changes something: a person or a token."""
    if isinstance(request.auth, ApiToken):
        return None, request.auth
    return (None if isinstance(request.user, AnonymousUser) else request.user), None


def reader_of(request: Request) -> AbstractBaseUser | AnonymousUser | ApiToken:
    """Return for whom rows are read: what `.visible_to()` takes."""
    return request.auth if isinstance(request.auth, ApiToken) else request.user
