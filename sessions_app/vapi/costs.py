"""Owns one entry of a remote `costs` list as typed values; adds nothing up."""

from decimal import Decimal
from typing import NamedTuple

from sessions_app.vapi.fields import Fields


class CostEntry(NamedTuple):
    """`kind` is the remote type, '' where there is none; `position` its place in the remote list."""

    position: int
    kind: str
    analysis_type: str
    provider: str
    model: str
    prompt_tokens: int | None
    completion_tokens: int | None
    cached_prompt_tokens: int | None
    reasoning_tokens: int | None
    cost_usd: Decimal | None


def parse_costs(record: Fields) -> tuple[CostEntry, ...]:
    """An entry that is no object is skipped and named among the record's oddities."""
    entries = record.entries("costs")
    return tuple(
        _parse_cost(position, Fields(entry, record.oddities, f"costs[{position}]."))
        for position, entry in entries
    )


def _parse_cost(position: int, entry: Fields) -> CostEntry:
    provider, model = _parse_model(entry)
    return CostEntry(
        position=position,
        kind=entry.text("type"),
        analysis_type=entry.text("analysisType"),
        provider=provider,
        model=model,
        prompt_tokens=entry.integer("promptTokens"),
        completion_tokens=entry.integer("completionTokens"),
        cached_prompt_tokens=entry.integer("cachedPromptTokens"),
        reasoning_tokens=entry.integer("reasoningTokens"),
        cost_usd=entry.usd("cost"),
    )


def _parse_model(entry: Fields) -> tuple[str, str]:
    value = entry.payload.get("model")
    if isinstance(value, str):
        return "", value
    if isinstance(value, dict):
        provider, name = value.get("provider"), value.get("model")
        if isinstance(provider, str) and isinstance(name, str):
            return provider, name
    model = entry.inner("model")
    return model.text("provider"), model.text("model")
