"""One word for what Vapi sends that is not known: it has no plural."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("sessions_app", "0016_index_what_lists_ask")]
    operations = [
        migrations.AlterModelOptions(
            name="schemadrift",
            options={"ordering": ("-first_seen_at", "-id"), "verbose_name_plural": "schema drift"},
        ),
    ]
