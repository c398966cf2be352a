"""The quick way through a usual cost entry ends where the careful one does."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sessions_app.vapi.costs import CostEntry, _parse_cost, _usual_cost, parse_costs
from sessions_app.vapi.fields import Fields
from sessions_app.vapi.json import JsonObject

ENTRY: JsonObject = {
    "type": "model",
    "model": {"provider": "openai", "model": "gpt-4.1", "maxTokens": 250},
    "promptTokens": 298,
    "completionTokens": 36,
    "cost": Decimal("0.00020425999999999997"),
}

numbers = (
    st.decimals(allow_nan=False, allow_infinity=False)
    | st.decimals(-1, 1, allow_nan=False, places=13)
    | st.integers()
    | st.integers(0, 10**6)
    | st.sampled_from(
        [2**63 - 1, 2**63, Decimal("1e-07"), Decimal("1e-13"), Decimal("-0.0"), Decimal("12.0")]
    )
)
odd = st.none() | st.booleans() | st.text(max_size=3) | st.sampled_from(["0.1", "1e-12", "nan"]) | numbers
model = st.fixed_dictionaries({}, optional={"provider": odd, "model": odd, "extra": odd})
entries = st.fixed_dictionaries(
    {},
    optional={
        "type": odd | st.just("model"),
        "analysisType": odd | st.just("summary"),
        "model": odd | model | st.just([]) | st.just(ENTRY["model"]),
        "promptTokens": odd | numbers,
        "completionTokens": odd | numbers,
        "cachedPromptTokens": odd | numbers,
        "reasoningTokens": odd | numbers,
        "cost": odd | numbers,
        "extra": odd,
    },
)
# Usual ones, with a part or two that may be none.
nearly_usual = st.builds(lambda entry, keys: ENTRY | {k: entry[k] for k in keys & entry.keys()}, entries,
                         st.sets(st.sampled_from([*ENTRY, "analysisType", "reasoningTokens"]), max_size=2))  # fmt: skip


def carefully(record: JsonObject) -> tuple[str, list[str]]:
    fields = Fields(record, [])
    parsed = [
        _parse_cost(position, Fields(entry, fields.oddities, f"costs[{position}]."))
        for position, entry in fields.entries("costs")
    ]
    return repr(parsed), fields.oddities


@settings(max_examples=500)
@given(st.lists(entries | nearly_usual | odd, max_size=4))
def test_every_entry_is_the_same_and_as_odd_either_way(costs: list[Any]) -> None:
    fields = Fields({"costs": costs}, [])

    quick = parse_costs(fields)

    # By their text: 12 and 12.0, 0 and -0 are equal.
    assert (repr(list(quick)), fields.oddities) == carefully({"costs": costs})
    assert all(type(entry) is CostEntry for entry in quick)


ODD: list[Any] = [
    *(None, True, False, "", "x", [], {}, ["x"], {"provider": "p"}, {"provider": 1, "model": "m"}),
    *({"provider": "p", "model": None}, {"model": "m", "provider": "p"}),
    *(-1, 0, 2**63 - 1, 2**63, Decimal("12.0"), Decimal("12.5"), Decimal("-0.0"), Decimal("1e999"), "0.1"),
]


@pytest.mark.parametrize("key", [*ENTRY, "analysisType", "cachedPromptTokens", "reasoningTokens", "extra"])
def test_one_odd_part_of_a_usual_entry_is_seen_either_way(key: str) -> None:
    for value in ODD:
        for costs in ([ENTRY | {key: value}], [{"type": "session", "cost": Decimal(1)} | {key: value}]):
            fields = Fields({"costs": costs}, [])
            assert (repr(list(parse_costs(fields))), fields.oddities) == carefully({"costs": costs})
    absent = {name: part for name, part in ENTRY.items() if name != key}
    assert (repr(list(parse_costs(Fields({"costs": [absent]}, [])))), []) == carefully({"costs": [absent]})


def test_usual_entries_take_the_quick_way() -> None:
    for entry in (ENTRY, ENTRY | {"analysisType": "summary"}, {"type": "session", "cost": Decimal("0.007")}):
        assert _usual_cost(3, entry) == _parse_cost(3, Fields(entry, []))
