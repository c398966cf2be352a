"""Bulk edits that wait for a second person are told of."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('sessions_app', "0017_call_schema_drift_by_its_name"),
    ]

    operations = [
        migrations.AlterField(
            model_name='notice',
            name='cause',
            field=models.TextField(choices=[('edit.applied', 'edit applied'), ('edit.conflict', 'edit in conflict'), ('edit.rejected', 'edit rejected'), ('edit.failed', 'edit failed'), ('bulk.ended', 'bulk edit ended'), ('bulk.awaiting', 'bulk edit waits for approval'), ('bulk.refused', 'bulk edit refused'), ('organization.paused', 'organization paused'), ('organization.resumed', 'organization resumed'), ('test', 'test')]),
        ),
    ]
