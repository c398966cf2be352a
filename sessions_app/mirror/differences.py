"""Owns what differs between two states of one object, and how an older state is made from a newer one.

A change of a field is one of: [old, new]; for lists {"from": position, "old": [...], "new": [...]}, the part that
differs; for objects {"fields": {name: change}}. Null and absent are the same. Knows no rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sessions_app.vapi.fingerprints import ARTIFACT, differs
from sessions_app.vapi.json import JsonObject

Changes = dict[str, Any]


def find_differences(old: JsonObject, new: JsonObject, *, inside_artifact: bool = False) -> Changes:
    """Return the changes by Vapi's field names. Addresses that are signed anew in every answer are no change."""
    changes: Changes = {}
    for name in {**old, **new}:
        before, after = old.get(name), new.get(name)
        if before != after:
            change = _change(name, before, after, inside_artifact=inside_artifact)
            if change:
                changes[name] = change
    return changes


def _change(name: str, before: Any, after: Any, *, inside_artifact: bool) -> Any:
    """Return the smallest change; None where only an address is signed anew. What is equal is not walked through."""
    if isinstance(before, dict) and isinstance(after, dict):
        inner = find_differences(before, after, inside_artifact=inside_artifact or name == ARTIFACT)
        return {"fields": inner} if inner else None
    if isinstance(before, list | None) and isinstance(after, list | None):
        change: Any = _slice(before or [], after or [])
        before, after = change["old"], change["new"]
    else:
        change = [before, after]
    return change if differs(name, before, after, inside_artifact=inside_artifact) else None


def _slice(before: list[Any], after: list[Any]) -> Changes:
    """Leave out what both begin and end with."""
    shorter = min(len(before), len(after))
    start = next((at for at in range(shorter) if before[at] != after[at]), shorter)
    ending = 0
    while ending < shorter - start and before[-1 - ending] == after[-1 - ending]:
        ending += 1
    return {
        "from": start,
        "old": before[start : len(before) - ending],
        "new": after[start : len(after) - ending],
    }


def undo_differences(state: JsonObject, changes: Mapping[str, Any]) -> JsonObject:
    """Return the state before these changes. What was null or absent before is absent."""
    earlier = dict(state)
    for name, change in changes.items():
        value = _undo(state.get(name), change)
        if value is None:
            earlier.pop(name, None)
        else:
            earlier[name] = value
    return earlier


def _undo(value: Any, change: Any) -> Any:
    if isinstance(change, list):
        return change[0]
    if "fields" in change:
        return undo_differences(value if isinstance(value, dict) else {}, change["fields"])
    items, start = value if isinstance(value, list) else [], change["from"]
    return [*items[:start], *change["old"], *items[start + len(change["new"]) :]]
