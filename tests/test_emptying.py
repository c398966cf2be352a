"""After a test that committed nothing is left, at the price of what it filled."""

from __future__ import annotations

import secrets

import pytest
from django.contrib.auth.models import Permission, User
from django.contrib.contenttypes.models import ContentType
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from sessions_app.models import Edit, EditTransition, Organization, Session
from tests.emptying import MUCH_BYTES, empty_database, filled_tables
from tests.search.rows import make_session

pytestmark = pytest.mark.django_db(transaction=True)
_TABLES = {
    "sessions_app_organization",
    "sessions_app_session",
    "sessions_app_edit",
    "sessions_app_edittransition",
}


def test_nothing_is_left_but_what_migrations_made(organization: Organization, editor: User) -> None:
    make_session(organization, "s1", said="a word")
    edit = Edit.objects.create(organization=organization, session_id="s1")
    EditTransition.objects.create(
        organization=organization, edit=edit, state="queued", happened_at=timezone.now()
    )
    assert set(filled_tables()) > _TABLES
    filled = len(filled_tables())
    permissions = Permission.objects.count()
    with CaptureQueriesContext(connection) as asked:
        empty_database()
    assert filled_tables() == []
    assert not Session.objects.exists()
    changes = [
        query["sql"] for query in asked.captured_queries if query["sql"].startswith(("DELETE", "TRUNC"))
    ]
    assert len(changes) == filled
    assert Permission.objects.count() == permissions > 100
    assert ContentType.objects.exists()


def test_much_is_let_go_of_at_once(organization: Organization) -> None:
    # What can be compressed is not much.
    make_session(organization, "s1", name=secrets.token_hex(MUCH_BYTES))
    with CaptureQueriesContext(connection) as asked:
        empty_database()
    assert filled_tables() == []
    assert Permission.objects.exists()
    at_once = [query["sql"] for query in asked.captured_queries if query["sql"].startswith("TRUNCATE")]
    assert len(at_once) == (1 if connection.vendor == "postgresql" else 0)
