"""Byte order for the text columns that came since."""

from django.db import migrations

from sessions_app.models.schema import collate_text


def collate(apps, schema_editor):
    collate_text(schema_editor)


class Migration(migrations.Migration):
    dependencies = [("sessions_app", "0004_prove_fresh_and_bulk")]
    operations = [migrations.RunPython(collate, migrations.RunPython.noop)]
