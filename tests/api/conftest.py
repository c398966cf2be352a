"""Clients of the REST face: programs with tokens; people come from the suite's own fixtures."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client

from sessions_app.models import Organization
from sessions_app.models.access import Scope
from sessions_app.tokens import make_token

MakeClient = Callable[..., Client]


@pytest.fixture
def program(db: None) -> MakeClient:
    """program("sessions:read", ...) is a client that sends a token of these scopes; all scopes if none is named."""

    def make(*scopes: str) -> Client:
        _, text = make_token("test", list(scopes or Scope.values))
        return Client(headers={"Authorization": f"Bearer {text}"})

    return make


@pytest.fixture
def client(program: MakeClient, organization: Organization) -> Client:
    """A program that may do everything, beside an organization without rows."""
    return program()
