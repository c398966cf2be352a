"""Owns the shapes that the OpenAPI document shows. Rows are not made by these: tests hold both together."""

from __future__ import annotations

from functools import cache
from typing import Any

from drf_spectacular.utils import inline_serializer
from rest_framework import serializers

_TEXT = serializers.CharField
_MOMENT = serializers.DateTimeField


def _usd() -> serializers.DecimalField:
    return serializers.DecimalField(max_digits=18, decimal_places=12, allow_null=True)


def _tokens() -> serializers.IntegerField:
    return serializers.IntegerField(allow_null=True)


class SessionRow(serializers.Serializer[Any]):
    id = _TEXT()
    organization = _TEXT()
    name = _TEXT()
    status = _TEXT()
    created_at = _MOMENT()
    updated_at = _MOMENT()
    expiration_seconds = serializers.IntegerField(allow_null=True)
    expires_at = _MOMENT()
    idle_expires_at = _MOMENT()
    assistant_id = _TEXT()
    squad_id = _TEXT()
    phone_number_id = _TEXT()
    customer_id = _TEXT()
    customer_number = _TEXT()
    customer_name = _TEXT()
    customer_email = _TEXT()
    customer_external_id = _TEXT()
    customer_sip_uri = _TEXT()
    cost_usd = _usd()
    itemized_cost_usd = _usd()
    message_count = serializers.IntegerField()
    failed_tool_count = serializers.IntegerField()
    synced_at = _MOMENT()
    missing_since = _MOMENT(allow_null=True)
    missing_reason = _TEXT()


