"""Sums of costs over REST. They are made in costs/; each comes with the addresses of the rows it adds up."""

from __future__ import annotations

from typing import Any

from django.urls import reverse
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from sessions_app.api.permissions import reader_of
from sessions_app.api.views import RestView, refuse_repeated
from sessions_app.costs.coverage import read_coverage
from sessions_app.costs.period import DEFAULT, NAMED
from sessions_app.costs.query import FILTERS, GROUPS, BadQuery, CostQuery, parse_query
from sessions_app.costs.report import (
    INCLUDED,
    NEVER_ADDED,
    TOKENS,
    Report,
    Row,
    organizations_of,
    summarize_costs,
    today_in,
)
from sessions_app.models.access import Scope
from sessions_app.models.costs import Source
from sessions_app.models.organizations import Organization
from sessions_app.search.parameters import ONE_OF

MOST_ROWS = 10_000
_PARENTS = {Source.SESSION: "api-sessions", Source.CHAT: "api-chats"}


class CostSummaryRow(serializers.Serializer[Any]):
    """A source and a group. Reported figures are null where they cannot be told apart by kind or model."""

    source = serializers.ChoiceField(choices=Source.choices)  # type: ignore[assignment]  # the row's own name
    group = serializers.DictField(help_text="A value for each of group_by; '' for none.")
    names = serializers.DictField(help_text="Names of those values that have one.")
    reported_usd = serializers.DecimalField(max_digits=None, decimal_places=12, allow_null=True)
    count = serializers.IntegerField(allow_null=True, help_text="Sessions or chats.")
    without_cost_count = serializers.IntegerField(allow_null=True)
    itemized_usd = serializers.DecimalField(max_digits=None, decimal_places=12)
    line_count = serializers.IntegerField()
    lines_without_cost_count = serializers.IntegerField()
    difference_usd = serializers.DecimalField(max_digits=None, decimal_places=12, allow_null=True)
    prompt_tokens = serializers.IntegerField()
    completion_tokens = serializers.IntegerField()
    cached_prompt_tokens = serializers.IntegerField()
    reasoning_tokens = serializers.IntegerField()
    reported_url = serializers.URLField(allow_null=True, help_text="Lists the sessions or chats.")
    itemized_url = serializers.URLField(allow_null=True, help_text="Lists the cost lines.")


class CostSummary(serializers.Serializer[Any]):
    first_day = serializers.DateField()
    last_day = serializers.DateField()
    time_zones = serializers.ListField(child=serializers.CharField())
    group_by = serializers.ListField(child=serializers.CharField())
    included = serializers.CharField()
    note = serializers.CharField()
    complete_as_of = serializers.DictField(child=serializers.DateTimeField(allow_null=True))
    without_full_sync = serializers.DictField(
        child=serializers.ListField(child=serializers.CharField()),
        help_text="Organizations by stream. Until their first full sync has finished, nothing is complete.",
    )
    begins_on = serializers.DictField(
        child=serializers.DateField(allow_null=True),
        help_text="The first day of each stream that is here. What was before, Vapi may no longer have had.",
    )
    quarantined_count = serializers.IntegerField()
    results = CostSummaryRow(many=True)


class CostSummaryView(RestView):
    """What was spent in a period: sums of sessions and of chats, which are never added up."""

    required_scopes = {"GET": Scope.COSTS_READ}

    @extend_schema(
        operation_id="costs_summary",
        parameters=[
            OpenApiParameter("period", str, enum=list(NAMED), description=f"Default {DEFAULT}."),
            OpenApiParameter("day__gte", str, description="First day, 2026-12-31. Instead of period."),
            OpenApiParameter("day__lte", str, description="Last day."),
            OpenApiParameter(
                "group_by", str, many=True, enum=list(GROUPS), description="A row for each; also by comma."
            ),
            *(OpenApiParameter(name, str, description=ONE_OF) for name in FILTERS),
        ],
        responses=CostSummary,
    )
    def get(self, request: Request) -> Response:
        who = reader_of(request)
        visible = organizations_of(who)
        query, organizations = _read_query(request, visible)
        report = summarize_costs(who, query, organizations)
        if len(report.rows) > MOST_ROWS:
            raise ValidationError(
                {"group_by": [f"More than {MOST_ROWS:,} rows: shorten the period or group by less."]}
            )
        coverage = read_coverage(who, organizations)
        return Response(
            {
                "first_day": query.period.first_day,
                "last_day": query.period.last_day,
                "time_zones": report.zones,
                "group_by": query.group_by,
                "included": INCLUDED,
                "note": NEVER_ADDED,
                "complete_as_of": coverage.complete_as_of,
                "without_full_sync": {
                    stream: [each.slug for each in found.waiting_for]
                    for stream, found in coverage.streams.items()
                },
                "begins_on": coverage.begins_on,
                "quarantined_count": coverage.quarantined_count,
                "results": _Rows(request).of(report),
            }
        )


def _read_query(
    request: Request, visible: tuple[Organization, ...]
) -> tuple[CostQuery, tuple[Organization, ...]]:
    refuse_repeated(request.query_params, ("period", "day__gte", "day__lte"))
    parameters = dict(request.query_params.lists())
    named = {slug.strip() for text in parameters.get("organization", ()) for slug in str(text).split(",")}
    chosen = tuple(each for each in visible if each.slug in named) or visible
    try:
        query = parse_query(parameters, today_in(chosen), [each.slug for each in visible])
    except BadQuery as error:
        raise ValidationError({name[:50]: [words] for name, words in error.errors.items()}) from None
    return query, chosen


class _Rows:
    """Writes rows with the full addresses of the lists behind their figures."""

    def __init__(self, request: Request) -> None:
        self.parents = {
            source: request.build_absolute_uri(reverse(name)) for source, name in _PARENTS.items()
        }
        self.lines = request.build_absolute_uri(reverse("api-costs"))

    def of(self, report: Report) -> list[dict[str, Any]]:
        return [self._row(row) for row in report.rows]

    def _row(self, row: Row) -> dict[str, Any]:
        reported, itemized = row.reported, row.itemized
        return {
            "source": row.source.value,
            "group": row.group,
            "names": row.names,
            "reported_usd": reported.cost_usd if reported else None,
            "count": reported.count if reported else None,
            "without_cost_count": reported.without_cost_count if reported else None,
            "itemized_usd": itemized.cost_usd,
            "line_count": itemized.count,
            "lines_without_cost_count": itemized.without_cost_count,
            "difference_usd": row.difference_usd,
            **{name: getattr(itemized, name) for name in TOKENS},
            "reported_url": _with(self.parents[row.source], reported.query if reported else None),
            "itemized_url": _with(self.lines, itemized.query),
        }


def _with(address: str, query: str | None) -> str | None:
    return f"{address}?{query}" if query else None
