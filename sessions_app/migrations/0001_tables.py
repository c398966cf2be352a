"""Every table as Django declares it, in place of the steps by which they came to be."""

import django.core.validators
import django.db.models.deletion
import sessions_app.models.fields
import sessions_app.models.mirrored
import uuid
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    replaces = [
        ("sessions_app", "0001_first_tables"),
        ("sessions_app", "0002_full_text_and_collation"),
        ("sessions_app", "0003_link_superseded_edits"),
        ("sessions_app", "0004_prove_fresh_and_bulk"),
        ("sessions_app", "0005_collate_new_text"),
    ]

    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Organization",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "slug",
                    models.TextField(
                        unique=True,
                        validators=[
                            django.core.validators.RegexValidator(
                                "^[a-z0-9][a-z0-9-]{0,49}$", "Use a-z, 0-9 and -."
                            )
                        ],
                    ),
                ),
                ("name", models.TextField()),
                ("base_url", models.TextField(default="https://api.vapi.ai", verbose_name="Vapi's address")),
                (
                    "api_key",
                    sessions_app.models.fields.EncryptedTextField(
                        blank=True, default="", verbose_name="API key"
                    ),
                ),
                (
                    "vapi_org_id",
                    models.TextField(blank=True, default="", verbose_name="Vapi's organization id"),
                ),
                ("is_sandbox", models.BooleanField(default=False)),
                ("is_active", models.BooleanField(default=True)),
                (
                    "write_mode",
                    models.TextField(
                        choices=[
                            ("off", "Off: edits are drafted, none is sent"),
                            ("on", "On: edits are sent to Vapi"),
                            ("paused", "Paused: queued edits wait"),
                        ],
                        default="off",
                    ),
                ),
                ("report_time_zone", models.TextField(default="UTC")),
                ("requests_per_second", models.FloatField(default=5)),
                ("concurrent_requests", models.IntegerField(default=4)),
                ("paused_at", models.DateTimeField(blank=True, null=True)),
                ("paused_reason", models.TextField(blank=True, default="")),
                ("freshness_goal_seconds", models.IntegerField(default=300)),
                (
                    "payload_retention_days",
                    models.IntegerField(
                        blank=True,
                        default=None,
                        null=True,
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(36500),
                        ],
                    ),
                ),
                (
                    "row_retention_days",
                    models.IntegerField(
                        blank=True,
                        default=None,
                        null=True,
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(36500),
                        ],
                    ),
                ),
                (
                    "history_retention_days",
                    models.IntegerField(
                        blank=True,
                        default=365,
                        null=True,
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(36500),
                        ],
                    ),
                ),
                (
                    "body_retention_days",
                    models.IntegerField(
                        blank=True,
                        default=30,
                        null=True,
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(36500),
                        ],
                    ),
                ),
                (
                    "event_retention_days",
                    models.IntegerField(
                        blank=True,
                        default=180,
                        null=True,
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(36500),
                        ],
                    ),
                ),
                (
                    "quarantine_retention_days",
                    models.IntegerField(
                        blank=True,
                        default=180,
                        null=True,
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(36500),
                        ],
                    ),
                ),
                (
                    "run_retention_days",
                    models.IntegerField(
                        blank=True,
                        default=180,
                        null=True,
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(36500),
                        ],
                    ),
                ),
                (
                    "notice_retention_days",
                    models.IntegerField(
                        blank=True,
                        default=180,
                        null=True,
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(36500),
                        ],
                    ),
                ),
                ("requires_reason", models.BooleanField(default=False)),
                (
                    "bulk_delete_needs_approval",
                    models.BooleanField(default=True, verbose_name="A second person approves deleting many"),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
            options={
                "ordering": ("slug",),
                "permissions": [("change_write_mode", "Can turn sending edits to Vapi on and off")],
            },
        ),
        migrations.CreateModel(
            name="Heartbeat",
            fields=[
                ("kind", models.TextField(primary_key=True, serialize=False)),
                ("seen_at", models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name="ApiToken",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("name", models.TextField()),
                ("digest", models.TextField(editable=False, unique=True)),
                ("prefix", models.TextField(editable=False)),
                ("scopes", models.JSONField(default=list)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("expires_at", models.DateTimeField(blank=True, null=True)),
                ("last_used_at", models.DateTimeField(blank=True, null=True)),
                ("revoked_at", models.DateTimeField(blank=True, null=True)),
                (
                    "created_by",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "verbose_name": "API token",
                "ordering": ("-created_at", "-id"),
            },
        ),
        migrations.CreateModel(
            name="NumberSuffix",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("suffix", models.TextField()),
                ("digits", models.TextField()),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("suffix", "digits"), name="numbersuffix_key")
                ],
            },
        ),
        migrations.CreateModel(
            name="Chat",
            fields=[
                ("id", models.TextField(primary_key=True, serialize=False)),
                ("name", models.TextField(blank=True, default="")),
                ("assistant_id", models.TextField(blank=True, default="")),
                ("squad_id", models.TextField(blank=True, default="")),
                ("cost_usd", sessions_app.models.fields.UsdField(blank=True, null=True)),
                ("itemized_cost_usd", sessions_app.models.fields.UsdField(blank=True, null=True)),
                ("message_count", models.IntegerField(default=0)),
                ("failed_tool_count", models.IntegerField(default=0)),
                ("created_at", models.DateTimeField()),
                ("updated_at", models.DateTimeField()),
                ("fingerprint", models.TextField(default="", editable=False)),
                ("content_hash", models.TextField(default="", editable=False)),
                ("asked_at", models.DateTimeField(editable=False)),
                ("synced_at", models.DateTimeField()),
                ("missing_since", models.DateTimeField(blank=True, null=True)),
                (
                    "missing_reason",
                    models.TextField(
                        blank=True,
                        choices=[
                            ("deleted", "deleted at Vapi"),
                            ("beyond_retention", "beyond Vapi's retention"),
                            ("gone", "gone from Vapi, cause unknown"),
                        ],
                        default="",
                    ),
                ),
                ("has_blank_content", models.BooleanField(default=False)),
                ("has_replaced_text", models.BooleanField(default=False)),
                ("oddities", models.TextField(blank=True, default="")),
                ("session_id", models.TextField(blank=True, default="")),
                ("previous_chat_id", models.TextField(blank=True, default="")),
                (
                    "organization",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        to="sessions_app.organization",
                    ),
                ),
            ],
            options={
                "ordering": ("-created_at", "-id"),
                "indexes": [
                    models.Index(fields=["organization", "created_at", "id"], name="chat_created_at"),
                    models.Index(fields=["organization", "updated_at", "id"], name="chat_updated_at"),
                    models.Index(fields=["organization", "cost_usd", "id"], name="chat_cost_usd"),
                    models.Index(fields=["organization", "message_count", "id"], name="chat_message_count"),
                    models.Index(
                        fields=["organization", "assistant_id", "created_at", "id"], name="chat_assistant"
                    ),
                    models.Index(fields=["session_id", "created_at", "id"], name="chat_session"),
                    models.Index(
                        condition=models.Q(("previous_chat_id", ""), _negated=True),
                        fields=["previous_chat_id"],
                        name="chat_previous",
                    ),
                    models.Index(models.F("created_at"), models.F("id"), name="chat_any_created_at"),
                    models.Index(
                        sessions_app.models.mirrored.Cut("name"),
                        condition=models.Q(("name", ""), _negated=True),
                        name="chat_name",
                    ),
                    models.Index(
                        condition=models.Q(("missing_since__isnull", False)),
                        fields=["created_at", "id"],
                        name="chat_missing",
                    ),
                    models.Index(
                        condition=models.Q(("failed_tool_count__gt", 0)),
                        fields=["created_at", "id"],
                        name="chat_failed_tools",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Session",
            fields=[
                ("id", models.TextField(primary_key=True, serialize=False)),
                ("name", models.TextField(blank=True, default="")),
                ("assistant_id", models.TextField(blank=True, default="")),
                ("squad_id", models.TextField(blank=True, default="")),
                ("cost_usd", sessions_app.models.fields.UsdField(blank=True, null=True)),
                ("itemized_cost_usd", sessions_app.models.fields.UsdField(blank=True, null=True)),
                ("message_count", models.IntegerField(default=0)),
                ("failed_tool_count", models.IntegerField(default=0)),
                ("created_at", models.DateTimeField()),
                ("updated_at", models.DateTimeField()),
                ("fingerprint", models.TextField(default="", editable=False)),
                ("content_hash", models.TextField(default="", editable=False)),
                ("asked_at", models.DateTimeField(editable=False)),
                ("synced_at", models.DateTimeField()),
                ("missing_since", models.DateTimeField(blank=True, null=True)),
                (
                    "missing_reason",
                    models.TextField(
                        blank=True,
                        choices=[
                            ("deleted", "deleted at Vapi"),
                            ("beyond_retention", "beyond Vapi's retention"),
                            ("gone", "gone from Vapi, cause unknown"),
                        ],
                        default="",
                    ),
                ),
                ("has_blank_content", models.BooleanField(default=False)),
                ("has_replaced_text", models.BooleanField(default=False)),
                ("oddities", models.TextField(blank=True, default="")),
                ("status", models.TextField(blank=True, default="")),
                ("expiration_seconds", models.BigIntegerField(blank=True, null=True)),
                ("expires_at", models.DateTimeField()),
                ("idle_expires_at", models.DateTimeField()),
                ("phone_number_id", models.TextField(blank=True, default="")),
                ("customer_id", models.TextField(blank=True, default="")),
                ("customer_number", models.TextField(blank=True, default="")),
                ("customer_digits", models.TextField(blank=True, default="", editable=False)),
                ("customer_name", models.TextField(blank=True, default="")),
                ("customer_email", models.TextField(blank=True, default="")),
                ("customer_external_id", models.TextField(blank=True, default="")),
                ("customer_sip_uri", models.TextField(blank=True, default="")),
                (
                    "organization",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        to="sessions_app.organization",
                    ),
                ),
            ],
            options={
                "ordering": ("-created_at", "-id"),
                "permissions": [
                    ("refetch_session", "Can fetch sessions again from Vapi"),
                    ("edit_session", "Can correct sessions at Vapi"),
                    ("edit_messages", "Can correct messages of sessions at Vapi"),
                    ("delete_at_vapi", "Can delete sessions at Vapi"),
                ],
                "indexes": [
                    models.Index(fields=["organization", "created_at", "id"], name="session_created_at"),
                    models.Index(fields=["organization", "updated_at", "id"], name="session_updated_at"),
                    models.Index(fields=["organization", "cost_usd", "id"], name="session_cost_usd"),
                    models.Index(
                        fields=["organization", "message_count", "id"], name="session_message_count"
                    ),
                    models.Index(fields=["organization", "expires_at", "id"], name="session_expires_at"),
                    models.Index(
                        fields=["organization", "idle_expires_at", "id"], name="session_idle_expires_at"
                    ),
                    models.Index(
                        fields=["organization", "assistant_id", "created_at", "id"], name="session_assistant"
                    ),
                    models.Index(
                        fields=["organization", "status", "created_at", "id"], name="session_status"
                    ),
                    models.Index(fields=["customer_digits", "created_at", "id"], name="session_digits"),
                    models.Index(models.F("created_at"), models.F("id"), name="session_any_created_at"),
                    models.Index(
                        sessions_app.models.mirrored.Cut("name"),
                        condition=models.Q(("name", ""), _negated=True),
                        name="session_name",
                    ),
                    models.Index(
                        sessions_app.models.mirrored.Cut("customer_name"),
                        condition=models.Q(("customer_name", ""), _negated=True),
                        name="session_customer_name",
                    ),
                    models.Index(
                        sessions_app.models.mirrored.Cut("customer_email"),
                        condition=models.Q(("customer_email", ""), _negated=True),
                        name="session_customer_email",
                    ),
                    models.Index(
                        sessions_app.models.mirrored.Cut("customer_external_id"),
                        condition=models.Q(("customer_external_id", ""), _negated=True),
                        name="session_customer_external_id",
                    ),
                    models.Index(
                        condition=models.Q(("missing_since__isnull", False)),
                        fields=["created_at", "id"],
                        name="session_missing",
                    ),
                    models.Index(
                        condition=models.Q(("failed_tool_count__gt", 0)),
                        fields=["created_at", "id"],
                        name="session_failed_tools",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Budget",
            fields=[
                (
                    "organization",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        serialize=False,
                        to="sessions_app.organization",
                    ),
                ),
                ("tokens", models.FloatField(default=0)),
                ("refilled_at", models.DateTimeField()),
                ("cool_down_until", models.DateTimeField(blank=True, null=True)),
            ],
        ),
        migrations.CreateModel(
            name="BulkEdit",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "state",
                    models.TextField(
                        choices=[
                            ("previewed", "previewed"),
                            ("awaiting", "waiting for approval"),
                            ("running", "running"),
                            ("paused", "paused"),
                            ("done", "done"),
                            ("cancelled", "cancelled"),
                            ("refused", "refused"),
                        ],
                        default="previewed",
                    ),
                ),
                ("fields", models.JSONField(default=dict)),
                ("selection", models.JSONField(default=dict)),
                ("reason", models.TextField(blank=True, default="")),
                ("submission_key", models.UUIDField(blank=True, editable=False, null=True, unique=True)),
                ("submission_digest", models.TextField(blank=True, default="", editable=False)),
                ("decided_at", models.DateTimeField(blank=True, null=True)),
                ("decision_reason", models.TextField(blank=True, default="")),
                ("queued_through", models.TextField(blank=True, default="")),
                ("total", models.IntegerField(default=0)),
                ("skipped", models.JSONField(blank=True, default=list)),
                ("is_erased", models.BooleanField(default=False)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("next_attempt_at", models.DateTimeField(blank=True, null=True)),
                ("finished_at", models.DateTimeField(blank=True, null=True)),
                (
                    "author",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="bulk_edits",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "decided_by",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="decided_bulk_edits",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "organization",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, to="sessions_app.organization"
                    ),
                ),
                (
                    "token",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="bulk_edits",
                        to="sessions_app.apitoken",
                    ),
                ),
                (
                    "undoes",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="undone_by",
                        to="sessions_app.bulkedit",
                    ),
                ),
            ],
            options={
                "ordering": ("-created_at", "-id"),
                "permissions": [("bulk_edit_session", "Can correct many sessions at once")],
            },
        ),
        migrations.CreateModel(
            name="Channel",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("name", models.TextField()),
                (
                    "kind",
                    models.TextField(
                        choices=[
                            ("email", "e-mail"),
                            ("slack", "Slack"),
                            ("teams", "Teams"),
                            ("webhook", "signed webhook"),
                        ]
                    ),
                ),
                ("address", sessions_app.models.fields.EncryptedTextField(blank=True, default="")),
                ("secret", sessions_app.models.fields.EncryptedTextField(blank=True, default="")),
                ("topics", models.JSONField(default=list)),
                ("is_enabled", models.BooleanField(default=True)),
                ("rests_until", models.DateTimeField(blank=True, null=True)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("removed_at", models.DateTimeField(blank=True, null=True)),
                (
                    "organization",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        to="sessions_app.organization",
                    ),
                ),
                (
                    "owner",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "ordering": ("name", "id"),
                "permissions": [
                    ("own_channel", "Can choose channels of one's own for notices"),
                    ("share_channel", "Can manage shared channels for notices"),
                ],
            },
        ),
        migrations.CreateModel(
            name="CostLine",
            fields=[
                ("source", models.TextField(choices=[("session", "sessions"), ("chat", "chats")])),
                ("assistant_id", models.TextField(blank=True, default="")),
                ("squad_id", models.TextField(blank=True, default="")),
                ("phone_number_id", models.TextField(blank=True, default="")),
                ("id", models.TextField(primary_key=True, serialize=False)),
                ("parent_id", models.TextField()),
                ("session_id", models.TextField(blank=True, default="")),
                ("chat_id", models.TextField(blank=True, default="")),
                ("position", models.IntegerField()),
                ("kind", models.TextField(blank=True, default="")),
                ("analysis_type", models.TextField(blank=True, default="")),
                ("provider", models.TextField(blank=True, default="")),
                ("model", models.TextField(blank=True, default="")),
                ("prompt_tokens", models.BigIntegerField(blank=True, null=True)),
                ("completion_tokens", models.BigIntegerField(blank=True, null=True)),
                ("cached_prompt_tokens", models.BigIntegerField(blank=True, null=True)),
                ("reasoning_tokens", models.BigIntegerField(blank=True, null=True)),
                ("cost_usd", sessions_app.models.fields.UsdField(blank=True, null=True)),
                ("occurred_at", models.DateTimeField()),
                (
                    "organization",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        to="sessions_app.organization",
                    ),
                ),
            ],
            options={
                "ordering": ("-occurred_at", "-id"),
                "permissions": [("export_costline", "Can export costs")],
                "indexes": [
                    models.Index(fields=["source", "parent_id"], name="costline_parent"),
                    models.Index(fields=["organization", "occurred_at", "id"], name="costline_occurred_at"),
                    models.Index(fields=["organization", "cost_usd", "id"], name="costline_cost_usd"),
                    models.Index(fields=["session_id", "occurred_at"], name="costline_session"),
                ],
            },
        ),
        migrations.CreateModel(
            name="CostRollup",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("source", models.TextField(choices=[("session", "sessions"), ("chat", "chats")])),
                ("assistant_id", models.TextField(blank=True, default="")),
                ("squad_id", models.TextField(blank=True, default="")),
                ("phone_number_id", models.TextField(blank=True, default="")),
                ("day", models.DateField()),
                ("is_itemized", models.BooleanField()),
                ("kind", models.TextField(blank=True, default="")),
                ("analysis_type", models.TextField(blank=True, default="")),
                ("provider", models.TextField(blank=True, default="")),
                ("model", models.TextField(blank=True, default="")),
                ("cost_usd", sessions_app.models.fields.UsdField(default=0)),
                ("line_count", models.BigIntegerField(default=0)),
                ("without_cost_count", models.BigIntegerField(default=0)),
                ("prompt_tokens", models.BigIntegerField(default=0)),
                ("completion_tokens", models.BigIntegerField(default=0)),
                ("cached_prompt_tokens", models.BigIntegerField(default=0)),
                ("reasoning_tokens", models.BigIntegerField(default=0)),
                (
                    "organization",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        to="sessions_app.organization",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=(
                            "organization",
                            "day",
                            "source",
                            "is_itemized",
                            "kind",
                            "analysis_type",
                            "provider",
                            "model",
                            "assistant_id",
                            "squad_id",
                            "phone_number_id",
                        ),
                        name="costrollup_key",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Coverage",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "stream",
                    models.TextField(
                        choices=[("sessions", "sessions"), ("chats", "chats"), ("names", "names")]
                    ),
                ),
                ("day", models.DateField()),
                (
                    "state",
                    models.TextField(
                        choices=[
                            ("unknown", "not proven yet"),
                            ("proven", "proven"),
                            ("differs", "differs"),
                            ("beyond_retention", "beyond Vapi's retention"),
                        ],
                        default="unknown",
                    ),
                ),
                ("upstream_count", models.BigIntegerField(default=0)),
                ("mirrored_count", models.BigIntegerField(default=0)),
                ("missing_count", models.BigIntegerField(default=0)),
                ("forgotten_count", models.BigIntegerField(default=0)),
                ("proven_at", models.DateTimeField(blank=True, null=True)),
                ("walked_at", models.DateTimeField(blank=True, null=True)),
                ("disturbed_at", models.DateTimeField(blank=True, null=True)),
                ("requests", models.BigIntegerField(default=0)),
                ("note", models.TextField(blank=True, default="")),
                (
                    "organization",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, to="sessions_app.organization"
                    ),
                ),
            ],
            options={
                "ordering": ("-day", "stream"),
                "constraints": [
                    models.UniqueConstraint(fields=("organization", "stream", "day"), name="coverage_key")
                ],
            },
        ),
        migrations.CreateModel(
            name="Erasure",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("by", models.TextField()),
                ("value", sessions_app.models.fields.EncryptedTextField(blank=True, default="")),
                ("reason", models.TextField()),
                (
                    "state",
                    models.TextField(
                        choices=[
                            ("queued", "queued"),
                            ("running", "running"),
                            ("done", "done"),
                            ("partial", "partial"),
                        ],
                        default="queued",
                    ),
                ),
                ("at_vapi", models.BooleanField(default=False)),
                ("found", models.IntegerField(default=0)),
                ("erased_here", models.IntegerField(default=0)),
                ("erased_at_vapi", models.IntegerField(default=0)),
                ("note", models.TextField(blank=True, default="")),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("next_attempt_at", models.DateTimeField(blank=True, null=True)),
                ("finished_at", models.DateTimeField(blank=True, null=True)),
                (
                    "author",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "organization",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, to="sessions_app.organization"
                    ),
                ),
            ],
            options={
                "ordering": ("-created_at", "-id"),
                "permissions": [("erase_customer", "Can erase a customer")],
            },
        ),
        migrations.CreateModel(
            name="ForgottenId",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "stream",
                    models.TextField(
                        choices=[("sessions", "sessions"), ("chats", "chats"), ("names", "names")]
                    ),
                ),
                ("digest", models.TextField()),
                (
                    "reason",
                    models.TextField(
                        choices=[("pruned", "past our own retention"), ("erased", "erased on request")]
                    ),
                ),
                ("created_day", models.DateField()),
                ("forgotten_at", models.DateTimeField()),
                (
                    "organization",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, to="sessions_app.organization"
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(fields=["organization", "stream", "created_day"], name="forgottenid_day")
                ],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("organization", "stream", "digest"), name="forgottenid_key"
                    )
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
            options={
                "ordering": ("-began_at", "-id"),
            },
        ),
        migrations.CreateModel(
            name="Lease",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("number", models.BigIntegerField(default=0)),
                ("holder", models.TextField(blank=True, default="")),
                ("expires_at", models.DateTimeField(blank=True, null=True)),
                (
                    "stream",
                    models.TextField(
                        choices=[("sessions", "sessions"), ("chats", "chats"), ("names", "names")]
                    ),
                ),
                (
                    "kind",
                    models.TextField(
                        choices=[
                            ("backfill", "full"),
                            ("incremental", "incremental"),
                            ("reconcile", "reconcile"),
                        ]
                    ),
                ),
                (
                    "organization",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, to="sessions_app.organization"
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("organization", "stream", "kind"), name="lease_key")
                ],
            },
        ),
        migrations.CreateModel(
            name="LegalHold",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "by",
                    models.TextField(
                        choices=[
                            ("session", "session id"),
                            ("number", "phone number"),
                            ("email", "e-mail address"),
                            ("external_id", "external id"),
                        ],
                        default="session",
                    ),
                ),
                ("value", sessions_app.models.fields.EncryptedTextField(blank=True, default="")),
                ("reason", models.TextField()),
                ("set_by", models.TextField(blank=True, default="")),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("released_at", models.DateTimeField(blank=True, null=True)),
                ("released_by", models.TextField(blank=True, default="")),
                ("release_reason", models.TextField(blank=True, default="")),
                (
                    "organization",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, to="sessions_app.organization"
                    ),
                ),
            ],
            options={
                "ordering": ("-created_at", "-id"),
                "permissions": [("hold_sessions", "Can set and release legal holds")],
                "indexes": [models.Index(fields=["created_at", "id"], name="legalhold_created_at")],
            },
        ),
        migrations.CreateModel(
            name="Lookup",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("digest", models.TextField()),
                ("asked_at", models.DateTimeField()),
                ("was_found", models.BooleanField(default=False)),
                (
                    "organization",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, to="sessions_app.organization"
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("organization", "digest"), name="lookup_key")
                ],
            },
        ),
        migrations.CreateModel(
            name="RemoteName",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "kind",
                    models.TextField(
                        choices=[
                            ("assistant", "assistant"),
                            ("squad", "squad"),
                            ("phone_number", "phone number"),
                        ]
                    ),
                ),
                ("remote_id", models.TextField()),
                ("name", models.TextField(blank=True, default="")),
                ("updated_at", models.DateTimeField(blank=True, null=True)),
                ("synced_at", models.DateTimeField()),
                ("missing_since", models.DateTimeField(blank=True, null=True)),
                (
                    "organization",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, to="sessions_app.organization"
                    ),
                ),
            ],
            options={
                "ordering": ("kind", "name", "remote_id"),
                "constraints": [
                    models.UniqueConstraint(
                        fields=("organization", "kind", "remote_id"), name="remotename_key"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="ReportedCost",
            fields=[
                ("source", models.TextField(choices=[("session", "sessions"), ("chat", "chats")])),
                ("assistant_id", models.TextField(blank=True, default="")),
                ("squad_id", models.TextField(blank=True, default="")),
                ("phone_number_id", models.TextField(blank=True, default="")),
                ("id", models.TextField(primary_key=True, serialize=False)),
                ("parent_id", models.TextField()),
                ("cost_usd", sessions_app.models.fields.UsdField(blank=True, null=True)),
                ("occurred_at", models.DateTimeField()),
                (
                    "organization",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        to="sessions_app.organization",
                    ),
                ),
            ],
            options={
                "abstract": False,
            },
        ),
        migrations.CreateModel(
            name="RequestSlot",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "purpose",
                    models.TextField(
                        choices=[
                            ("person", "a person waits"),
                            ("push", "edits"),
                            ("webhook", "webhooks"),
                            ("incremental", "incremental sync"),
                            ("names", "names"),
                            ("reconcile", "reconcile"),
                            ("backfill", "full sync"),
                        ]
                    ),
                ),
                ("expires_at", models.DateTimeField()),
                (
                    "organization",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, to="sessions_app.organization"
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="RequestTally",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("minute", models.DateTimeField()),
                (
                    "purpose",
                    models.TextField(
                        choices=[
                            ("person", "a person waits"),
                            ("push", "edits"),
                            ("webhook", "webhooks"),
                            ("incremental", "incremental sync"),
                            ("names", "names"),
                            ("reconcile", "reconcile"),
                            ("backfill", "full sync"),
                        ]
                    ),
                ),
                ("outcome", models.TextField()),
                ("count", models.BigIntegerField(default=0)),
                ("waited_milliseconds", models.BigIntegerField(default=0)),
                ("took_milliseconds", models.BigIntegerField(default=0)),
                (
                    "organization",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, to="sessions_app.organization"
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("organization", "minute", "purpose", "outcome"), name="requesttally_key"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="RetentionBoundary",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "stream",
                    models.TextField(
                        choices=[("sessions", "sessions"), ("chats", "chats"), ("names", "names")]
                    ),
                ),
                ("oldest_listed_at", models.DateTimeField(blank=True, null=True)),
                ("is_announced", models.BooleanField(default=False)),
                ("confirmed_at", models.DateTimeField(blank=True, null=True)),
                ("seen_at", models.DateTimeField()),
                (
                    "organization",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, to="sessions_app.organization"
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("organization", "stream"), name="retentionboundary_key")
                ],
            },
        ),
        migrations.CreateModel(
            name="SchemaDrift",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "stream",
                    models.TextField(
                        choices=[("sessions", "sessions"), ("chats", "chats"), ("names", "names")]
                    ),
                ),
                (
                    "kind",
                    models.TextField(
                        choices=[
                            ("field", "unknown field"),
                            ("status", "unknown status"),
                            ("role", "unknown role"),
                            ("cost_kind", "unknown kind of cost"),
                        ]
                    ),
                ),
                ("name", models.TextField()),
                ("shape", models.JSONField(blank=True, default=dict)),
                ("first_seen_at", models.DateTimeField()),
                ("last_seen_at", models.DateTimeField()),
                ("count", models.BigIntegerField(default=0)),
                (
                    "organization",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, to="sessions_app.organization"
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "schema drift",
                "ordering": ("-first_seen_at", "-id"),
                "constraints": [
                    models.UniqueConstraint(
                        fields=("organization", "stream", "kind", "name"), name="schemadrift_key"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="SearchText",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("source", models.TextField(choices=[("session", "sessions"), ("chat", "chats")])),
                ("parent_id", models.TextField()),
                ("session_id", models.TextField(blank=True, default="")),
                ("is_cut", models.BooleanField(default=False)),
                (
                    "organization",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, to="sessions_app.organization"
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("source", "parent_id"), name="searchtext_key")
                ],
            },
        ),
        migrations.CreateModel(
            name="SyncRun",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "stream",
                    models.TextField(
                        choices=[("sessions", "sessions"), ("chats", "chats"), ("names", "names")]
                    ),
                ),
                (
                    "kind",
                    models.TextField(
                        choices=[
                            ("backfill", "full"),
                            ("incremental", "incremental"),
                            ("reconcile", "reconcile"),
                        ]
                    ),
                ),
                (
                    "state",
                    models.TextField(
                        choices=[
                            ("running", "running"),
                            ("succeeded", "succeeded"),
                            ("partial", "partial"),
                            ("failed", "failed"),
                        ],
                        default="running",
                    ),
                ),
                ("lease_number", models.BigIntegerField(default=0)),
                ("seen", models.BigIntegerField(default=0)),
                ("created", models.BigIntegerField(default=0)),
                ("updated", models.BigIntegerField(default=0)),
                ("unchanged", models.BigIntegerField(default=0)),
                ("quarantined", models.BigIntegerField(default=0)),
                ("missing", models.BigIntegerField(default=0)),
                ("total", models.BigIntegerField(blank=True, null=True)),
                ("error", models.TextField(blank=True, default="")),
                ("started_at", models.DateTimeField()),
                ("finished_at", models.DateTimeField(blank=True, null=True)),
                (
                    "organization",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, to="sessions_app.organization"
                    ),
                ),
                (
                    "started_by",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "ordering": ("-started_at", "-id"),
                "indexes": [models.Index(fields=["started_at", "id"], name="syncrun_started_at")],
            },
        ),
        migrations.CreateModel(
            name="SyncWindow",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("number", models.BigIntegerField(default=0)),
                ("holder", models.TextField(blank=True, default="")),
                ("expires_at", models.DateTimeField(blank=True, null=True)),
                (
                    "stream",
                    models.TextField(
                        choices=[("sessions", "sessions"), ("chats", "chats"), ("names", "names")]
                    ),
                ),
                ("starts_at", models.DateTimeField(blank=True, null=True)),
                ("ends_at", models.DateTimeField(blank=True, null=True)),
                ("reached_at", models.DateTimeField(blank=True, null=True)),
                ("finished_at", models.DateTimeField(blank=True, null=True)),
                ("seen", models.BigIntegerField(default=0)),
                ("expected", models.BigIntegerField(blank=True, null=True)),
                (
                    "organization",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, to="sessions_app.organization"
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(fields=["organization", "stream", "finished_at"], name="syncwindow_open")
                ],
            },
        ),
        migrations.CreateModel(
            name="Watermark",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "stream",
                    models.TextField(
                        choices=[("sessions", "sessions"), ("chats", "chats"), ("names", "names")]
                    ),
                ),
                ("updated_at", models.DateTimeField(blank=True, null=True)),
                ("planned_at", models.DateTimeField(blank=True, null=True)),
                ("backfilled_at", models.DateTimeField(blank=True, null=True)),
                ("swept_at", models.DateTimeField(blank=True, null=True)),
                (
                    "organization",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, to="sessions_app.organization"
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("organization", "stream"), name="watermark_key")
                ],
            },
        ),
        migrations.CreateModel(
            name="WebhookEvent",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("digest", models.TextField()),
                ("kind", models.TextField(blank=True, default="")),
                ("remote_id", models.TextField(blank=True, default="")),
                ("assistant_id", models.TextField(blank=True, default="")),
                ("sent_at", models.DateTimeField(blank=True, null=True)),
                ("object_updated_at", models.DateTimeField(blank=True, null=True)),
                ("body_json", models.TextField(blank=True, default="")),
                (
                    "state",
                    models.TextField(
                        choices=[
                            ("received", "received"),
                            ("processed", "processed"),
                            ("ignored", "ignored"),
                            ("failed", "failed"),
                        ],
                        default="received",
                    ),
                ),
                ("verdict", models.TextField(blank=True, default="")),
                ("deliveries", models.IntegerField(default=1)),
                ("attempts", models.IntegerField(default=0)),
                ("received_at", models.DateTimeField()),
                ("next_attempt_at", models.DateTimeField(blank=True, null=True)),
                ("processed_at", models.DateTimeField(blank=True, null=True)),
                (
                    "organization",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, to="sessions_app.organization"
                    ),
                ),
            ],
            options={
                "ordering": ("-received_at", "-id"),
                "permissions": [("replay_webhookevent", "Can process webhook events again")],
                "indexes": [
                    models.Index(fields=["received_at", "id"], name="webhookevent_received_at"),
                    models.Index(
                        condition=models.Q(("state", "received")),
                        fields=["next_attempt_at"],
                        name="webhookevent_due",
                    ),
                    models.Index(fields=["organization", "remote_id", "kind"], name="webhookevent_subject"),
                    models.Index(
                        condition=models.Q(("state", "failed")),
                        fields=["received_at", "id"],
                        name="webhookevent_failed",
                    ),
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("organization", "digest"), name="webhookevent_key")
                ],
            },
        ),
        migrations.CreateModel(
            name="WebhookSecret",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "kind",
                    models.TextField(
                        choices=[
                            ("bearer", "bearer token"),
                            ("header", "X-Vapi-Secret"),
                            ("hmac", "HMAC signature"),
                            ("oauth2", "OAuth2 client"),
                        ]
                    ),
                ),
                ("secret", sessions_app.models.fields.EncryptedTextField()),
                ("options", models.JSONField(blank=True, default=dict)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("retired_at", models.DateTimeField(blank=True, null=True)),
                (
                    "organization",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="webhook_secrets",
                        to="sessions_app.organization",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="WriteModeChange",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "mode",
                    models.TextField(
                        choices=[
                            ("off", "Off: edits are drafted, none is sent"),
                            ("on", "On: edits are sent to Vapi"),
                            ("paused", "Paused: queued edits wait"),
                        ]
                    ),
                ),
                ("reason", models.TextField()),
                ("changed_at", models.DateTimeField(auto_now_add=True)),
                (
                    "author",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "organization",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="write_mode_changes",
                        to="sessions_app.organization",
                    ),
                ),
            ],
            options={
                "ordering": ("-changed_at", "-id"),
            },
        ),
        migrations.CreateModel(
            name="BulkTransition",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("act", models.TextField()),
                ("sessions", models.IntegerField()),
                ("actor", models.TextField(blank=True, default="")),
                ("request_id", models.TextField(blank=True, default="")),
                ("happened_at", models.DateTimeField()),
                (
                    "bulk",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="transitions",
                        to="sessions_app.bulkedit",
                    ),
                ),
                (
                    "organization",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, to="sessions_app.organization"
                    ),
                ),
            ],
            options={
                "ordering": ("happened_at", "id"),
            },
        ),
        migrations.CreateModel(
            name="ChatPayload",
            fields=[
                (
                    "chat",
                    models.OneToOneField(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="stored_payload",
                        serialize=False,
                        to="sessions_app.chat",
                    ),
                ),
                ("payload_json", models.TextField()),
            ],
        ),
        migrations.CreateModel(
            name="Edit",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("submission_key", models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                ("session_id", models.TextField()),
                (
                    "kind",
                    models.TextField(
                        choices=[
                            ("update", "update"),
                            ("messages", "messages"),
                            ("create", "create"),
                            ("delete", "delete"),
                        ],
                        default="update",
                    ),
                ),
                (
                    "state",
                    models.TextField(
                        choices=[
                            ("queued", "queued"),
                            ("sending", "sending"),
                            ("applied", "applied"),
                            ("conflict", "conflict"),
                            ("rejected", "rejected"),
                            ("failed", "failed"),
                            ("withdrawn", "withdrawn"),
                            ("superseded", "superseded"),
                        ],
                        default="queued",
                    ),
                ),
                ("base", models.JSONField(default=dict)),
                ("fields", models.JSONField(default=dict)),
                ("theirs", models.JSONField(blank=True, default=dict)),
                ("operations", models.JSONField(blank=True, default=list)),
                ("request_id", models.TextField(blank=True, default="")),
                ("reason", models.TextField(blank=True, default="")),
                ("source", models.TextField(default="admin")),
                ("error", models.TextField(blank=True, default="")),
                ("attempts", models.IntegerField(default=0)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("next_attempt_at", models.DateTimeField(blank=True, null=True)),
                ("claimed_until", models.DateTimeField(blank=True, null=True)),
                ("claim_number", models.BigIntegerField(default=0)),
                ("sent_at", models.DateTimeField(blank=True, null=True)),
                ("sent", models.JSONField(blank=True, default=dict)),
                ("settled_at", models.DateTimeField(blank=True, null=True)),
                (
                    "author",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "bulk",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="edits",
                        to="sessions_app.bulkedit",
                    ),
                ),
                (
                    "organization",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, to="sessions_app.organization"
                    ),
                ),
                (
                    "superseded_by",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="supersedes",
                        to="sessions_app.edit",
                    ),
                ),
                (
                    "token",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        to="sessions_app.apitoken",
                    ),
                ),
                (
                    "undoes",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="undone_by",
                        to="sessions_app.edit",
                    ),
                ),
            ],
            options={
                "ordering": ("-created_at", "-id"),
                "indexes": [
                    models.Index(fields=["session_id", "id"], name="edit_session"),
                    models.Index(
                        condition=models.Q(("state__in", ["queued", "sending"])),
                        fields=["next_attempt_at"],
                        name="edit_due",
                    ),
                    models.Index(fields=["created_at", "id"], name="edit_created_at"),
                    models.Index(fields=["state", "created_at", "id"], name="edit_state"),
                ],
            },
        ),
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
            name="SessionPayload",
            fields=[
                (
                    "session",
                    models.OneToOneField(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="stored_payload",
                        serialize=False,
                        to="sessions_app.session",
                    ),
                ),
                ("payload_json", models.TextField()),
            ],
        ),
        migrations.CreateModel(
            name="QuarantinedRecord",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "stream",
                    models.TextField(
                        choices=[("sessions", "sessions"), ("chats", "chats"), ("names", "names")]
                    ),
                ),
                ("remote_id", models.TextField(blank=True, default="")),
                ("reason", models.TextField()),
                ("payload_json", models.TextField(blank=True, default="")),
                ("first_seen_at", models.DateTimeField()),
                ("last_seen_at", models.DateTimeField()),
                ("times_seen", models.IntegerField(default=1)),
                ("resolved_at", models.DateTimeField(blank=True, null=True)),
                ("resolution", models.TextField(blank=True, default="")),
                (
                    "organization",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, to="sessions_app.organization"
                    ),
                ),
                (
                    "run",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        to="sessions_app.syncrun",
                    ),
                ),
            ],
            options={
                "ordering": ("-last_seen_at", "-id"),
                "indexes": [models.Index(fields=["last_seen_at", "id"], name="quarantined_last_seen_at")],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("organization", "stream", "remote_id", "reason"), name="quarantinedrecord_key"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="EditTransition",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("state", models.TextField()),
                ("actor", models.TextField(blank=True, default="")),
                ("request_id", models.TextField(blank=True, default="")),
                ("http_status", models.IntegerField(blank=True, null=True)),
                ("digests", models.JSONField(default=dict)),
                ("note", models.TextField(blank=True, default="")),
                ("happened_at", models.DateTimeField()),
                (
                    "edit",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="transitions",
                        to="sessions_app.edit",
                    ),
                ),
                (
                    "organization",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, to="sessions_app.organization"
                    ),
                ),
            ],
            options={
                "verbose_name": "change of an edit's state",
                "verbose_name_plural": "audit",
                "ordering": ("happened_at", "id"),
                "indexes": [models.Index(fields=["happened_at", "id"], name="edittransition_happened_at")],
            },
        ),
        migrations.CreateModel(
            name="FieldChange",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("session_id", models.TextField()),
                (
                    "source",
                    models.TextField(
                        choices=[
                            ("sync", "sync"),
                            ("refetch", "fetched again"),
                            ("webhook", "webhook"),
                            ("edit", "edit"),
                        ]
                    ),
                ),
                ("seen_at", models.DateTimeField()),
                ("updated_at", models.DateTimeField()),
                ("fields", models.JSONField(default=dict)),
                (
                    "edit",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        to="sessions_app.edit",
                    ),
                ),
                (
                    "organization",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        to="sessions_app.organization",
                    ),
                ),
            ],
            options={
                "ordering": ("-seen_at", "-id"),
                "indexes": [
                    models.Index(fields=["session_id", "seen_at", "id"], name="fieldchange_session"),
                    models.Index(fields=["seen_at"], name="fieldchange_seen_at"),
                ],
            },
        ),
        migrations.CreateModel(
            name="Notice",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("key", models.TextField(unique=True)),
                (
                    "cause",
                    models.TextField(
                        choices=[
                            ("edit.applied", "edit applied"),
                            ("edit.conflict", "edit in conflict"),
                            ("edit.rejected", "edit rejected"),
                            ("edit.failed", "edit failed"),
                            ("bulk.ended", "bulk edit ended"),
                            ("bulk.awaiting", "bulk edit waits for approval"),
                            ("bulk.refused", "bulk edit refused"),
                            ("organization.paused", "organization paused"),
                            ("organization.resumed", "organization resumed"),
                            ("test", "test"),
                        ]
                    ),
                ),
                ("edit_state", models.TextField(blank=True, default="")),
                ("seen_at", models.DateTimeField(blank=True, null=True)),
                ("facts", models.JSONField(default=dict)),
                ("created_at", models.DateTimeField()),
                (
                    "bulk",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        to="sessions_app.bulkedit",
                    ),
                ),
                (
                    "edit",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        to="sessions_app.edit",
                    ),
                ),
                (
                    "organization",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        to="sessions_app.organization",
                    ),
                ),
                (
                    "person",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "ordering": ("-created_at", "-id"),
                "indexes": [
                    models.Index(
                        condition=models.Q(("seen_at", None)),
                        fields=["person", "created_at"],
                        name="notice_unseen",
                    ),
                    models.Index(fields=["created_at"], name="notice_created_at"),
                ],
            },
        ),
        migrations.CreateModel(
            name="Delivery",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("message_id", models.UUIDField(default=uuid.uuid4, editable=False)),
                (
                    "state",
                    models.TextField(
                        choices=[
                            ("queued", "queued"),
                            ("sent", "sent"),
                            ("failed", "failed"),
                            ("gave_up", "gave up"),
                        ],
                        default="queued",
                    ),
                ),
                ("attempts", models.IntegerField(default=0)),
                ("next_attempt_at", models.DateTimeField(blank=True, null=True)),
                ("claimed_until", models.DateTimeField(blank=True, null=True)),
                ("claim_number", models.BigIntegerField(default=0)),
                ("http_status", models.IntegerField(blank=True, null=True)),
                ("error", models.TextField(blank=True, default="")),
                ("created_at", models.DateTimeField()),
                ("sent_at", models.DateTimeField(blank=True, null=True)),
                (
                    "channel",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="deliveries",
                        to="sessions_app.channel",
                    ),
                ),
                (
                    "notice",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="deliveries",
                        to="sessions_app.notice",
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "deliveries",
                "ordering": ("-created_at", "-id"),
                "indexes": [
                    models.Index(fields=["created_at", "id"], name="delivery_created_at"),
                    models.Index(
                        condition=models.Q(("state__in", ["queued", "failed"])),
                        fields=["channel", "id"],
                        name="delivery_due",
                    ),
                ],
                "constraints": [models.UniqueConstraint(fields=("notice", "channel"), name="delivery_key")],
            },
        ),
    ]
