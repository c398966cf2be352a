"""The log of notices' deliveries: which notice, through which channel, with what outcome; and trying again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path
from django.views.decorators.http import require_POST

from sessions_app import tasks
from sessions_app.admin.filters import Choice, Control, date_range
from sessions_app.admin.lists import Column, ListAdmin
from sessions_app.admin.notices import SHARE, may_notice
from sessions_app.models import Delivery
from sessions_app.models.keyset import Keyset
from sessions_app.models.notices import Cause, ChannelKind, DeliveryState
from sessions_app.notices.delivering import try_again
from sessions_app.notices.words import path_of, words_of
from sessions_app.search.parameters import ListFilter, MomentFilter, bounds
from sessions_app.search.strict import OrganizationFilter, StrictFilterSet, taking


class DeliveryOrganizationFilter(OrganizationFilter):
    """Deliveries have their organization by their notice."""

    def filter(self, qs: QuerySet[Any], value: Any) -> QuerySet[Any]:
        return qs.filter(notice__organization__slug__in=value) if value else qs


@taking(bounds(MomentFilter, "created_at"))
class DeliveryFilterSet(StrictFilterSet):
    """What the log takes."""

    organization = DeliveryOrganizationFilter()
    state = ListFilter(field_name="state", choices=DeliveryState.values)
    cause = ListFilter(field_name="notice__cause", choices=Cause.values)
    kind = ListFilter(field_name="channel__kind", choices=ChannelKind.values)

    class Meta:
        model = Delivery
        fields: list[str] = []


@dataclass(frozen=True)
class DeliveryRow:
    delivery: Delivery
    title: str
    path: str
    may_retry: bool


@admin.register(Delivery)
class DeliveryAdmin(ListAdmin):
    list_heading = "Deliveries of notices"
    row_template = "admin/notices/row.html"
    before_template = "admin/notices/toolbar.html"
    columns = (
        Column("Notice"),
        Column("Channel"),
        Column("State"),
        Column("Attempts", "", "va-number"),
        Column("Noted", "created_at"),
        Column(""),
    )
    keyset = Keyset({"created_at": "created_at"})
    of_organization = False
    filterset_class = DeliveryFilterSet
    icon = "notifications"
    nothing_yet = "Each notice that is sent through a channel shows here, with what came of it."

    def get_queryset(self, request: HttpRequest) -> QuerySet[Delivery]:
        """Through one's own channels, and with the permission through the shared ones."""
        rows = Delivery.objects.visible_to(request.user)
        whose = rows.filter(channel__owner_id=request.user.pk)
        if request.user.has_perm(SHARE):
            whose = whose | rows.filter(channel__owner=None)
        return whose.select_related("notice__organization", "channel")

    def has_view_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return may_notice(request)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return may_notice(request)

    def controls(self, request: HttpRequest) -> Sequence[Control]:
        return [
            Choice("state", "State", DeliveryState.choices),
            Choice("cause", "Of", Cause.choices),
            Choice("kind", "Kind", ChannelKind.choices),
            date_range("Noted", "created_at"),
        ]

    def prepare_rows(self, request: HttpRequest, rows: Sequence[Delivery]) -> Sequence[DeliveryRow]:
        return [
            DeliveryRow(
                row,
                words_of(row.notice).title,
                path_of(row.notice),
                row.state == DeliveryState.GAVE_UP and row.channel.removed_at is None,
            )
            for row in rows
        ]

    def get_urls(self) -> list[URLPattern]:
        retry = self.admin_site.admin_view(require_POST(self.retry_view))
        return [path("<int:delivery_id>/retry/", retry, name="delivery_retry"), *super().get_urls()]

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """A delivery has no page of its own: its row says all that there is."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        return redirect("admin:sessions_app_delivery_changelist")

    def retry_view(self, request: HttpRequest, delivery_id: int) -> HttpResponse:
        """Let what was given up be sent once more."""
        if not may_notice(request):
            raise PermissionDenied
        delivery = self.get_queryset(request).filter(pk=delivery_id).first()
        if delivery is None:
            raise Http404
        if try_again(delivery):
            tasks.enqueue(tasks.deliver_notice, delivery.pk)
            messages.success(request, "It is sent again; reload to see what comes of it.")
        else:
            messages.warning(request, "It was not given up, or somebody else was faster.")
        return redirect("admin:sessions_app_delivery_changelist")
