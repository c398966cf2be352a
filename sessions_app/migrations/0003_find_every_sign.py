"""SQLite's index of words keeps signs that are no letters: without its vowels a Hindi word is found by others' letters."""

from django.db import migrations

_TABLE = "sessions_app_searchwords"


def forwards(apps, schema_editor):
    if schema_editor.connection.vendor != "sqlite":
        return
    # The words are folded before they come here: what is left of a word belongs to it.
    schema_editor.execute(
        f"CREATE VIRTUAL TABLE {_TABLE}_new"
        " USING fts5(labels, said, tokenize=\"unicode61 remove_diacritics 0 categories 'L* N* Co Mn Mc'\")"
    )
    schema_editor.execute(
        f"INSERT INTO {_TABLE}_new (rowid, labels, said) SELECT rowid, labels, said FROM {_TABLE}"
    )
    schema_editor.execute(f"DROP TABLE {_TABLE}")
    schema_editor.execute(f"ALTER TABLE {_TABLE}_new RENAME TO {_TABLE}")


class Migration(migrations.Migration):
    dependencies = [("sessions_app", "0002_beyond_django")]
    operations = [migrations.RunPython(forwards, migrations.RunPython.noop)]
