"""The cost page and its CSV. Sums are made in costs/; here they are shown."""

from __future__ import annotations

from decimal import Decimal
from functools import partial
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path

from sessions_app.admin.cost_changes import Comparison, Earlier
from sessions_app.admin.cost_chart import describe_chart
from sessions_app.admin.cost_figures import Figure, Lists, amount, count_of, number, places_for
from sessions_app.admin.cost_narrowing import list_beginnings, read_narrowed
from sessions_app.admin.cost_tables import assistant_table, day_table, kind_table, model_table
from sessions_app.costs.coverage import Coverage, read_coverage
from sessions_app.costs.export import iter_csv
from sessions_app.costs.query import FILTERS, LINE_GROUPS, NONE, BadQuery, CostQuery, parse_query
from sessions_app.costs.report import (
    INCLUDED,
    NEVER_ADDED,
    Report,
    Reported,
    Row,
    organizations_of,
    summarize_costs,
    today_in,
)
from sessions_app.models.organizations import Organization
from sessions_app.templatetags.vapiadmin import changed_query

PERIODS = (
    ("last_7_days", "7 days"),
    ("last_30_days", "30 days"),
    ("this_month", "This month"),
    ("last_month", "Last month"),
)
# Names of the form's fields, as their errors are told.
_LABELS = {"day__gte": "First day", "day__lte": "Last day", "period": "Period"}


def cost_page(request: HttpRequest) -> HttpResponseBase:
    """Show what was spent in a period; with format=csv, one of its tables."""
    if not request.user.has_perm("sessions_app.view_costline"):
        raise PermissionDenied
    parameters = dict(request.GET.lists())
    wants_csv = parameters.pop("format", []) == ["csv"]
    organizations = organizations_of(request.user)
    query, chosen, errors = _read_query(parameters, organizations)
    if wants_csv and errors:
        return HttpResponse("; ".join(errors), status=400, content_type="text/plain; charset=utf-8")
    if wants_csv:
        return _csv(request, query, chosen)
    coverage = read_coverage(request.user, chosen)
    context = {
        **admin.site.each_context(request),
        "title": "Costs",
        "errors": errors,
        "query": query,
        # What was typed stands there until it is understood.
        "days": {
            name: request.GET.get(name, "") if errors else day.isoformat()
            for name, day in (("day__gte", query.period.first_day), ("day__lte", query.period.last_day))
        },
        "periods": _periods(query),
        "organizations": organizations if len(organizations) > 1 else (),
        "chosen": query.filters.get("organization", ()),
        "included": INCLUDED,
        "never_added": NEVER_ADDED,
        "only_lines_of": _only_lines_of(query),
        "coverage": coverage,
        "beginnings": list_beginnings(coverage, query.period),
        "narrowed": read_narrowed(request, query),
        "kept": [(name, value) for name in FILTERS[2:] for value in request.GET.getlist(name) if value],
        "may_export": request.user.has_perm("sessions_app.export_costline"),
        "parameters": request.GET.urlencode() if not errors else "",
        **_figures(request, query, chosen, coverage),
    }
    return TemplateResponse(request, "admin/costs/page.html", context, status=400 if errors else 200)


def _read_query(
    parameters: dict[str, list[str]], organizations: tuple[Organization, ...]
) -> tuple[CostQuery, tuple[Organization, ...], list[str]]:
    """Return what is asked for, of which organizations, and what could not be read of it."""
    parameters = {name: values for name, values in parameters.items() if any(values)}
    slugs = {slug.strip() for text in parameters.get("organization", ()) for slug in text.split(",")} - {""}
    chosen = tuple(each for each in organizations if not slugs or each.slug in slugs)
    today = today_in(chosen or organizations)
    try:
        query = parse_query(parameters, today, [each.slug for each in organizations])
    except BadQuery as error:
        words = [f"{_LABELS.get(name, name)}: {words}" for name, words in error.errors.items()]
        return CostQuery.by_default(today), organizations, words
    return query, chosen, []


