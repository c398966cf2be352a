"""Which messages came for a session or chat is read from the index alone, without their bodies."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("sessions_app", "0021_call_the_audit_by_its_name")]
    operations = [
        migrations.AddIndex(
            model_name="webhookevent",
            index=models.Index(fields=["organization", "remote_id", "kind"], name="webhookevent_subject"),
        ),
        migrations.RemoveIndex(model_name="webhookevent", name="webhookevent_remote_id"),
    ]
