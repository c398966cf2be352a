"""A database that was built step by step is as good as one made at once, if it came to the last step."""

from __future__ import annotations

from importlib import import_module

import pytest
from django.core.management import CommandError
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

from sessions_app.models.schema import TOO_OLD, how_to_migrate, pending_migrations

APP = "sessions_app"
REPLACED = sorted(
    name
    for migration in MigrationLoader(None).replacements.values()
    for app, name in migration.replaces
    if app == APP
)


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


@pytest.mark.parametrize("last", ["0002", "0005", "0011", "0022"])
def test_whoever_stopped_on_the_way_is_not(history: MigrationRecorder, last: str) -> None:
    for name in REPLACED:
        if name[:4] > last:
            history.record_unapplied(APP, name)

    pending = pending_migrations()

    if last == "0005":
        # To Django, there the first of the two migrations ends that replace them.
        assert (pending, how_to_migrate(pending)) == (
            [f"{APP}.0002_beyond_django"],
            "run `manage.py migrate`",
        )
    else:
        assert how_to_migrate(pending) == TOO_OLD


@pytest.mark.django_db(transaction=True)
def test_half_a_database_is_not_built_upon() -> None:
    """One that stopped at 0005 has fewer tables than the migration says that stands for the steps up to there."""
    migration = import_module("sessions_app.migrations.0002_beyond_django")
    apps = MigrationLoader(None).project_state((APP, "0001_tables")).apps
    with connection.schema_editor() as editor:
        editor.execute("ALTER TABLE sessions_app_legalhold RENAME TO elsewhere")
        try:
            with pytest.raises(CommandError, match="0023 first"):
                migration.forwards(apps, editor)
        finally:
            editor.execute("ALTER TABLE elsewhere RENAME TO sessions_app_legalhold")


def test_an_empty_database_lacks_what_replaces_them(history: MigrationRecorder) -> None:
    history.migration_qs.filter(app=APP).delete()

    assert pending_migrations() == [f"{APP}.0001_tables", f"{APP}.0002_beyond_django"]
