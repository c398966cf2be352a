"""A database that was built step by step is as good as one made at once, if it came to the last step."""

from __future__ import annotations

import pytest
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

from sessions_app.models.schema import pending_migrations

APP = "sessions_app"
REPLACED = [
    name
    for migration in MigrationLoader(None).replacements.values()
    for _, name in sorted(migration.replaces)
]


@pytest.fixture
def history(db: None) -> MigrationRecorder:
    """What was applied: the steps alone."""
    recorder = MigrationRecorder(connection)
    recorder.migration_qs.filter(app=APP).delete()
    for name in REPLACED:
        recorder.record_applied(APP, name)
    return recorder


def test_whoever_took_every_step_is_up_to_date(history: MigrationRecorder) -> None:
    assert pending_migrations() == []


def test_whoever_stopped_on_the_way_is_not(history: MigrationRecorder) -> None:
    history.record_unapplied(APP, REPLACED[-1])

    assert pending_migrations() == [f"{APP}.{REPLACED[-1]}"]


def test_an_empty_database_lacks_what_replaces_them(history: MigrationRecorder) -> None:
    history.migration_qs.filter(app=APP).delete()

    assert pending_migrations() == [f"{APP}.0001_tables", f"{APP}.0002_beyond_django"]
