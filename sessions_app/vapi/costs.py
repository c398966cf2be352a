"""Owns one entry of a remote `costs` list as typed values; adds nothing up."""

from decimal import Decimal
from typing import NamedTuple

from sessions_app.vapi.fields import LARGEST_INTEGER, Fields
from sessions_app.vapi.json import JsonObject
from sessions_app.vapi.money import BadMoney, parse_usd

# A named tuple's own constructor is written in Python.
_new = tuple.__new__


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
    return tuple(
        [
            _usual_cost(position, entry)
            or _parse_cost(position, Fields(entry, record.oddities, f"costs[{position}]."))
            for position, entry in record.entries("costs")
        ]
    )


def _usual_cost(position: int, entry: JsonObject) -> CostEntry | None:
    """What `_parse_cost` makes of an entry that is all as documented, quicker; None for any other."""
    get = entry.get
    kind, cost = get("type"), get("cost")
    if type(kind) is not str or type(cost) is not Decimal:
        return None
    try:
        cost_usd = parse_usd(cost)
    except BadMoney:
        return None
    if len(entry) == 2:
        return _new(CostEntry, (position, kind, "", "", "", None, None, None, None, cost_usd))
    model, analysis_type = get("model"), get("analysisType", "")
    if type(model) is not dict or type(analysis_type) is not str:
        return None
    provider, name = model.get("provider"), model.get("model")
    counts = get("promptTokens"), get("completionTokens"), get("cachedPromptTokens"), get("reasoningTokens")
    if type(provider) is not str or type(name) is not str or not _are_usual(counts):
        return None
    return _new(CostEntry, (position, kind, analysis_type, provider, name, *counts, cost_usd))


def _are_usual(counts: tuple[object, ...]) -> bool:
    for count in counts:
        if count is not None and (type(count) is not int or not 0 <= count <= LARGEST_INTEGER):
            return False
    return True


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
