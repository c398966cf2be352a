"""The ledger of sync runs, and "sync now"."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path
from django.views.decorators.http import require_POST

from sessions_app import tasks
from sessions_app.admin.filters import Choice, Control, date_range
from sessions_app.admin.lists import Column, ListAdmin
from sessions_app.models import Organization, SyncRun
from sessions_app.models.keyset import Keyset
from sessions_app.models.runs import RunState, Stream
from sessions_app.search.filters import SyncRunFilterSet


@admin.register(SyncRun)
class SyncRunAdmin(ListAdmin):
    list_heading = "Sync runs"
    row_template = "admin/runs/row.html"
    before_template = "admin/runs/sync_now.html"
    poll_seconds = 3
    columns = (
        Column("Run"),
        Column("State"),
        Column("Read", "", "va-number"),
        Column("New", "", "va-number"),
        Column("Changed", "", "va-number"),
        Column("Unchanged", "", "va-number"),
        Column("Not stored", "", "va-number"),
        Column("Took", "", "va-number"),
        Column("Started", "started_at"),
    )
    keyset = Keyset({"started_at": "started_at"})
    default_ordering = "-started_at"
    of_organization = False
    filterset_class = SyncRunFilterSet
    icon = "sync"
    nothing_yet = "No run was started so far. Beat starts one every minute; “Sync now” does not wait for it."

    def get_queryset(self, request: HttpRequest) -> QuerySet[SyncRun]:
        return SyncRun.objects.visible_to(request.user).select_related("organization", "started_by")

    def controls(self, request: HttpRequest) -> Sequence[Control]:
        return [
            Choice("stream", "Stream", Stream.choices),
            Choice("state", "State", RunState.choices),
            date_range("Started", "started_at"),
        ]

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(require_POST(self.sync_view))
        return [path("sync/", view, name="sessions_app_syncrun_sync"), *super().get_urls()]

    def sync_view(self, request: HttpRequest) -> HttpResponse:
        """Ask workers to pull every stream of every active organization now."""
        if not request.user.has_perm("sessions_app.add_syncrun"):
            raise PermissionDenied
        full = request.POST.get("full") == "1"
        for organization in Organization.objects.visible_to(request.user).active():
            for stream in (Stream.NAMES, Stream.SESSIONS, Stream.CHATS):
                ask = partial(
                    tasks.enqueue, tasks.sync_stream, organization.pk, stream.value, full, request.user.pk
                )
                transaction.on_commit(ask)
        messages.success(request, "Asked for. Each run shows here as it starts.")
        return redirect("admin:sessions_app_syncrun_changelist")

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """A run has no page of its own: its row says all of it."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        return redirect("admin:sessions_app_syncrun_changelist")
