"""Channels, notices and their deliveries."""

import django.core.validators
import django.db.models.deletion
import sessions_app.models.fields
import uuid
from django.conf import settings
from django.db import migrations, models

from sessions_app.models.schema import collate_text


def collate(apps, schema_editor):
    collate_text(schema_editor)


class Migration(migrations.Migration):

    dependencies = [
        ('sessions_app', '0014_let_many_workers_take_windows'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddField(
            model_name='organization',
            name='notice_retention_days',
            field=models.IntegerField(blank=True, default=180, null=True, validators=[django.core.validators.MinValueValidator(1), django.core.validators.MaxValueValidator(36500)]),
        ),
        migrations.CreateModel(
            name='Channel',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.TextField()),
                ('kind', models.TextField(choices=[('email', 'e-mail'), ('slack', 'Slack'), ('teams', 'Teams'), ('webhook', 'signed webhook')])),
                ('address', sessions_app.models.fields.EncryptedTextField(blank=True, default='')),
                ('secret', sessions_app.models.fields.EncryptedTextField(blank=True, default='')),
                ('topics', models.JSONField(default=list)),
                ('is_enabled', models.BooleanField(default=True)),
                ('rests_until', models.DateTimeField(blank=True, null=True)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('removed_at', models.DateTimeField(blank=True, null=True)),
                ('organization', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, to='sessions_app.organization')),
                ('owner', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'ordering': ('name', 'id'),
                'permissions': [('own_channel', "Can choose channels of one's own for notices"), ('share_channel', 'Can manage shared channels for notices')],
            },
        ),
        migrations.CreateModel(
            name='Notice',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('key', models.TextField(unique=True)),
                ('cause', models.TextField(choices=[('edit.applied', 'edit applied'), ('edit.conflict', 'edit in conflict'), ('edit.rejected', 'edit rejected'), ('edit.failed', 'edit failed'), ('bulk.ended', 'bulk edit ended'), ('organization.paused', 'organization paused'), ('organization.resumed', 'organization resumed'), ('test', 'test')])),
                ('edit_state', models.TextField(blank=True, default='')),
                ('seen_at', models.DateTimeField(blank=True, null=True)),
                ('facts', models.JSONField(default=dict)),
                ('created_at', models.DateTimeField()),
                ('bulk', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, to='sessions_app.bulkedit')),
                ('edit', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, to='sessions_app.edit')),
                ('organization', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, to='sessions_app.organization')),
                ('person', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'ordering': ('-created_at', '-id'),
            },
        ),
        migrations.CreateModel(
            name='Delivery',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('message_id', models.UUIDField(default=uuid.uuid4, editable=False)),
                ('state', models.TextField(choices=[('queued', 'queued'), ('sent', 'sent'), ('failed', 'failed'), ('gave_up', 'gave up')], default='queued')),
                ('attempts', models.IntegerField(default=0)),
                ('next_attempt_at', models.DateTimeField(blank=True, null=True)),
                ('claimed_until', models.DateTimeField(blank=True, null=True)),
                ('claim_number', models.BigIntegerField(default=0)),
                ('http_status', models.IntegerField(blank=True, null=True)),
                ('error', models.TextField(blank=True, default='')),
                ('created_at', models.DateTimeField()),
                ('sent_at', models.DateTimeField(blank=True, null=True)),
                ('channel', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='deliveries', to='sessions_app.channel')),
                ('notice', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='deliveries', to='sessions_app.notice')),
            ],
            options={
                'verbose_name_plural': 'deliveries',
                'ordering': ('-created_at', '-id'),
            },
        ),
        migrations.AddIndex(
            model_name='notice',
            index=models.Index(condition=models.Q(('seen_at', None)), fields=['person', 'created_at'], name='notice_unseen'),
        ),
        migrations.AddIndex(
            model_name='notice',
            index=models.Index(fields=['created_at'], name='notice_created_at'),
        ),
        migrations.AddIndex(
            model_name='delivery',
            index=models.Index(fields=['created_at', 'id'], name='delivery_created_at'),
        ),
        migrations.AddIndex(
            model_name='delivery',
            index=models.Index(condition=models.Q(('state__in', ['queued', 'failed'])), fields=['channel', 'id'], name='delivery_due'),
        ),
        migrations.AddConstraint(
            model_name='delivery',
            constraint=models.UniqueConstraint(fields=('notice', 'channel'), name='delivery_key'),
        ),
        migrations.RunPython(collate, migrations.RunPython.noop),
    ]
