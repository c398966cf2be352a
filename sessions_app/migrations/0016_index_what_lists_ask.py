"""Indexes of what lists are filtered by; and none that PostgreSQL keeps beside one that serves as well."""

from django.db import migrations, models

from sessions_app.models.mirrored import Cut
from sessions_app.models.schema import AddIndexWhileWritten, drop_pattern_indexes

INDEXES = [
    ("chat", models.Index(Cut('name'), condition=models.Q(('name', ''), _negated=True), name='chat_name')),
    ("chat", models.Index(condition=models.Q(('missing_since__isnull', False)), fields=['created_at', 'id'], name='chat_missing')),
    ("chat", models.Index(condition=models.Q(('failed_tool_count__gt', 0)), fields=['created_at', 'id'], name='chat_failed_tools')),
    ("edit", models.Index(fields=['state', 'created_at', 'id'], name='edit_state')),
    ("quarantinedrecord", models.Index(fields=['last_seen_at', 'id'], name='quarantined_last_seen_at')),
    ("session", models.Index(Cut('name'), condition=models.Q(('name', ''), _negated=True), name='session_name')),
    ("session", models.Index(Cut('customer_name'), condition=models.Q(('customer_name', ''), _negated=True), name='session_customer_name')),
    ("session", models.Index(Cut('customer_email'), condition=models.Q(('customer_email', ''), _negated=True), name='session_customer_email')),
    ("session", models.Index(Cut('customer_external_id'), condition=models.Q(('customer_external_id', ''), _negated=True), name='session_customer_external_id')),
    ("session", models.Index(condition=models.Q(('missing_since__isnull', False)), fields=['created_at', 'id'], name='session_missing')),
    ("session", models.Index(condition=models.Q(('failed_tool_count__gt', 0)), fields=['created_at', 'id'], name='session_failed_tools')),
    ("webhookevent", models.Index(condition=models.Q(('state', 'failed')), fields=['received_at', 'id'], name='webhookevent_failed')),
]


def drop(apps, schema_editor):
    drop_pattern_indexes(schema_editor)


class Migration(migrations.Migration):
    # Sync and people go on while indexes of millions of rows are built.
    atomic = False
    dependencies = [("sessions_app", "0015_tell_people")]
    operations = [
        migrations.RunPython(drop, migrations.RunPython.noop),
        *(AddIndexWhileWritten(model, index) for model, index in INDEXES),
    ]
