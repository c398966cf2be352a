"""With several organizations each list that has them is filtered by organization; with one nothing is asked."""

from __future__ import annotations

import pytest
from django.contrib import admin
from django.test import Client
from django.urls import reverse

from sessions_app.admin.lists import ListAdmin
from sessions_app.models import Organization

LISTS = sorted(
    model._meta.model_name or ""
    for model, shown in admin.site._registry.items()
    if isinstance(shown, ListAdmin)
    and shown.filterset_class
    and "organization" in shown.filterset_class.names()
)
CONTROL = 'name="organization"'


@pytest.mark.parametrize("name", LISTS)
def test_the_organization_is_asked_for_where_there_are_several(
    organization: Organization, admin_client: Client, name: str
) -> None:
    address = reverse(f"admin:sessions_app_{name}_changelist")
    assert CONTROL not in admin_client.get(address).text
    Organization.objects.create(slug="second", name="Second", is_sandbox=organization.is_sandbox)
    page = admin_client.get(address).text
    assert page.count(CONTROL) == 1
    assert "Second" in page


def test_there_are_such_lists() -> None:
    assert len(LISTS) > 8
