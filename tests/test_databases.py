"""The suite runs where it says it runs."""

import os

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.db import connection

from sessions_app.models import Organization


@pytest.mark.django_db
def test_suite_runs_on_the_database_that_was_chosen() -> None:
    assert connection.vendor == (os.environ.get("TEST_DATABASE") or "sqlite")
    assert os.environ["TEST_RUN"] in connection.settings_dict["NAME"]
    assert Organization.objects.count() == 0


def test_no_key_and_no_address_of_a_person_reaches_the_suite() -> None:
    assert settings.VAPI_API_KEY == ""
    assert settings.VAPI_BASE_URL.startswith("http://127.0.0.1")


@pytest.mark.django_db
def test_people_have_what_their_names_say(viewer: User, editor: User, ops: User, stranger: User) -> None:
    assert viewer.has_perm("sessions_app.view_session")
    assert not viewer.has_perm("sessions_app.edit_session")
    assert editor.has_perm("sessions_app.edit_session")
    assert not editor.has_perm("sessions_app.view_costline")
    assert ops.has_perm("sessions_app.export_costline")
    assert not stranger.get_all_permissions()
