"""What Django cannot declare: full-text indexes, byte-order collation for prefix searches, lz4."""

from django.db import migrations

from sessions_app.models.schema import collate_text

POSTGRES = [
    "ALTER TABLE sessions_app_searchtext ADD COLUMN words tsvector NOT NULL DEFAULT ''",
    "CREATE INDEX searchtext_words ON sessions_app_searchtext USING gin (words)",
]
SQLITE = [
    "CREATE VIRTUAL TABLE sessions_app_searchwords USING fts5(labels, said, tokenize='unicode61 remove_diacritics 2')",
]
PAYLOADS = ("sessions_app_sessionpayload", "sessions_app_chatpayload")


def build(apps, schema_editor):
    connection = schema_editor.connection
    for statement in POSTGRES if connection.vendor == "postgresql" else SQLITE:
        schema_editor.execute(statement)
    if connection.vendor == "postgresql":
        collate_text(schema_editor)
        _compress(connection, schema_editor)


def _compress(connection, schema_editor):
    """lz4 halves the time of writing payloads, where this server was built with it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT enumvals FROM pg_settings WHERE name = 'default_toast_compression'")
        row = cursor.fetchone()
    if row and "lz4" in row[0]:
        for table in PAYLOADS:
            schema_editor.execute(f"ALTER TABLE {table} ALTER COLUMN payload_json SET COMPRESSION lz4")


class Migration(migrations.Migration):
    dependencies = [("sessions_app", "0001_first_tables")]
    operations = [migrations.RunPython(build, migrations.RunPython.noop)]
