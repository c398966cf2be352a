"""Records that could not be stored, and why."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from sessions_app.admin.lists import Column, ListAdmin, as_pk
from sessions_app.admin.pretty import pretty_text
from sessions_app.models import QuarantinedRecord
from sessions_app.models.keyset import Keyset


@admin.register(QuarantinedRecord)
class QuarantinedRecordAdmin(ListAdmin):
    list_heading = "Quarantine"
    row_template = "admin/quarantine/row.html"
    columns = (
        Column("Record"),
        Column("Why it is not stored"),
        Column("State"),
        Column("Seen", "", "va-number"),
        Column("Last seen", "last_seen_at"),
    )
    keyset = Keyset({"last_seen_at": "last_seen_at"})
    default_ordering = "-last_seen_at"
    of_organization = False
    icon = "task_alt"
    nothing_yet = "Every record that came from Vapi could be stored."

    def get_queryset(self, request: HttpRequest) -> QuerySet[QuarantinedRecord]:
        records = QuarantinedRecord.objects.visible_to(request.user)
        return records.select_related("organization").defer("payload_json")

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        records = self.get_queryset(request).select_related("run")
        record = records.filter(pk=as_pk(object_id)).first()
        if record is None:
            raise Http404
        context = {
            **self.admin_site.each_context(request),
            "title": "Quarantined record",
            "opts": self.opts,
            "original": record,
            "record": record,
            "text": pretty_text(record.payload_json),
        }
        return TemplateResponse(request, "admin/quarantine/page.html", context)
