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


class BulkEditRow(serializers.Serializer[Any]):
    """`counts` by state of its edits, one for each session; null in lists once it has ended: read it by itself."""

    id = serializers.IntegerField()
    organization = _TEXT()
    state = _TEXT()
    change = serializers.DictField()
    reason = _TEXT()
    author = _TEXT()
    total = serializers.IntegerField(help_text="How many sessions were chosen.")
    counts = serializers.DictField(child=serializers.IntegerField(), allow_null=True)
    undoes = serializers.IntegerField(allow_null=True)
    decided_by = _TEXT(help_text="Who approved or refused it, where a second person was asked.")
    decided_at = _MOMENT(allow_null=True)
    decision_reason = _TEXT()
    created_at = _MOMENT()
    finished_at = _MOMENT(allow_null=True)


class Why(serializers.Serializer[Any]):
    why = _TEXT()
    count = serializers.IntegerField()


class BulkProgress(serializers.Serializer[Any]):
    """Of `total` sessions: how many have been looked at, and how many are settled: applied, failed or left out."""

    total = serializers.IntegerField()
    queued = serializers.IntegerField()
    settled = serializers.IntegerField()


class BulkEditDetail(BulkEditRow):
    progress = BulkProgress()
    skipped = Why(many=True)
    undone_by = serializers.IntegerField(allow_null=True)


class BulkChange(serializers.Serializer[Any]):
    """Fields for every session, or one of the last two alone."""

    name = _TEXT(required=False, max_length=40)
    status = _TEXT(required=False)
    expiration_seconds = serializers.IntegerField(required=False)
    extend_seconds = serializers.IntegerField(required=False, help_text="Added to what each has.")
    delete = serializers.BooleanField(required=False, help_text="At Vapi, for good.")


class BulkEditCreate(serializers.Serializer[Any]):
    """`ids`, or `filters` as the list of sessions takes them (in the body or in the query; {} is all)."""

    ids = serializers.ListField(child=_TEXT(), required=False)
    filters = serializers.DictField(required=False)
    change = BulkChange()
    reason = _TEXT(required=False, help_text="Required to begin.")
    dry_run = serializers.BooleanField(required=False, help_text="Say what would happen; keep nothing.")
    confirm = _TEXT(required=False, help_text='To delete: how many change, or "delete".')


class ExampleRequest(serializers.Serializer[Any]):
    method = _TEXT()
    path = _TEXT()
    body = serializers.DictField()


class BulkDryRun(serializers.Serializer[Any]):
    organization = _TEXT(allow_null=True, help_text="null where no session matches.")
    total = serializers.IntegerField()
    changing = serializers.IntegerField()
    already = serializers.IntegerField()
    refused = Why(many=True)
    example = ExampleRequest(allow_null=True)
    needs_approval = serializers.BooleanField()
    can_be_undone = serializers.BooleanField()


class BulkReason(serializers.Serializer[Any]):
    reason = _TEXT()


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


class LegalHoldOrder(serializers.Serializer[Any]):
    organization = _TEXT()
    by = serializers.ChoiceField(["session", "number", "email", "external_id"])
    value = _TEXT(help_text="A session's id, or the customer's number, address or external id.")
    reason = _TEXT()


class LegalHoldEnd(serializers.Serializer[Any]):
    reason = _TEXT()


class LegalHoldRow(LegalHoldOrder):
    id = serializers.IntegerField()
    set_by = _TEXT()
    created_at = _MOMENT()
    released_at = _MOMENT(allow_null=True)
    released_by = _TEXT()
    release_reason = _TEXT()
    session_count = serializers.IntegerField()


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
