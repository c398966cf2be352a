"""The audit of edits: who brought which edit to which state, as a list and as CSV. Nothing here changes a row."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from typing import Any

from django.contrib import admin
from django.contrib.auth import get_user_model
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.urls import URLPattern, path

from sessions_app.admin.changes import FIELD_LABELS
from sessions_app.admin.filters import Choice, Control, date_range
from sessions_app.admin.lists import OWN_PARAMETERS, Column, ListAdmin, read_values
from sessions_app.costs.export import as_cell
from sessions_app.models import ApiToken, EditTransition
from sessions_app.models.edits import EditState
from sessions_app.models.keyset import Keyset
from sessions_app.search.filters import AuditFilterSet

CSV_COLUMNS = (
    *("happened_at", "organization", "edit", "session_id", "kind", "state", "actor", "author", "source"),
    *("reason", "request_id", "http_status", "error_class"),
    *("field", "base_sha256", "base_length", "new_sha256", "new_length"),
)


class _Echo:
    """A file for csv.writer that hands each line back."""

    def write(self, line: str) -> str:
        return line


@admin.register(EditTransition)
class AuditAdmin(ListAdmin):
    list_heading = "Audit of edits"
    row_template = "admin/edits/audit_row.html"
    before_template = "admin/edits/audit_export.html"
    columns = (
        Column("When", "happened_at"),
        Column("Edit"),
        Column("Fields"),
        Column("State"),
        Column("Brought there by"),
        Column("Vapi's answer"),
    )
    keyset = Keyset({"happened_at": "happened_at"})
    default_ordering = "-happened_at"
    filterset_class = AuditFilterSet
    icon = "history"
    nothing_yet = (
        "Each change of an edit's state shows here: who, when, and what Vapi answered. No words, no values."
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[EditTransition]:
        rows = EditTransition.objects.visible_to(request.user)
        return rows.select_related("organization", "edit", "edit__author", "edit__token")

    def controls(self, request: HttpRequest) -> Sequence[Control]:
        return [
            Choice("state", "State", EditState.choices),
            Choice("field", "Field", list(FIELD_LABELS.items())),
            Choice("actor", "By", _actors(request)),
            date_range("When", "happened_at"),
        ]

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.export_view)
        return [path("export/", view, name="sessions_app_edittransition_export"), *super().get_urls()]

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        raise PermissionDenied

    def export_view(self, request: HttpRequest) -> HttpResponseBase:
        """What the list shows under the same filters, whole, one line for each field."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        asked = read_values(self.filterset_class, request.GET)
        for name in OWN_PARAMETERS:
            asked.pop(name, None)
        rows, errors = self.filter_rows(self.get_queryset(request), asked)
        if errors:
            return HttpResponse("A filter is not understood.", status=400, content_type="text/plain")
        headers = {"Content-Disposition": 'attachment; filename="audit.csv"', "Cache-Control": "no-store"}
        lines = _lines(rows.order_by("happened_at", "id"))
        return StreamingHttpResponse(lines, content_type="text/csv; charset=utf-8", headers=headers)


def _actors(request: HttpRequest) -> list[tuple[str, str]]:
    people = get_user_model().objects.order_by("username").values_list("username", flat=True)
    tokens = ApiToken.objects.visible_to(request.user).order_by("name").values_list("name", flat=True)
    names = [*people, *(f"token {name}" for name in tokens), "command line"]
    return [(name, name) for name in dict.fromkeys(names)]


def _lines(rows: QuerySet[EditTransition]) -> Iterator[str]:
    writer = csv.writer(_Echo())
    yield writer.writerow(CSV_COLUMNS)
    for row in rows.iterator(chunk_size=1000):
        for field, digest in (row.digests or {"": {}}).items():
            yield writer.writerow([as_cell(value) for value in _cells(row, field, digest)])


def _cells(row: EditTransition, field: str, digest: dict[str, dict[str, object]]) -> list[object]:
    edit, base, new = row.edit, digest.get("base", {}), digest.get("new", {})
    return [
        *(row.happened_at.isoformat(), row.organization.slug, edit.pk, edit.session_id, edit.kind),
        *(row.state, row.actor, edit.author_name, edit.source, edit.reason, row.request_id),
        *(row.http_status, row.note, field),
        *(base.get("sha256"), base.get("length"), new.get("sha256"), new.get("length")),
    ]
