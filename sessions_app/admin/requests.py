"""The page of requests to Vapi: what was asked and why, what waited, and the budget's two numbers."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Sum
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.views.decorators.http import require_POST, require_safe

from sessions_app.mirror import bucket
from sessions_app.models import Organization, RequestTally
from sessions_app.models.requests import Purpose

# How far back, and how many minutes a bar holds.
PERIODS = {"hour": ("Last hour", 60, 1), "day": ("Last day", 24 * 60, 30)}
OUTCOMES = {
    "2xx": "answered",
    "429": "slow down (429)",
    "4xx": "refused",
    "5xx": "Vapi's errors",
    "none": "no answer",
    "unsent": "given up unsent",
}


class BudgetForm(forms.ModelForm):  # type: ignore[type-arg]  # generic in the stubs alone
    requests_per_second = forms.FloatField(label="Requests a second", min_value=0.1, max_value=1000)
    concurrent_requests = forms.IntegerField(label="At once", min_value=1, max_value=100)

    class Meta:
        model = Organization
        fields = ("requests_per_second", "concurrent_requests")


@require_safe
def requests_page(request: HttpRequest) -> HttpResponse:
    """Show the requests of the last hour or day."""
    if not request.user.has_perm("sessions_app.view_syncrun"):
        raise PermissionDenied
    return _page(request)


@require_POST
def change_budget(request: HttpRequest, organization_id: int) -> HttpResponse:
    """Change an organization's rate; every process obeys it at its next request."""
    if not request.user.has_perm("sessions_app.change_organization"):
        raise PermissionDenied
    organization = Organization.objects.visible_to(request.user).filter(pk=organization_id).first()
    if organization is None:
        raise Http404
    form = BudgetForm(request.POST, instance=organization)
    if not form.is_valid():
        return _page(request, form)
    organization.save(update_fields=["requests_per_second", "concurrent_requests"])
    messages.success(request, "The request budget was changed. It holds from the next request on.")
    return redirect(f"{reverse('admin:requests')}?organization={organization.slug}")


def _page(request: HttpRequest, form: BudgetForm | None = None) -> HttpResponse:
    organizations = list(Organization.objects.visible_to(request.user))
    asked = form.instance.slug if form else request.GET.get("organization")
    chosen = next((one for one in organizations if one.slug == asked), None) or next(
        iter(organizations), None
    )
    period = request.GET.get("period", "hour")
    period = period if period in PERIODS else "hour"
    context = {
        **admin.site.each_context(request),
        "title": "Requests to Vapi",
        "organizations": organizations if len(organizations) > 1 else (),
        "chosen": chosen,
        "period": period,
        "periods": [(name, words[0]) for name, words in PERIODS.items()],
        "may_change": request.user.has_perm("sessions_app.change_organization"),
    }
    if chosen is not None:
        context |= {"level": bucket.look(chosen.pk), "form": form or BudgetForm(instance=chosen)}
        context |= _figures(chosen, period)
    return TemplateResponse(request, "admin/requests/page.html", context, status=400 if form else 200)


def _figures(organization: Organization, period: str) -> dict[str, Any]:
    _, minutes, step = PERIODS[period]
    now = timezone.now()
    since = now.replace(second=0, microsecond=0) - timedelta(minutes=minutes - 1)
    rows = RequestTally.objects.filter(organization=organization, minute__gte=since)
    tallies = list(
        rows.values_list("minute", "purpose", "outcome").annotate(
            Sum("count"), Sum("waited_milliseconds"), Sum("took_milliseconds")
        )
    )
    starts = [since + timedelta(minutes=step * place) for place in range(minutes // step)]
    bars: dict[str, list[int]] = {purpose.value: [0] * len(starts) for purpose in Purpose}
    table: dict[str, dict[str, list[int]]] = {purpose.value: {} for purpose in Purpose}
    for minute, purpose, outcome, count, waited, took in tallies:
        place = min(int((minute - since).total_seconds() // 60 // step), len(starts) - 1)
        bars[purpose][place] += count if outcome != "unsent" else 0
        sums = table[purpose].setdefault(outcome if outcome in OUTCOMES else "4xx", [0, 0, 0])
        sums[:] = [sums[0] + count, sums[1] + waited, sums[2] + took]
    chart = {
        "labels": [date_format(timezone.localtime(start), "H:i") for start in starts],
        "series": [
            {"purpose": purpose.value, "name": purpose.label.capitalize(), "counts": bars[purpose.value]}
            for purpose in Purpose
            if any(bars[purpose.value])
        ],
    }
    return {"chart": chart, "outcomes": list(OUTCOMES.values()), **_table(table)}


def _table(table: dict[str, dict[str, list[int]]]) -> dict[str, Any]:
    rows = [_row(str(Purpose(purpose).label), found) for purpose, found in table.items() if found]
    everything: dict[str, list[int]] = {}
    for found in table.values():
        for outcome, sums in found.items():
            total = everything.setdefault(outcome, [0, 0, 0])
            total[:] = [one + other for one, other in zip(total, sums, strict=True)]
    return {"rows": rows, "sums": _row("All", everything) if rows else None}


def _row(name: str, found: dict[str, list[int]]) -> dict[str, Any]:
    """Counts by outcome, and in milliseconds how long a request waited and took on average."""
    count = sum(sums[0] for sums in found.values())
    sent = count - found.get("unsent", [0])[0]
    return {
        "name": name,
        "counts": [found.get(outcome, [0])[0] for outcome in OUTCOMES],
        "sent": sent,
        "waited": sum(sums[1] for sums in found.values()) // count if count else 0,
        "took": sum(sums[2] for sums in found.values()) // sent if sent else 0,
    }


def urlpatterns(site: admin.AdminSite) -> list[URLPattern]:
    """Addresses of the page, for the admin site."""
    return [
        path("requests/", site.admin_view(requests_page), name="requests"),
        path(
            "requests/<int:organization_id>/budget/", site.admin_view(change_budget), name="requests-budget"
        ),
    ]
