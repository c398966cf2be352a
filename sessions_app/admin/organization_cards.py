"""What stands below an organization's form: what is kept and what goes next, and the pauses of its key."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from sessions_app.mirror.retention import read_retention
from sessions_app.models import KeyPause, Organization

_MOST_PAUSES = 20


def retention_view(request: HttpRequest, organization: Organization) -> HttpResponse:
    """A part of the organization's page, counted only when it is opened."""
    context = {"retention": read_retention(organization), "organization": organization}
    return TemplateResponse(request, "admin/organizations/retention.html", context)


def read_pauses(request: HttpRequest, organization_id: int) -> list[KeyPause]:
    pauses: Any = KeyPause.objects.visible_to(request.user).filter(organization_id=organization_id)
    return list(pauses[:_MOST_PAUSES])