class NewestEdit(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    state = _TEXT()


class SessionDetail(SessionRow):
    pending = serializers.DictField(help_text="Values of edits under way: {field: value}.")
    newest_edit = NewestEdit(allow_null=True)
    payload = serializers.DictField(allow_null=True)


class MessageOperation(serializers.Serializer[Any]):
    """What is done to one message. `digest` is an edit's or left out: then the mirrored message is meant."""

    do = serializers.ChoiceField(choices=("replace", "redact", "remove"))
    position = serializers.IntegerField(help_text="From 0.")
    text = _TEXT(required=False, max_length=10_000)
    digest = _TEXT(required=False)


class SessionCreate(serializers.Serializer[Any]):
    """A new session. With one organization, `organization` may be left out."""

    organization = _TEXT(required=False)
    name = _TEXT(required=False, max_length=40)
    status = _TEXT(required=False)
    expiration_seconds = serializers.IntegerField(required=False)
    assistant_id = _TEXT(required=False)
    squad_id = _TEXT(required=False)
    phone_number_id = _TEXT(required=False)
    customer_id = _TEXT(required=False)
    customer = serializers.DictField(required=False, help_text="number, name, email, external_id, sip_uri")
    messages = serializers.ListField(required=False, help_text="Each {role, content}.")
    reason = _TEXT(required=False)


class SessionPatch(serializers.Serializer[Any]):
    """At least one of the first three, or messages alone."""

    name = _TEXT(required=False, max_length=40)
    status = _TEXT(required=False)
    expiration_seconds = serializers.IntegerField(required=False)
    messages = MessageOperation(many=True, required=False)
    reason = _TEXT(required=False)


class ChatRow(serializers.Serializer[Any]):
    id = _TEXT()
    organization = _TEXT()
    session_id = _TEXT()
    previous_chat_id = _TEXT()
    assistant_id = _TEXT()
    squad_id = _TEXT()
    name = _TEXT()
    created_at = _MOMENT()
    updated_at = _MOMENT()
    cost_usd = _usd()
    itemized_cost_usd = _usd()
    message_count = serializers.IntegerField()
    failed_tool_count = serializers.IntegerField()
    synced_at = _MOMENT()
    missing_since = _MOMENT(allow_null=True)
    missing_reason = _TEXT()


class ChatDetail(ChatRow):
    payload = serializers.DictField(allow_null=True)


class CostLineRow(serializers.Serializer[Any]):
    id = _TEXT()
    organization = _TEXT()
    source = _TEXT()  # type: ignore[assignment]  # the row's own name, which DRF collects
    session_id = _TEXT()
    chat_id = _TEXT()
    position = serializers.IntegerField()
    kind = _TEXT()
    analysis_type = _TEXT()
    provider = _TEXT()
    model = _TEXT()
    prompt_tokens = _tokens()
    completion_tokens = _tokens()
    cached_prompt_tokens = _tokens()
    reasoning_tokens = _tokens()
    cost_usd = _usd()
    assistant_id = _TEXT()
    squad_id = _TEXT()
    phone_number_id = _TEXT()
    occurred_at = _MOMENT()


class EditRow(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    organization = _TEXT()
    session_id = _TEXT()
    kind = _TEXT()
    state = _TEXT()
    fields = serializers.DictField()  # type: ignore[assignment]  # the row's own name for what it changes
    base = serializers.DictField()
    theirs = serializers.DictField()
    operations = serializers.ListField(help_text="For messages: what is done to which.")
    undoes = serializers.IntegerField(allow_null=True)
    bulk = serializers.IntegerField(allow_null=True)
    request_id = _TEXT()
    reason = _TEXT()
    source = _TEXT()  # type: ignore[assignment]  # the row's own name, which DRF collects
    author = _TEXT()
    error = _TEXT()
    attempts = serializers.IntegerField()
    superseded_by = serializers.IntegerField(allow_null=True)
    created_at = _MOMENT()
    next_attempt_at = _MOMENT(allow_null=True)
    sent_at = _MOMENT(allow_null=True)
    settled_at = _MOMENT(allow_null=True)


class EditResolution(serializers.Serializer[Any]):
    """For each field in conflict: "mine", "theirs" or {"value": ...}."""

    fields = serializers.DictField()  # type: ignore[assignment]  # the body's own name


class FieldChangeRow(serializers.Serializer[Any]):
    """Changes by Vapi's field names: [old, new]; of lists the part that differs, of objects {"fields": ...}."""

    id = serializers.IntegerField()
    organization = _TEXT()
    session_id = _TEXT()
    source = _TEXT()  # type: ignore[assignment]  # the row's own name, which DRF collects
    edit = serializers.IntegerField(allow_null=True)
    author = _TEXT()
    seen_at = _MOMENT()
    updated_at = _MOMENT()
    fields = serializers.DictField()  # type: ignore[assignment]  # the row's own name for what changed


class SyncRunRow(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    organization = _TEXT()
    stream = _TEXT()
    kind = _TEXT()
    state = _TEXT()
    seen = serializers.IntegerField()
    created = serializers.IntegerField()
    updated = serializers.IntegerField()
    unchanged = serializers.IntegerField()
    quarantined = serializers.IntegerField()
    missing = serializers.IntegerField()
    error = _TEXT()
    started_at = _MOMENT()
    finished_at = _MOMENT(allow_null=True)
    seconds = serializers.FloatField(allow_null=True)


class CoverageRow(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    organization = _TEXT()
    stream = _TEXT()
    day = serializers.DateField()
    state = _TEXT()
    upstream_count = serializers.IntegerField()
    mirrored_count = serializers.IntegerField()
    missing_count = serializers.IntegerField()
    forgotten_count = serializers.IntegerField()
    proven_at = _MOMENT(allow_null=True)
    walked_at = _MOMENT(allow_null=True)
    requests = serializers.IntegerField()
    note = _TEXT()


@cache
def page_of(row: type[serializers.Serializer[Any]]) -> Any:
    """Return the shape of a list's answer: one for each kind of row."""
    return inline_serializer(
        name=row.__name__.removesuffix("Row") + "Page",
        fields={
            "results": row(many=True),
            "next": serializers.URLField(allow_null=True),
            "previous": serializers.URLField(allow_null=True),
        },
    )
