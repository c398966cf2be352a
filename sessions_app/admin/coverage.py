"""What is proven: a calendar of days for each stream, and a page for each day with its proof."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.views.decorators.http import require_POST

from sessions_app import tasks
from sessions_app.admin.coverage_calendar import WEEKS, Calendar, day_url, lay_out
from sessions_app.costs.coverage import Completeness, read_streams
from sessions_app.mirror.reconcile import asks_a_person
from sessions_app.models import Chat, Coverage, Organization, RetentionBoundary, Session, SyncRun
from sessions_app.models.coverage import CoverageState
from sessions_app.models.runs import RunKind, RunState, Stream

STREAMS = (Stream.SESSIONS, Stream.CHATS)
_SHOWN_MISSING = 100
_FIRST_END, _LAST_END = date.min + timedelta(weeks=WEEKS), date.max - timedelta(weeks=1)
_MODELS: Mapping[Stream, type[Session] | type[Chat]] = {Stream.SESSIONS: Session, Stream.CHATS: Chat}


@dataclass(frozen=True)
class StreamCoverage:
    """One stream of one organization, as the page shows it."""

    organization: Organization
    stream: Stream
    calendar: Calendar
    completeness: Completeness
    counts: Mapping[str, int]
    missing: int
    boundary: RetentionBoundary | None
    asks: SyncRun | None
    is_running: bool


def coverage_page(request: HttpRequest) -> HttpResponse:
    """Show every stream's days, a year at most, up to the day `until`."""
    _demand(request, "view_coverage")
    organizations = list(Organization.objects.visible_to(request.user).order_by("name", "slug"))
    until = _day_or_none(request.GET.get("until", ""))
    streams = _read_streams(organizations, until)
    first = min((each.calendar.first for each in streams), default=None)
    context = {
        **admin.site.each_context(request),
        "title": "Coverage",
        "streams": streams,
        "has_several": len(organizations) > 1,
        "may_prove": request.user.has_perm("sessions_app.add_syncrun"),
        "is_running": any(each.is_running for each in streams),
        "until": until,
        "earlier": first - timedelta(days=1) if first and _has_earlier(organizations, first) else None,
    }
    return TemplateResponse(request, "admin/coverage/page.html", context)


def _read_streams(organizations: Sequence[Organization], until: date | None) -> list[StreamCoverage]:
    """Five queries, however many days and streams there are."""
    ids = [organization.pk for organization in organizations]
    last = until or timezone.now().astimezone(UTC).date()
    rows = Coverage.objects.filter(organization_id__in=ids, day__lte=last).order_by("-day")
    newest = rows.values_list("day", flat=True).first()
    # Days that nobody has come to are not worth a picture, nor are those beyond which there are no dates.
    last = min(max(newest or last, _FIRST_END), _LAST_END)
    days: dict[tuple[int, str], dict[date, Coverage]] = {}
    for row in rows.filter(day__gt=last - timedelta(weeks=WEEKS)):
        days.setdefault((row.organization_id, row.stream), {})[row.day] = row
    boundaries = {(row.organization_id, row.stream): row for row in _of(RetentionBoundary, ids)}
    completeness = read_streams(ids)
    running = set(_of(SyncRun, ids).filter(**_RUNNING).values_list("organization_id", "stream"))
    asks = {(run.organization_id, run.stream): run for run in asks_a_person(ids)}
    return [
        _stream_coverage(
            organization,
            stream,
            days.get(key, {}),
            last,
            completeness.get(key, Completeness()),
            boundaries.get(key),
            asks.get(key),
            key in running,
        )
        for organization in organizations
        for stream in STREAMS
        if (key := (organization.pk, stream.value))
    ]


_RUNNING = {"kind": RunKind.RECONCILE, "state": RunState.RUNNING}


def _of(model: Any, organization_ids: Sequence[int]) -> Any:
    return model.objects.filter(organization_id__in=organization_ids)


def _stream_coverage(
    organization: Organization,
    stream: Stream,
    days: Mapping[date, Coverage],
    last: date,
    completeness: Completeness,
    boundary: RetentionBoundary | None,
    asks: SyncRun | None,
    is_running: bool,
) -> StreamCoverage:
    states = [row.state for row in days.values()]
    return StreamCoverage(
        organization,
        stream,
        lay_out(organization, stream, days, last),
        completeness,
        {state.value: states.count(state) for state in CoverageState},
        sum(row.missing_count for row in days.values()),
        boundary,
        asks,
        is_running,
    )


