"""Cost entries of every kind as Vapi lists them: JSON floats with a float's own artefacts."""

from collections.abc import Sequence
from typing import TypeAlias

from sessions_app.sandbox.seeds import mix

Cost: TypeAlias = dict[str, object]

# Provider, model, USD for a prompt token and for a completion token (invented prices).
MODELS = (
    ("openai", "gpt-4.1", 2e-06, 8e-06),
    ("anthropic", "claude-sonnet-4-5-20250929", 3e-06, 1.5e-05),
    ("openai", "gpt-4.1-mini", 4e-07, 1.6e-06),
    ("google", "gemini-2.5-flash", 3e-07, 2.5e-06),
    ("groq", "llama-3.3-70b-versatile", 5.9e-07, 7.9e-07),
)
_ANALYSES = ("summary", "structuredData", "successEvaluation", "structuredOutput")
_STRUCTURED_OUTPUTS = ("Customer mood", "Reason for contact", "Resolved", "Call-back wanted")


def _tokens(bits: int, characters: int, turns: int, rates: tuple[str, str, float, float]) -> Cost:
    prompt = 180 + turns * characters // 9 + bits % 97
    completion = 20 + characters // 9 + (bits >> 8) % 61
    cost: Cost = {"promptTokens": prompt, "completionTokens": completion}
    if bits & 3:
        cost["cachedPromptTokens"] = prompt * ((bits >> 16) % 70) // 100
    cost["cost"] = prompt * rates[2] + completion * rates[3]
    return cost


def model_cost(bits: int, characters: int, turns: int, model: int) -> Cost:
    provider, name, *_ = rates = MODELS[model % len(MODELS)]
    tokens = _tokens(bits, characters, turns, rates)
    if bits % 11 == 0:
        tokens["cost"] = 1e-07
    if bits & 12 == 0:
        tokens["reasoningTokens"] = int(str(tokens["completionTokens"])) // 3
    return {"type": "model", "model": {"provider": provider, "model": name, "maxTokens": 250}, **tokens}


def _breakdown(bits: int) -> list[Cost]:
    return [
        {
            "structuredOutputId": f"so-{place + 1:04d}-{bits >> 40 & 0xFF:02x}",
            "name": _STRUCTURED_OUTPUTS[(bits + place) % 4],
            "cost": (120 + (bits >> place) % 90) * 4e-07,
            "promptTokens": 110 + (bits >> place) % 80,
            "completionTokens": 10,
        }
        for place in range(1 + bits % 3)
    ]


def analysis_cost(bits: int, characters: int, kind: int) -> Cost:
    provider, name, *_ = rates = MODELS[2 + kind % 2]
    tokens = _tokens(bits, characters, 2, rates)
    cost: Cost = {
        "type": "analysis",
        "analysisType": _ANALYSES[kind],
        "model": {"provider": provider, "model": name},
        **tokens,
    }
    if _ANALYSES[kind] == "structuredOutput":
        cost["structuredOutputBreakdown"] = parts = _breakdown(bits)
        cost["cost"] = total([*parts])
    return cost


def session_costs(bits: int, characters: int, turns: int, model: int, *, completed: bool) -> list[Cost]:
    """One or two model entries, the session's own, and all four analyses once it is completed."""
    costs = [model_cost(bits, characters, turns, model)]
    if bits >> 20 & 3 == 0:
        costs.append(model_cost(mix(bits, 1), characters // 3, 2, model + 1))
    if completed:
        costs += [analysis_cost(mix(bits, 2 + kind), characters, kind) for kind in range(4)]
    costs.append({"type": "session", "cost": round(0.0005 * max(turns, 1), 6)})
    return costs


def chat_costs(bits: int, characters: int, model: int) -> list[Cost]:
    return [model_cost(bits, characters, 2, model), {"type": "chat", "cost": 0.005 if bits & 7 else 1e-07}]


def total(costs: Sequence[Cost]) -> float:
    """Added as floats are, from left to right."""
    amount = 0.0
    for cost in costs:
        amount += float(str(cost["cost"]))
    return amount
