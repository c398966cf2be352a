"""`manage.py rotate_keys`."""

from __future__ import annotations

import io

import pytest
from cryptography.fernet import Fernet
from django.core.management import CommandError, call_command
from django.db import connection
from pytest_django import Settings

from sessions_app.models import Organization

pytestmark = pytest.mark.django_db


def _rotate() -> str:
    out = io.StringIO()
    call_command("rotate_keys", stdout=out)
    return out.getvalue()


def _stored() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT api_key FROM sessions_app_organization")
        [(text,)] = cursor.fetchall()
    return str(text)


def test_the_first_key_alone_reads_everything_afterwards(
    settings: Settings, organization: Organization
) -> None:
    key, before = organization.api_key, _stored()
    new = Fernet.generate_key().decode()
    settings.FIELD_ENCRYPTION_KEYS = [new, *settings.FIELD_ENCRYPTION_KEYS]

    assert _rotate() == "1 secret encrypted with the first key.\n"

    settings.FIELD_ENCRYPTION_KEYS = [new]
    assert _stored() != before
    assert Organization.objects.get().api_key == key


def test_what_no_key_reads_is_named_and_left(settings: Settings, organization: Organization) -> None:
    before = _stored()
    settings.FIELD_ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    with pytest.raises(CommandError, match=f"organization {organization.pk}"):
        _rotate()
    assert _stored() == before
