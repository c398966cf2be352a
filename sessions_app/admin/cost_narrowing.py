"""What the cost page is narrowed to, in words, and what of its period is not here."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from django.http import HttpRequest

from sessions_app.admin.names import read_names
from sessions_app.costs.coverage import Coverage
from sessions_app.costs.period import Period
from sessions_app.costs.query import FILTERS, CostQuery
from sessions_app.templatetags.vapiadmin import changed_query

_TITLES = {
    "source": "Only",
    "assistant_id": "Assistant",
    "squad_id": "Squad",
    "phone_number_id": "Phone number",
    "kind": "Kind",
    "analysis_type": "Analysis",
    "provider": "Provider",
    "model": "Model",
}


@dataclass(frozen=True)
class Narrowed:
    """One filter of the page: its name as people say it, its values, and the page without it."""

    title: str
    words: str
    widened: str


@dataclass(frozen=True)
class Beginning:
    """A stream that begins within the period or after it, and how many of its days are before that."""

    stream: str
    day: date
    days_before: int


def read_narrowed(request: HttpRequest, query: CostQuery) -> list[Narrowed]:
    """One query for names where it is narrowed to an id; none where it is not narrowed."""
    filters = {name: query.filters[name] for name in FILTERS if name in _TITLES and name in query.filters}
    ids = [value for name, values in filters.items() if name.endswith("_id") for value in values]
    names = read_names(request.user, ids) if any(ids) else None
    readers = (
        {"assistant_id": names.assistant, "squad_id": names.squad, "phone_number_id": names.phone_number}
        if names
        else {}
    )
    return [
        Narrowed(
            _TITLES[name],
            ", ".join(
                readers[name](value) if value and name in readers else value or "none" for value in values
            ),
            changed_query(request, {name: ""}),
        )
        for name, values in filters.items()
    ]


def list_beginnings(coverage: Coverage, period: Period) -> list[Beginning]:
    """Return the streams of which the period's first days are not here."""
    return [
        Beginning(stream, day, (min(day, period.last_day) - period.first_day).days + (day > period.last_day))
        for stream, day in coverage.begins_on.items()
        if day is not None and day > period.first_day
    ]
