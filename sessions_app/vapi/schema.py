"""Owns the names that Vapi's OpenAPI document (August 2026) gives to fields, statuses, roles and kinds of cost.

Written by hand from its Session, Chat, CreateCustomerDTO, Artifact, cost and message schemas. What is not named here
is stored like anything else; it is only listed as unknown. Knows no rows.
"""

from __future__ import annotations

from dataclasses import dataclass

_ID = frozenset({"id", "orgId", "createdAt", "updatedAt"})
_WHO_SPEAKS = frozenset(
    {"assistantId", "assistant", "assistantOverrides", "squadId", "squad", "name", "cost", "costs"}
)
SESSION_FIELDS = (
    _ID
    | _WHO_SPEAKS
    | {"status", "expirationSeconds", "messages", "artifact"}
    | {"customer", "customerId", "phoneNumberId", "phoneNumber"}
)
CHAT_FIELDS = _ID | _WHO_SPEAKS | {"sessionId", "previousChatId", "input", "output", "messages", "stream"}
CUSTOMER_FIELDS = frozenset(
    {"numberE164CheckEnabled", "extension", "assistantOverrides", "squadOverrides"}
    | {"number", "sipUri", "name", "email", "externalId"}
)
ARTIFACT_FIELDS = frozenset(
    {"messages", "messagesOpenAIFormatted", "skippedStructuredOutputs", "transfers", "transcript", "nodes"}
    | {"recordingUrl", "stereoRecordingUrl", "videoRecordingUrl", "videoRecordingStartDelaySeconds"}
    | {"recording", "pcapUrl", "logUrl", "assistantActivations", "variableValues", "performanceMetrics"}
    | {"structuredOutputs", "scorecards", "structuredOutputsLastUpdatedAt"}
    | {"presignedMonoUrl", "presignedStereoUrl", "presignedVideoUrl", "presignedAssistantUrl"}
    | {"presignedCustomerUrl", "presignedPcapUrl", "presignedLogUrl", "presignedUrlsExpiresAt"}
)
# All shapes of a message together: the OpenAI style and the style of calls.
MESSAGE_FIELDS = frozenset(
    {"role", "content", "refusal", "tool_calls", "tool_call_id", "name", "metadata"}
    | {"message", "time", "endTime", "secondsFromStart", "duration", "source"}
    | {"toolCalls", "toolCallId", "result", "warnings", "isFiltered", "detectedThreats"}
    | {"originalMessage", "speakerLabel", "assistantName", "assistantId"}
)
COST_FIELDS = frozenset(
    {"type", "model", "cost", "analysisType", "structuredOutputBreakdown"}
    | {"promptTokens", "completionTokens", "cachedPromptTokens", "reasoningTokens"}
)
ROLES = frozenset(
    {"user", "assistant", "bot", "system", "developer", "tool", "function"}
    | {"tool_calls", "tool_call_result"}
)
STATUSES = frozenset({"active", "completed"})


@dataclass(frozen=True)
class Schema:
    """What is known of one kind of object."""

    fields: frozenset[str]
    # Fields that hold one object, and what is known inside.
    objects: tuple[tuple[str, frozenset[str]], ...]
    # Paths of lists of messages.
    messages: tuple[tuple[str, ...], ...]
    cost_kinds: frozenset[str]
    # Empty where the object has no status.
    statuses: frozenset[str]


SESSION = Schema(
    fields=frozenset(SESSION_FIELDS),
    objects=(("customer", CUSTOMER_FIELDS), ("artifact", ARTIFACT_FIELDS)),
    messages=(("messages",), ("artifact", "messages")),
    cost_kinds=frozenset({"model", "analysis", "session"}),
    statuses=STATUSES,
)
CHAT = Schema(
    fields=frozenset(CHAT_FIELDS),
    objects=(),
    messages=(("input",), ("output",), ("messages",)),
    cost_kinds=frozenset({"model", "chat"}),
    statuses=frozenset(),
)
