"""A second person for deleting many, bulk edits over REST, and an audit of bulk edits that nobody can change."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

from sessions_app.models.schema import collate_text

# The function came with the audit of edits.
_POSTGRESQL = """
CREATE TRIGGER sessions_app_keep_bulk_audit BEFORE UPDATE OR DELETE ON sessions_app_bulktransition
FOR EACH ROW EXECUTE FUNCTION sessions_app_keep_audit();
"""
_POSTGRESQL_BACK = "DROP TRIGGER sessions_app_keep_bulk_audit ON sessions_app_bulktransition"
# Not for DELETE: SQLite knows no TRUNCATE, so emptying a test's database is a DELETE of every row.
_SQLITE = """
CREATE TRIGGER sessions_app_keep_bulk_audit BEFORE UPDATE ON sessions_app_bulktransition
BEGIN SELECT RAISE(ABORT, 'the audit is added to, never changed'); END
"""


def collate(apps, schema_editor):
    collate_text(schema_editor)


def keep(apps, schema_editor):
    postgresql = schema_editor.connection.vendor == "postgresql"
    schema_editor.execute(_POSTGRESQL if postgresql else _SQLITE, params=None)


def release(apps, schema_editor):
    postgresql = schema_editor.connection.vendor == "postgresql"
    back = _POSTGRESQL_BACK if postgresql else "DROP TRIGGER sessions_app_keep_bulk_audit"
    schema_editor.execute(back, params=None)


class Migration(migrations.Migration):
    dependencies = [
        ("sessions_app", "0012_legal_holds_pauses_and_age_limits"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.RemoveField(
            model_name="bulkedit",
            name="confirmed_by",
        ),
        migrations.AddField(
            model_name="bulkedit",
            name="decided_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="bulkedit",
            name="decided_by",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="decided_bulk_edits",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddField(
            model_name="bulkedit",
            name="decision_reason",
            field=models.TextField(blank=True, default=""),
        ),
        migrations.AddField(
            model_name="bulkedit",
            name="is_erased",
            field=models.BooleanField(default=False),
        ),
        migrations.AddField(
            model_name="bulkedit",
            name="submission_digest",
            field=models.TextField(blank=True, default="", editable=False),
        ),
        migrations.AddField(
            model_name="bulkedit",
            name="submission_key",
            field=models.UUIDField(blank=True, editable=False, null=True, unique=True),
        ),
        migrations.AddField(
            model_name="bulkedit",
            name="token",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="bulk_edits",
                to="sessions_app.apitoken",
            ),
        ),
        migrations.AddField(
            model_name="organization",
            name="bulk_delete_needs_approval",
            field=models.BooleanField(default=True, verbose_name="A second person approves deleting many"),
        ),
        migrations.AlterField(
            model_name="bulkedit",
            name="state",
            field=models.TextField(
                choices=[
                    ("previewed", "previewed"),
                    ("awaiting", "waiting for approval"),
                    ("running", "running"),
                    ("paused", "paused"),
                    ("done", "done"),
                    ("cancelled", "cancelled"),
                    ("refused", "refused"),
                ],
                default="previewed",
            ),
        ),
        migrations.CreateModel(
            name="BulkTransition",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("act", models.TextField()),
                ("sessions", models.IntegerField()),
                ("actor", models.TextField(blank=True, default="")),
                ("request_id", models.TextField(blank=True, default="")),
                ("happened_at", models.DateTimeField()),
                (
                    "bulk",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="transitions",
                        to="sessions_app.bulkedit",
                    ),
                ),
                (
                    "organization",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, to="sessions_app.organization"
                    ),
                ),
            ],
            options={
                "ordering": ("happened_at", "id"),
            },
        ),
        migrations.RunPython(keep, release),
        migrations.RunPython(collate, migrations.RunPython.noop),
    ]
