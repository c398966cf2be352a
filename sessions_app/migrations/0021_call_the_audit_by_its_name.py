"""The page is called as the sidebar calls it."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("sessions_app", "0020_say_how_quarantine_was_settled")]
    operations = [
        migrations.AlterModelOptions(
            name="edittransition",
            options={
                "ordering": ("happened_at", "id"),
                "verbose_name": "change of an edit's state",
                "verbose_name_plural": "audit",
            },
        ),
    ]
