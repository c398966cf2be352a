"""Sums of costs for a period, from the daily rollup. Sessions and chats are two sources and are never added up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db.models import QuerySet, Sum
from django.utils import timezone

from sessions_app.costs.links import RowLinks
from sessions_app.costs.query import LINE_GROUPS, CostQuery
from sessions_app.models.costs import CostRollup, Source
from sessions_app.models.names import NameKind, RemoteName
from sessions_app.models.organizations import Organization

if TYPE_CHECKING:
    from sessions_app.models.access import ApiToken

    Who = AbstractBaseUser | AnonymousUser | ApiToken

INCLUDED = "Sessions and chats of Vapi. Calls, subscription and phone numbers are not included."
NEVER_ADDED = (
    "Vapi does not say whether a session's cost includes its chats' costs, so the two are never added up."
)
TOKENS = ("prompt_tokens", "completion_tokens", "cached_prompt_tokens", "reasoning_tokens")
_NAMED = {f"{kind.value}_id": kind for kind in NameKind}
_PICO = Decimal(10) ** -12


@dataclass(frozen=True)
class Reported:
    """What sessions (or chats) report of themselves, and the query string that lists them, if one can."""

    cost_usd: Decimal
    count: int
    without_cost_count: int
    query: str | None

    @property
    def average_usd(self) -> Decimal | None:
        """The mean of those that report a cost, rounded to 1e-12."""
        having = self.count - self.without_cost_count
        return (self.cost_usd / having).quantize(_PICO) if having else None


@dataclass(frozen=True)
class Itemized:
    """What their cost lines say, and the query string that lists the lines, if one can."""

    cost_usd: Decimal
    count: int
    without_cost_count: int
    prompt_tokens: int
    completion_tokens: int
    cached_prompt_tokens: int
    reasoning_tokens: int
    query: str | None


@dataclass(frozen=True)
class Row:
    """Sums of one source. `group` holds a value for each of the report's `group_by`, '' for none.

    `reported` is None where it is not known: a session's own cost cannot be told apart by kind or model.
    """

    source: Source
    group: Mapping[str, Any]
    # What a person reads for a value: a name for an id. Only for values that have one.
    names: Mapping[str, str]
    reported: Reported | None
    itemized: Itemized

    @property
    def difference_usd(self) -> Decimal | None:
        """Reported minus itemized."""
        return self.reported.cost_usd - self.itemized.cost_usd if self.reported else None


@dataclass(frozen=True)
class Report:
    query: CostQuery
    organizations: tuple[Organization, ...]
    rows: tuple[Row, ...] = field(repr=False)

    @property
    def zones(self) -> tuple[str, ...]:
        return tuple(sorted({organization.report_time_zone for organization in self.organizations}))

    @property
    def has_reported(self) -> bool:
        return not _tells_lines_apart(self.query)


def organizations_of(who: Who, slugs: Sequence[str] = ()) -> tuple[Organization, ...]:
    """Return the organizations that `who` may read, or those of them that are named."""
    visible = Organization.objects.visible_to(who)
    return tuple(visible.filter(slug__in=slugs) if slugs else visible)


def today_in(organizations: Sequence[Organization]) -> date:
    """Return the day it is in the report time zone; in TIME_ZONE where organizations differ."""
    zones = {organization.report_time_zone for organization in organizations}
    return timezone.localdate(timezone=ZoneInfo(zones.pop()) if len(zones) == 1 else None)


def summarize_costs(
    who: Who, query: CostQuery, organizations: Sequence[Organization] | None = None
) -> Report:
    """Return the sums that `query` asks for: a row for each source and group that has any.

    Rows are sorted by group, then source: days ascending, everything else by cost, the greatest first
    (sessions' costs, then chats').
    `organizations` spares asking for them again. Two queries, and one more for names.
    """
    if organizations is None:
        organizations = organizations_of(who, query.filters.get("organization", ()))
    sums = _read_sums(who, query, organizations)
    names = _read_names(who, query, organizations, sums)
    zones = {organization.pk: organization for organization in organizations}
    rows = [_row(query, key, sums[key], names, zones) for key in sums]
    return Report(query, tuple(organizations), tuple(_in_order(query, rows)))


@dataclass
class _Sums:
    reported: dict[str, Any] | None = None
    itemized: dict[str, Any] | None = None


def _tells_lines_apart(query: CostQuery) -> bool:
    return any(name in LINE_GROUPS for name in (*query.group_by, *query.filters))


def _columns(query: CostQuery) -> list[str]:
    names = ["organization_id" if name == "organization" else name for name in query.group_by]
    return list(dict.fromkeys([*names, "source"]))


def _read_sums(
    who: Who, query: CostQuery, organizations: Sequence[Organization]
) -> dict[tuple[Any, ...], _Sums]:
    """Return, by the values of `_columns`, the sums of what is reported and of what is itemized."""
    columns = _columns(query)
    found: dict[tuple[Any, ...], _Sums] = {}
    for row in (
        _filtered(who, query, organizations)
        .order_by()
        .values(*columns, "is_itemized")
        .annotate(**{f"sum_{name}": Sum(name) for name in CostRollup.MEASURES})
    ):
        sums = found.setdefault(tuple(row[name] for name in columns), _Sums())
        measures = {name: row[f"sum_{name}"] for name in CostRollup.MEASURES}
        if row["is_itemized"]:
            sums.itemized = measures
        else:
            sums.reported = measures
    return found


def _filtered(who: Who, query: CostQuery, organizations: Sequence[Organization]) -> QuerySet[CostRollup]:
    rows = CostRollup.objects.visible_to(who).filter(
        organization_id__in=[organization.pk for organization in organizations],
        day__range=(query.period.first_day, query.period.last_day),
        line_count__gt=0,
        **{f"{name}__in": values for name, values in query.filters.items() if name != "organization"},
    )
    return rows.filter(is_itemized=True) if _tells_lines_apart(query) else rows


def _read_names(
    who: Who,
    query: CostQuery,
    organizations: Sequence[Organization],
    keys: Iterable[tuple[Any, ...]],
) -> dict[tuple[str, Any], str]:
    """Return names by (group, value): of organizations, and of the ids that occur."""
    names: dict[tuple[str, Any], str] = {("organization", each.pk): str(each) for each in organizations}
    columns = _columns(query)
    wanted = {_NAMED[name]: columns.index(name) for name in columns if name in _NAMED}
    if not wanted:
        return names
    ids = {key[place] for key in keys for place in wanted.values()} - {""}
    for kind, remote_id, name in (
        RemoteName.objects.visible_to(who)
        .filter(organization_id__in=[each.pk for each in organizations], kind__in=wanted, remote_id__in=ids)
        .values_list("kind", "remote_id", "name")
    ):
        if name:
            names[f"{kind}_id", remote_id] = name
    return names


def _row(
    query: CostQuery,
    key: tuple[Any, ...],
    sums: _Sums,
    names: Mapping[tuple[str, Any], str],
    organizations: Mapping[int, Organization],
) -> Row:
    values = dict(zip(_columns(query), key, strict=True))
    source = Source(values["source"])
    if "organization_id" in values:
        values["organization"] = values.pop("organization_id")
    labels = {name: names[name, value] for name, value in values.items() if (name, value) in names}
    links = RowLinks(query, values, organizations)
    group = {name: values[name] for name in query.group_by}
    if "organization" in group:
        group["organization"] = organizations[group["organization"]].slug
    reported = None
    if not _tells_lines_apart(query):
        got = sums.reported or dict.fromkeys(CostRollup.MEASURES, 0)
        reported = Reported(
            Decimal(got["cost_usd"]), got["line_count"], got["without_cost_count"], links.parents()
        )
    got = sums.itemized or dict.fromkeys(CostRollup.MEASURES, 0)
    itemized = Itemized(
        Decimal(got["cost_usd"]),
        got["line_count"],
        got["without_cost_count"],
        **{name: got[name] for name in TOKENS},
        query=links.lines(),
    )
    return Row(source, group, labels, reported, itemized)


def _in_order(query: CostQuery, rows: list[Row]) -> list[Row]:
    """Days ascending; other groups by what their sessions cost, then their chats, the greatest first."""
    weights: dict[tuple[Any, ...], dict[Source, Decimal]] = {}
    for row in rows:
        costs = weights.setdefault(_without_day(row), dict.fromkeys(Source, Decimal(0)))
        costs[row.source] += row.reported.cost_usd if row.reported else row.itemized.cost_usd
    order = list(Source)
    return sorted(
        rows,
        key=lambda row: (
            row.group.get("day") or query.period.first_day,
            [-cost for cost in weights[_without_day(row)].values()],
            [str(value) for value in row.group.values()],
            order.index(row.source),
        ),
    )


def _without_day(row: Row) -> tuple[Any, ...]:
    return tuple(value for name, value in row.group.items() if name not in {"day", "source"})
