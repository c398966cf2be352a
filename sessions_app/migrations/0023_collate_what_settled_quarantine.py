"""Give text that came since the last time byte order on PostgreSQL too."""

from django.db import migrations

from sessions_app.models.schema import collate_text


def collate(apps, schema_editor):
    collate_text(schema_editor)


class Migration(migrations.Migration):
    dependencies = [("sessions_app", "0022_tell_arrivals_from_an_index")]
    operations = [migrations.RunPython(collate, migrations.RunPython.noop)]
