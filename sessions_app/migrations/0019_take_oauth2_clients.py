"""An OAuth2 client is one more proof that a message is Vapi's."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("sessions_app", "0018_tell_of_approvals"),
    ]

    operations = [
        migrations.AlterField(
            model_name="webhooksecret",
            name="kind",
            field=models.TextField(choices=[("bearer", "bearer token"), ("header", "X-Vapi-Secret"), ("hmac", "HMAC signature"), ("oauth2", "OAuth2 client")]),
        ),
    ]
