"""Schema drift: what Vapi sends that this version does not know by name, with its shape."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from sessions_app.admin.filters import Choice, Control, date_range
from sessions_app.admin.lists import Column, ListAdmin, as_pk
from sessions_app.admin.pretty import pretty_json
from sessions_app.models import SchemaDrift
from sessions_app.models.drift import DriftKind
from sessions_app.models.keyset import Keyset
from sessions_app.models.runs import Stream
from sessions_app.search.parameters import ListFilter, MomentFilter, bounds
from sessions_app.search.strict import OrganizationFilter, StrictFilterSet, taking
from sessions_app.vapi.json import dump_payload

STREAMS: list[tuple[str, str]] = [
    (stream.value, str(stream.label)) for stream in (Stream.SESSIONS, Stream.CHATS)
]
_LONGEST_LINE = 90


@taking(bounds(MomentFilter, "first_seen_at"), bounds(MomentFilter, "last_seen_at"))
class SchemaDriftFilterSet(StrictFilterSet):
    """What the list of drift takes."""

    organization = OrganizationFilter()
    stream = ListFilter(choices=[value for value, _ in STREAMS], field_name="stream")
    kind = ListFilter(choices=DriftKind.values, field_name="kind")

    class Meta:
        model = SchemaDrift
        fields: list[str] = []


@dataclass(frozen=True)
class DriftRow:
    drift: SchemaDrift

    @property
    def line(self) -> str:
        """The shape in one line."""
        text = dump_payload(self.drift.shape).replace('"', "").replace(",", ", ").replace(":", ": ")
        return text if len(text) <= _LONGEST_LINE else f"{text[:_LONGEST_LINE]}…"


@admin.register(SchemaDrift)
class SchemaDriftAdmin(ListAdmin):
    list_heading = "Schema drift"
    row_template = "admin/drift/row.html"
    columns = (
        Column("Name"),
        Column("What"),
        Column("Shape"),
        Column("Seen", "", "va-number"),
        Column("Last seen", "last_seen_at"),
        Column("First seen", "first_seen_at"),
    )
    keyset = Keyset({"first_seen_at": "first_seen_at", "last_seen_at": "last_seen_at"})
    default_ordering = "-first_seen_at"
    of_organization = False
    filterset_class = SchemaDriftFilterSet
    icon = "schema"
    nothing_yet = "Everything that came from Vapi so far is known by name."

    def get_queryset(self, request: HttpRequest) -> QuerySet[SchemaDrift]:
        return SchemaDrift.objects.visible_to(request.user).select_related("organization")

    def controls(self, request: HttpRequest) -> Sequence[Control]:
        return [
            Choice("kind", "What", DriftKind.choices),
            Choice("stream", "Stream", STREAMS),
            date_range("First seen", "first_seen_at"),
        ]

    def prepare_rows(self, request: HttpRequest, rows: Sequence[SchemaDrift]) -> Sequence[DriftRow]:
        return [DriftRow(row) for row in rows]

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        drift = self.get_queryset(request).filter(pk=as_pk(object_id)).first()
        if drift is None:
            raise Http404
        context = {
            **self.admin_site.each_context(request),
            "title": drift.name,
            "opts": self.opts,
            "original": drift,
            "drift": drift,
            "text": pretty_json(drift.shape),
        }
        return TemplateResponse(request, "admin/drift/page.html", context)
