"""The page of first full syncs and of what stands still: what Vapi has, what is here, time left; taking up again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils import timezone
from django.views.decorators.http import require_POST

from sessions_app import tasks
from sessions_app.admin.explanations import explain
from sessions_app.mirror.connection import NoKey
from sessions_app.mirror.moments import begin
from sessions_app.mirror.pauses import take_up_again
from sessions_app.models import Organization, SyncRun, SyncWindow, Watermark
from sessions_app.models.runs import RunKind, RunState, Stream
from sessions_app.vapi.errors import VapiError

STREAMS = (Stream.SESSIONS, Stream.CHATS)
_FAR = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Progress:
    """One stream of one organization on its way to be complete."""

    stream: str
    as_of: datetime | None
    is_complete: bool
    run: SyncRun | None
    # What Vapi's listing said there is; None where it did not say.
    found: int | None
    read: int
    # Rows created at Vapi since then can be searched already; None: nothing yet, or all of them.
    searchable_since: datetime | None

    @property
    def is_reading(self) -> bool:
        return self.run is not None and self.run.state == RunState.RUNNING

    @property
    def per_second(self) -> float:
        """The running pull's rate so far."""
        if self.run is None or not self.is_reading:
            return 0.0
        return self.run.seen / max(1.0, (timezone.now() - self.run.started_at).total_seconds())

    @property
    def left_seconds(self) -> int | None:
        if self.found is None or self.per_second <= 0:
            return None
        return int(max(0, self.found - self.read) / self.per_second) + 1


@dataclass(frozen=True)
class Standing:
    organization: Organization
    streams: tuple[Progress, ...]

    @property
    def is_reading(self) -> bool:
        return any(stream.is_reading for stream in self.streams)


def read_standings(organizations: Sequence[Organization]) -> list[Standing]:
    """Six queries an organization at most; there are few of them, and nobody but this page asks."""
    return [Standing(one, tuple(_read_progress(one, stream) for stream in STREAMS)) for one in organizations]


def _read_progress(organization: Organization, stream: Stream) -> Progress:
    mark = Watermark.objects.filter(organization=organization, stream=stream).first()
    runs = SyncRun.objects.filter(organization=organization, stream=stream, kind=RunKind.BACKFILL)
    run = runs.order_by("-started_at", "-pk").first()
    windows = list(SyncWindow.objects.filter(organization=organization, stream=stream))
    windows.sort(key=lambda window: window.ends_at or _FAR, reverse=True)
    expected = [window.expected for window in windows if window.expected is not None]
    is_complete = mark is not None and mark.backfilled_at is not None
    return Progress(
        stream=stream.label,
        as_of=mark.updated_at if mark is not None and is_complete else None,
        is_complete=is_complete,
        run=run,
        found=sum(expected) if expected else run.total if run else None,
        read=sum(window.seen for window in windows),
        searchable_since=None if is_complete else _searchable_since(windows),
    )


def _searchable_since(windows: Sequence[SyncWindow]) -> datetime | None:
    """The start of the newest windows that are finished without a gap."""
    since = None
    for window in windows:
        if window.finished_at is None:
            break
        since = window.starts_at
    return since


# Pages -----------------------------------------------------------------------------------------------


def freshness_page(request: HttpRequest) -> HttpResponse:
    if not request.user.has_perm("sessions_app.view_session"):
        raise PermissionDenied
    standings = read_standings(list(Organization.objects.visible_to(request.user).active()))
    context = {
        **admin.site.each_context(request),
        "title": "Freshness",
        "standings": standings,
        "is_reading": any(standing.is_reading for standing in standings),
    }
    return TemplateResponse(request, "vapiadmin/freshness.html", context)


def take_up_view(request: HttpRequest, organization_id: int) -> HttpResponse:
    """Test a paused organization's key; where Vapi takes it, go on."""
    if not request.user.has_perm("sessions_app.change_organization"):
        raise PermissionDenied
    organization = Organization.objects.visible_to(request.user).filter(pk=organization_id).first()
    if organization is None:
        raise Http404
    work = begin(
        ("take up", organization.pk), partial(take_up_again, organization, request.user.get_username())
    )
    if not work.has_ended():
        messages.warning(request, f"Vapi is slow. The key of {organization} is still being tested.")
    elif isinstance(work.problem, VapiError | NoKey):
        messages.error(request, f"{organization} stays paused: {explain(work.problem)}")
    elif work.problem is not None:
        messages.error(request, f"{organization} stays paused: its key could not be tested.")
    else:
        for stream in (Stream.SESSIONS, Stream.CHATS, Stream.NAMES):
            tasks.enqueue(tasks.sync_stream, organization.pk, stream.value)
        messages.success(request, f"Vapi takes the key of {organization}: it goes on.")
    return redirect("admin:freshness")


def urlpatterns(site: admin.AdminSite) -> list[URLPattern]:
    """Addresses of the page and its button, for the admin site."""
    return [
        path("freshness/", site.admin_view(freshness_page), name="freshness"),
        path(
            "freshness/<int:organization_id>/take-up/",
            site.admin_view(require_POST(take_up_view)),
            name="freshness_take_up",
        ),
    ]
