"""Legal holds by customer, kept after their release; the trail of pauses; age limits of each organization's own."""

import django.core.validators
import django.db.models.deletion
from django.db import migrations, models

import sessions_app.models.fields
from sessions_app.models.schema import collate_text


def days(default=None):
    limits = [django.core.validators.MinValueValidator(1), django.core.validators.MaxValueValidator(36500)]
    return models.IntegerField(blank=True, default=default, null=True, validators=limits)


def keep_holds(apps, schema_editor):
    """A hold was one session; it becomes an order that holds this session."""
    held = apps.get_model("sessions_app", "HeldSession")
    for hold in apps.get_model("sessions_app", "LegalHold").objects.select_related("author"):
        hold.value, hold.set_by = hold.session_id, hold.author.username if hold.author else "command line"
        hold.save(update_fields=["value", "set_by"])
        held.objects.create(hold=hold, session_id=hold.session_id)
    if schema_editor.connection.vendor == "postgresql":
        # What is still to be checked at the end would keep the tables from being altered.
        schema_editor.execute("SET CONSTRAINTS ALL IMMEDIATE")


def collate(apps, schema_editor):
    collate_text(schema_editor)


class Migration(migrations.Migration):
    dependencies = [("sessions_app", "0011_keep_audit_and_proof_of_sending")]
    operations = [
        migrations.CreateModel(
            name="HeldSession",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("session_id", models.TextField(db_index=True)),
                (
                    "hold",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="held",
                        to="sessions_app.legalhold",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("hold", "session_id"), name="heldsession_key")
                ],
            },
        ),
        migrations.CreateModel(
            name="KeyPause",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("cause", models.TextField()),
                ("began_at", models.DateTimeField()),
                ("ended_at", models.DateTimeField(blank=True, null=True)),
                ("ended_by", models.TextField(blank=True, default="")),
                ("end_reason", models.TextField(blank=True, default="")),
                (
                    "organization",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="pauses",
                        to="sessions_app.organization",
                    ),
                ),
            ],
            options={"ordering": ("-began_at", "-id")},
        ),
        migrations.AlterModelOptions(
            name="legalhold",
            options={
                "ordering": ("-created_at", "-id"),
                "permissions": [("hold_sessions", "Can set and release legal holds")],
            },
        ),
        migrations.AddField(
            model_name="legalhold",
            name="by",
            field=models.TextField(
                choices=[
                    ("session", "session id"),
                    ("number", "phone number"),
                    ("email", "e-mail address"),
                    ("external_id", "external id"),
                ],
                default="session",
            ),
        ),
        migrations.AddField(
            model_name="legalhold",
            name="value",
            field=sessions_app.models.fields.EncryptedTextField(blank=True, default=""),
        ),
        migrations.AddField(
            model_name="legalhold", name="set_by", field=models.TextField(blank=True, default="")
        ),
        migrations.AddField(
            model_name="legalhold", name="released_at", field=models.DateTimeField(blank=True, null=True)
        ),
        migrations.AddField(
            model_name="legalhold", name="released_by", field=models.TextField(blank=True, default="")
        ),
        migrations.AddField(
            model_name="legalhold", name="release_reason", field=models.TextField(blank=True, default="")
        ),
        migrations.RunPython(keep_holds, migrations.RunPython.noop),
        migrations.RemoveField(model_name="legalhold", name="author"),
        migrations.RemoveField(model_name="legalhold", name="session_id"),
        migrations.AddIndex(
            model_name="legalhold",
            index=models.Index(fields=["created_at", "id"], name="legalhold_created_at"),
        ),
        *(
            migrations.AddField(model_name="organization", name=f"{what}_retention_days", field=days(default))
            for what, default in (("body", 30), ("event", 180), ("quarantine", 180), ("run", 180))
        ),
        *(
            migrations.AlterField(
                model_name="organization", name=f"{what}_retention_days", field=days(default)
            )
            for what, default in (("payload", None), ("row", None), ("history", 365))
        ),
        migrations.RunPython(collate, migrations.RunPython.noop),
    ]