def _has_earlier(organizations: Sequence[Organization], day: date) -> bool:
    return bool(_of(Coverage, [each.pk for each in organizations]).filter(day__lt=day).exists())


def day_page(request: HttpRequest, slug: str, stream: str, day: str) -> HttpResponse:
    """Show one day's proof, what differs, and the rows that Vapi no longer has."""
    _demand(request, "view_coverage")
    chosen, known_stream = _day_or_none(day), _stream(stream)
    if chosen is None:
        raise Http404
    row = get_object_or_404(
        Coverage.objects.visible_to(request.user).select_related("organization"),
        organization__slug=slug,
        stream=known_stream,
        day=chosen,
    )
    start = datetime.combine(chosen, time(), UTC)
    rows = (
        _MODELS[known_stream]
        .objects.visible_to(request.user)
        .filter(
            organization=row.organization, created_at__gte=start, created_at__lt=start + timedelta(days=1)
        )
    )
    missing = rows.filter(missing_since__isnull=False).order_by("-missing_since", "id")
    context = {
        **admin.site.each_context(request),
        "title": "Coverage",
        "day": row,
        "stream": known_stream,
        "live_now": rows.filter(missing_since__isnull=True).count(),
        "missing": _linked(known_stream, missing[:_SHOWN_MISSING]),
        "list_url": _list_url(known_stream, start, row.organization),
        "is_open": row.proven_at is not None and row.proven_at < start + timedelta(days=1),
        "before": _neighbour(row, day__lt=chosen, order="-day"),
        "after": _neighbour(row, day__gt=chosen, order="day"),
    }
    return TemplateResponse(request, "admin/coverage/day.html", context)


def _linked(stream: Stream, rows: Any) -> list[tuple[Any, str]]:
    name = f"admin:sessions_app_{_MODELS[stream]._meta.model_name}_change"
    return [(row, reverse(name, args=[row.pk])) for row in rows]


def _list_url(stream: Stream, start: datetime, organization: Organization) -> str:
    bounds = {
        "created_at__gte": start.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "created_at__lt": (start + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "organization": organization.slug,
    }
    address = reverse(f"admin:sessions_app_{_MODELS[stream]._meta.model_name}_changelist")
    return f"{address}?{urlencode(bounds)}"


def _neighbour(row: Coverage, *, order: str, **bound: date) -> str | None:
    days = Coverage.objects.filter(organization=row.organization_id, stream=row.stream, **bound)
    found = days.order_by(order).values_list("day", flat=True).first()
    return day_url(row.organization, row.stream, found) if found else None


@require_POST
def prove_view(request: HttpRequest, slug: str, stream: str) -> HttpResponse:
    """Ask a worker to prove a stream now; with `agree`, to mark whatever Vapi answers 404 for."""
    _demand(request, "add_syncrun")
    known_stream = _stream(stream)
    organization = get_object_or_404(Organization.objects.visible_to(request.user), slug=slug, is_active=True)
    agrees = request.POST.get("agree") == "1"
    ask = partial(
        tasks.enqueue,
        tasks.reconcile_stream,
        organization.pk,
        known_stream.value,
        agrees,
        request.user.pk,
    )
    transaction.on_commit(ask)
    messages.success(
        request,
        f"Asked for. What Vapi answers 404 for is marked among the {known_stream.label}."
        if agrees
        else f"Asked for. The {known_stream.label} are compared with Vapi now.",
    )
    return redirect("admin:coverage")


def _demand(request: HttpRequest, permission: str) -> None:
    if not request.user.has_perm(f"sessions_app.{permission}"):
        raise PermissionDenied


def _stream(name: str) -> Stream:
    if name not in STREAMS:
        raise Http404
    return Stream(name)


def _day_or_none(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def urlpatterns(site: admin.AdminSite) -> list[URLPattern]:
    """Addresses of the pages, for the admin site."""
    return [
        path("coverage/", site.admin_view(coverage_page), name="coverage"),
        path("coverage/<str:slug>/<str:stream>/prove/", site.admin_view(prove_view), name="coverage_prove"),
        path("coverage/<str:slug>/<str:stream>/<str:day>/", site.admin_view(day_page), name="coverage_day"),
    ]
