"""A window's lease takes the names of every other lease, and a full sync that is under way says since when."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("sessions_app", "0013_approve_bulk_edits")]

    operations = [
        migrations.RenameField("syncwindow", "lease_number", "number"),
        migrations.RenameField("syncwindow", "lease_holder", "holder"),
        migrations.RenameField("syncwindow", "lease_expires_at", "expires_at"),
        migrations.AddField("watermark", "planned_at", models.DateTimeField(blank=True, null=True)),
    ]