def _csv(
    request: HttpRequest, query: CostQuery, organizations: tuple[Organization, ...]
) -> StreamingHttpResponse:
    if not request.user.has_perm("sessions_app.export_costline"):
        raise PermissionDenied
    report = summarize_costs(request.user, query, organizations)
    by = "-".join(["by", *query.group_by]) if query.group_by else "totals"
    name = f"costs-{query.period.first_day}-{query.period.last_day}-{by}.csv"
    return StreamingHttpResponse(
        iter_csv(report, read_coverage(request.user, organizations)),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"},
    )


def _figures(
    request: HttpRequest, query: CostQuery, organizations: tuple[Organization, ...], coverage: Coverage
) -> dict[str, Any]:
    lists = Lists(request)
    comparison = Comparison(request.user, query, organizations, coverage, today_in(organizations))

    def summarize(*group_by: str) -> Report:
        return summarize_costs(request.user, query.grouped_by(*group_by), organizations)

    totals, days = summarize(), summarize("day")
    tables = [
        assistant_table(
            summarize("assistant_id", "squad_id"),
            lists,
            comparison.of("assistant_id", "squad_id"),
            partial(changed_query, request),
        ),
        kind_table(summarize("kind", "analysis_type"), lists),
        model_table(summarize("provider", "model"), lists),
    ]
    earlier = comparison.of()
    return {
        "totals": [_card(row, lists, earlier) for row in totals.rows],
        "earlier": earlier,
        "zones": totals.zones,
        "chart": describe_chart(days, lists),
        "tables": tables,
        "day_table": day_table(days, lists),
    }


def _card(row: Row, lists: Lists, earlier: Earlier | None) -> dict[str, Any]:
    reported, itemized = row.reported, row.itemized
    known = [reported.cost_usd, itemized.cost_usd] if reported else [itemized.cost_usd]
    places, to_lines = places_for(known), lists.itemized(itemized)
    return {
        "source": row.source,
        "total": _total(itemized.cost_usd, to_lines),
        "itemized": amount(itemized.cost_usd, places, to_lines),
        "lines": count_of(itemized.count, "line"),
        "lines_without_cost": number(itemized.without_cost_count) if itemized.without_cost_count else None,
        "tokens": _tokens(row),
        **(_reported(row, reported, lists, places, earlier) if reported else {}),
    }


def _reported(
    row: Row, reported: Reported, lists: Lists, places: int, earlier: Earlier | None
) -> dict[str, Any]:
    to_parents, average = lists.reported(row.source, reported), reported.average_usd
    return {
        "total": _total(reported.cost_usd, to_parents),
        "reported": amount(reported.cost_usd, places, to_parents),
        "count": Figure(count_of(reported.count, row.source.value), href=to_parents),
        "without_cost": number(reported.without_cost_count) if reported.without_cost_count else None,
        "average": amount(average, 4) if average is not None else None,
        "averaged": number(reported.count - reported.without_cost_count),
        "change": earlier.change(row) if earlier else "",
        "was": _total(earlier.cost_of(row)) if earlier else None,
        "difference": amount(row.difference_usd, places) if row.difference_usd else None,
    }


def _total(cost_usd: Decimal, href: str = "") -> Figure:
    return amount(cost_usd, 2 if abs(cost_usd) >= 1 else 4, href)


def _tokens(row: Row) -> list[tuple[str, Figure]]:
    itemized = row.itemized
    return [
        ("Prompt", number(itemized.prompt_tokens)),
        ("of them cached", number(itemized.cached_prompt_tokens)),
        ("Completion", number(itemized.completion_tokens)),
        ("of them reasoning", number(itemized.reasoning_tokens)),
    ]


def _only_lines_of(query: CostQuery) -> list[str]:
    """Return in words what cost lines are told apart by, where only some of them are asked for."""
    return [
        f"{name.replace('_', ' ')}: {', '.join(value or NONE for value in query.filters[name])}"
        for name in LINE_GROUPS
        if name in query.filters
    ]


def _periods(query: CostQuery) -> list[dict[str, Any]]:
    return [{"name": name, "title": title, "is_chosen": query.period_name == name} for name, title in PERIODS]


def urlpatterns(site: admin.AdminSite) -> list[URLPattern]:
    """Addresses of the page, for the admin site."""
    return [path("costs/", site.admin_view(cost_page), name="costs")]
