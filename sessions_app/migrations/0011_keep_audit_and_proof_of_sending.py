"""What was sent last, for lost answers; and an audit that the database itself keeps from being changed."""

from django.db import migrations, models

_POSTGRESQL = """
CREATE FUNCTION sessions_app_keep_audit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'the audit is added to, never changed'; END $$;
CREATE TRIGGER sessions_app_keep_audit BEFORE UPDATE OR DELETE ON sessions_app_edittransition
FOR EACH ROW EXECUTE FUNCTION sessions_app_keep_audit();
"""
_POSTGRESQL_BACK = """
DROP TRIGGER sessions_app_keep_audit ON sessions_app_edittransition;
DROP FUNCTION sessions_app_keep_audit();
"""
# Not for DELETE: SQLite knows no TRUNCATE, so emptying a test's database is a DELETE of every row.
_SQLITE = """
CREATE TRIGGER sessions_app_keep_audit BEFORE UPDATE ON sessions_app_edittransition
BEGIN SELECT RAISE(ABORT, 'the audit is added to, never changed'); END
"""


def keep(apps, schema_editor):
    postgresql = schema_editor.connection.vendor == "postgresql"
    schema_editor.execute(_POSTGRESQL if postgresql else _SQLITE, params=None)


def release(apps, schema_editor):
    postgresql = schema_editor.connection.vendor == "postgresql"
    back = _POSTGRESQL_BACK if postgresql else "DROP TRIGGER sessions_app_keep_audit"
    schema_editor.execute(back, params=None)


class Migration(migrations.Migration):
    dependencies = [("sessions_app", "0005_collate_new_text")]
    operations = [
        migrations.AddField(model_name="edit", name="sent", field=models.JSONField(blank=True, default=dict)),
        migrations.RunPython(keep, release),
    ]
