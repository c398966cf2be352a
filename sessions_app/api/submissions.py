"""Owns what a request says about the change that it asks for: who, why, in which organization, and once by its key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from drf_spectacular.utils import OpenApiParameter
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request

from sessions_app.api.permissions import author_of, reader_of
from sessions_app.edits.queue import Making
from sessions_app.models import Organization
from sessions_app.vapi import make_safe

_LONGEST_REASON = 1000
IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key", UUID, "header", description="A UUID. Sent twice, it is done once."
)


def object_of(body: object) -> dict[str, Any]:
    if not isinstance(body, dict):
        raise ValidationError({"detail": ["Send an object."]})
    return body


def reason_of(given: Mapping[str, Any]) -> str:
    reason = given.get("reason", "")
    if not isinstance(reason, str) or len(reason) > _LONGEST_REASON or make_safe(reason)[1]:
        raise ValidationError({"reason": [f"Enter text of at most {_LONGEST_REASON} characters."]})
    return reason


def making_of(request: Request, reason: str) -> Making:
    author, token = author_of(request)
    key = submission_key_of(request.headers.get("Idempotency-Key"))
    return Making("api", reason, author, token, key)


def submission_key_of(text: str | None) -> UUID | None:
    try:
        return UUID(text) if text else None
    except ValueError:
        raise ValidationError({"detail": ["Idempotency-Key must be a UUID."]}) from None


def organization_of(request: Request, slug: object) -> Organization:
    """Return the organization that is named, or the only one that there is."""
    visible = Organization.objects.visible_to(reader_of(request)).active()
    found: list[Organization] = list(
        visible.filter(slug=slug) if isinstance(slug, str) else visible[:2] if slug is None else []
    )
    if len(found) != 1:
        raise ValidationError({"organization": ["Name one of the organizations that you may read."]})
    return found[0]
