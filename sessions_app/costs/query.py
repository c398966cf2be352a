"""What a cost report is asked for, in the same words by the browser, REST and CSV. Reads no rows."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date

from sessions_app.costs.period import DEFAULT, NAMED, Period
from sessions_app.models.costs import Source

# Rows of sessions and chats have these; so do lines.
PARENT_GROUPS = ("organization", "assistant_id", "squad_id", "phone_number_id")
# Only lines have these: what a session or chat reports of itself cannot be told apart by them.
LINE_GROUPS = ("kind", "analysis_type", "provider", "model")
FILTERS = ("organization", "source", *PARENT_GROUPS[1:], *LINE_GROUPS)
# These are names of their own making and may hold a comma: one value each, not a list.
SINGLE = frozenset({"analysis_type", "provider", "model"})
# One word for each thing to group by, the long and the short form of ids alike.
GROUPS = {
    "day": "day",
    "source": "source",
    **{name: name for name in (*PARENT_GROUPS, *LINE_GROUPS)},
    **{name.removesuffix("_id"): name for name in PARENT_GROUPS},
}
# How a query string says "has none".
NONE = "none"


class BadQuery(ValueError):
    """A parameter that is unknown or cannot be read. `errors` says what is wrong with each."""

    def __init__(self, errors: Mapping[str, str]) -> None:
        super().__init__("; ".join(f"{name}: {words}" for name, words in errors.items()))
        self.errors = dict(errors)


@dataclass(frozen=True)
class CostQuery:
    period: Period
    # The name of the period; '' where days were given.
    period_name: str = DEFAULT
    group_by: tuple[str, ...] = ()
    # By name of FILTERS: any of these values; '' for "has none".
    filters: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def by_default(cls, today: date) -> CostQuery:
        return cls(NAMED[DEFAULT](today))

    def grouped_by(self, *group_by: str) -> CostQuery:
        return replace(self, group_by=group_by)


def parse_query(parameters: Mapping[str, Sequence[str]], today: date, slugs: Collection[str]) -> CostQuery:
    """Return what the query string asks for; BadQuery names everything that is wrong with it.

    `parameters` maps each name to all its values. `today` is the day in the report's time zone,
    `slugs` are the organizations that may be read.
    """
    errors = {
        name: "Unknown parameter."
        for name in parameters
        if name not in {"period", "day__gte", "day__lte", "group_by", *FILTERS}
    }
    name, period = _period(parameters, today, errors)
    group_by = _group_by(parameters.get("group_by", ()), errors)
    filters = {
        name: tuple("" if value == NONE else value for value in values)
        for name in FILTERS
        if (values := _values(parameters.get(name, ()), split=name not in SINGLE))
    }
    odd = [name for name, values in filters.items() if "\x00" in "".join(values)]
    errors |= dict.fromkeys(odd, "No row has a NUL there.")
    for source in filters.get("source", ()):
        if source not in Source.values:
            errors["source"] = "Not a source: choose session or chat."
    if unknown := set(filters.get("organization", ())) - set(slugs):
        errors["organization"] = f"No such organization: {', '.join(sorted(unknown))}."
    if errors or period is None:
        raise BadQuery(errors)
    return CostQuery(period, name, group_by, filters)


def _period(
    parameters: Mapping[str, Sequence[str]], today: date, errors: dict[str, str]
) -> tuple[str, Period | None]:
    first, last = (_day(parameters, name, errors) for name in ("day__gte", "day__lte"))
    name = _single(parameters, "period")
    if first is None and last is None:
        if name and name not in NAMED:
            errors["period"] = f"Not a period: choose one of {', '.join(NAMED)}, or give days."
        return (name or DEFAULT), NAMED[name if name in NAMED else DEFAULT](today)
    if name:
        errors["period"] = "Give either a period or days."
    try:
        return "", Period(first or min(today, last or today), last or max(today, first or today))
    except ValueError as error:
        errors["day__lte"] = str(error)
        return "", None


def _day(parameters: Mapping[str, Sequence[str]], name: str, errors: dict[str, str]) -> date | None:
    text = _single(parameters, name)
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        errors[name] = "Not a day: write it as 2026-12-31."
        return None


def _single(parameters: Mapping[str, Sequence[str]], name: str) -> str:
    values = parameters.get(name, ())
    return values[-1].strip() if values else ""


def _group_by(given: Sequence[str], errors: dict[str, str]) -> tuple[str, ...]:
    wanted = _values(given)
    if unknown := [word for word in wanted if word not in GROUPS]:
        errors["group_by"] = f"Cannot group by {', '.join(unknown)}: choose from {', '.join(GROUPS)}."
    return tuple(dict.fromkeys(GROUPS[word] for word in wanted if word in GROUPS))


def _values(given: Sequence[str], *, split: bool = True) -> list[str]:
    parts = [part for text in given for part in (text.split(",") if split else [text])]
    return [part.strip() for part in parts if part.strip()]
