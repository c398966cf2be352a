"""Records that could not be stored, and why."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.views.decorators.http import require_POST

from sessions_app.admin.lists import Column, ListAdmin, as_pk
from sessions_app.admin.pretty import pretty_text
from sessions_app.mirror.quarantine import settle
from sessions_app.mirror.retry import retry_record
from sessions_app.models import QuarantinedRecord
from sessions_app.models.keyset import Keyset
from sessions_app.models.runs import Stream


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

    def get_urls(self) -> list[URLPattern]:
        retry = self.admin_site.admin_view(require_POST(self.retry_view))
        settle = self.admin_site.admin_view(require_POST(self.settle_view))
        return [
            path("<int:record_id>/retry/", retry, name="quarantine_retry"),
            path("<int:record_id>/settle/", settle, name="quarantine_settle"),
            *super().get_urls(),
        ]

    def retry_view(self, request: HttpRequest, record_id: int) -> HttpResponse:
        """Try once more to store a record, from what is kept of it or from Vapi."""
        outcome = retry_record(self._record_to_change(request, record_id))
        (messages.success if outcome.is_stored else messages.error)(request, outcome.words)
        return redirect("admin:sessions_app_quarantinedrecord_change", record_id)

    def settle_view(self, request: HttpRequest, record_id: int) -> HttpResponse:
        """Take a record off the list by hand."""
        record = self._record_to_change(request, record_id)
        if settle(record, request.user.get_username()):
            messages.success(request, "Settled. It comes back to this list when it is met again.")
        else:
            messages.warning(request, "It was settled already.")
        return redirect("admin:sessions_app_quarantinedrecord_change", record_id)

    def _record_to_change(self, request: HttpRequest, record_id: int) -> QuarantinedRecord:
        if not (self.has_view_permission(request) and request.user.has_perm("sessions_app.refetch_session")):
            raise PermissionDenied
        record = self.get_queryset(request).defer(None).filter(pk=record_id).first()
        if record is None:
            raise Http404
        return record

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
        is_open = record.resolved_at is None and request.user.has_perm("sessions_app.refetch_session")
        context = {
            **self.admin_site.each_context(request),
            "title": "Quarantined record",
            "opts": self.opts,
            "original": record,
            "record": record,
            "text": pretty_text(record.payload_json),
            "may_retry": is_open and record.stream != Stream.NAMES,
            "may_settle": is_open,
        }
        return TemplateResponse(request, "admin/quarantine/page.html", context)
