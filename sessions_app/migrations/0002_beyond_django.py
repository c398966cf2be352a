"""What Django cannot declare: full-text indexes, byte order, lz4, and audits that the database itself keeps."""

from django.core.management import CommandError
from django.db import migrations

from sessions_app.models.schema import TOO_OLD, collate_text, drop_pattern_indexes

_PAYLOADS = ("sessions_app_sessionpayload", "sessions_app_chatpayload")
# Each audit by its table, with the trigger that keeps it.
_AUDITS = {
    "sessions_app_edittransition": "sessions_app_keep_audit",
    "sessions_app_bulktransition": "sessions_app_keep_bulk_audit",
}
_REFUSAL = "the audit is added to, never changed"


def forwards(apps, schema_editor):
    _refuse_half_a_database(apps, schema_editor)
    if schema_editor.connection.vendor == "postgresql":
        _build_on_postgresql(schema_editor)
    else:
        _build_on_sqlite(schema_editor)


def _refuse_half_a_database(apps, schema_editor):
    """Whoever took the steps up to 0005 and no further has, to Django, what the first migration makes."""
    wanted = {model._meta.db_table for model in apps.get_app_config("sessions_app").get_models()}
    if not wanted.issubset(schema_editor.connection.introspection.table_names()):
        raise CommandError(f"the database is half-way: {TOO_OLD}.")


def _build_on_postgresql(schema_editor):
    schema_editor.execute("ALTER TABLE sessions_app_searchtext ADD COLUMN words tsvector NOT NULL DEFAULT ''")
    schema_editor.execute("CREATE INDEX searchtext_words ON sessions_app_searchtext USING gin (words)")
    collate_text(schema_editor)
    drop_pattern_indexes(schema_editor)
    _compress(schema_editor)
    schema_editor.execute(
        "CREATE OR REPLACE FUNCTION sessions_app_keep_audit() RETURNS trigger LANGUAGE plpgsql AS"
        f" $$\nBEGIN RAISE EXCEPTION '{_REFUSAL}'; END $$",
        params=None,
    )
    for table, trigger in _AUDITS.items():
        schema_editor.execute(
            f"CREATE TRIGGER {trigger} BEFORE UPDATE OR DELETE ON {table}"
            " FOR EACH ROW EXECUTE FUNCTION sessions_app_keep_audit()"
        )


def _compress(schema_editor):
    """lz4 halves the time of writing payloads, where this server was built with it."""
    with schema_editor.connection.cursor() as cursor:
        cursor.execute("SELECT enumvals FROM pg_settings WHERE name = 'default_toast_compression'")
        row = cursor.fetchone()
    if row and "lz4" in row[0]:
        for table in _PAYLOADS:
            schema_editor.execute(f"ALTER TABLE {table} ALTER COLUMN payload_json SET COMPRESSION lz4")


def _build_on_sqlite(schema_editor):
    schema_editor.execute(
        "CREATE VIRTUAL TABLE IF NOT EXISTS sessions_app_searchwords"
        " USING fts5(labels, said, tokenize='unicode61 remove_diacritics 2')"
    )
    for table, trigger in _AUDITS.items():
        # Not for DELETE: SQLite knows no TRUNCATE, so emptying a test's database is a DELETE of every row.
        schema_editor.execute(
            f"CREATE TRIGGER {trigger} BEFORE UPDATE ON {table} BEGIN SELECT RAISE(ABORT, '{_REFUSAL}'); END",
            params=None,
        )


class Migration(migrations.Migration):
    replaces = [
        ("sessions_app", "0011_keep_audit_and_proof_of_sending"),
        ("sessions_app", "0012_legal_holds_pauses_and_age_limits"),
        ("sessions_app", "0013_approve_bulk_edits"),
        ("sessions_app", "0014_let_many_workers_take_windows"),
        ("sessions_app", "0015_tell_people"),
        ("sessions_app", "0016_index_what_lists_ask"),
        ("sessions_app", "0017_call_schema_drift_by_its_name"),
        ("sessions_app", "0018_tell_of_approvals"),
        ("sessions_app", "0019_take_oauth2_clients"),
        ("sessions_app", "0020_say_how_quarantine_was_settled"),
        ("sessions_app", "0021_call_the_audit_by_its_name"),
        ("sessions_app", "0022_tell_arrivals_from_an_index"),
        ("sessions_app", "0023_collate_what_settled_quarantine"),
    ]
    dependencies = [("sessions_app", "0001_tables")]
    operations = [migrations.RunPython(forwards, migrations.RunPython.noop)]
