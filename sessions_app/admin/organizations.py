"""Organizations: their list, their page, and their write mode."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.views.decorators.http import require_POST

from sessions_app import tasks
from sessions_app.admin.lists import Column, ListAdmin, as_pk
from sessions_app.admin.organization_cards import read_pauses, retention_view
from sessions_app.admin.organization_form import RETENTION_FIELDS, OrganizationForm
from sessions_app.edits.write_mode import change_write_mode
from sessions_app.mirror.connection import DEFAULT_SLUG
from sessions_app.models import Edit, Organization, WriteModeChange
from sessions_app.models.edits import EditState
from sessions_app.models.keyset import Keyset
from sessions_app.models.organizations import WriteMode

_MOST_CHANGES = 50
_ONE_BUTTON = {"show_save_and_add_another": False, "show_save_and_continue": False}


class WriteModeForm(forms.Form):
    mode = forms.ChoiceField(choices=WriteMode.choices)
    reason = forms.CharField(max_length=2000, error_messages={"required": "Say why."})


@admin.register(Organization)
class OrganizationAdmin(ListAdmin):
    form = OrganizationForm
    list_heading = "Organizations"
    row_template = "admin/organizations/row.html"
    before_template = "admin/organizations/add_link.html"
    change_form_outer_after_template = "admin/organizations/write_mode.html"
    columns = (
        Column("Organization"),
        Column("Vapi's address"),
        Column("Writing"),
        Column("Added", "created_at"),
    )
    keyset = Keyset({"created_at": "created_at"})
    of_organization = False
    icon = "domain"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Organization]:
        return Organization.objects.visible_to(request.user)

    def prepare_rows(self, request: HttpRequest, rows: Sequence[Any]) -> Sequence[Any]:
        return rows

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(require_POST(self.write_mode_view))
        kept = self.admin_site.admin_view(self.retention_view)
        return [
            path("<int:organization_id>/write-mode/", view, name="sessions_app_organization_write_mode"),
            path("<int:organization_id>/retention/", kept, name="sessions_app_organization_retention"),
            *super().get_urls(),
        ]

    # Django's own form, with its permissions ---------------------------------------------------

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return request.user.has_perm("sessions_app.add_organization")

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return request.user.has_perm("sessions_app.change_organization")

    def get_fields(self, request: HttpRequest, obj: Organization | None = None) -> Sequence[str]:
        fields = [
            *("name", "base_url", "report_time_zone", "freshness_goal_seconds", "requires_reason"),
            "bulk_delete_needs_approval",
            *RETENTION_FIELDS,
            "is_active",
        ]
        if obj is None:
            return ["slug", *fields[:2], "api_key", *fields[2:]]
        if self.has_change_permission(request) and obj.slug != DEFAULT_SLUG:
            fields.insert(2, "api_key")
        return [*fields, "slug", "vapi_org_id"]

    def get_readonly_fields(self, request: HttpRequest, obj: Organization | None = None) -> Sequence[str]:
        if obj is None:
            return ()
        # The rollup is kept in the time zone it was made in; `rebuild_rollups` moves it.
        fixed = ("slug", "vapi_org_id", "report_time_zone")
        return (*fixed, "base_url") if obj.slug == DEFAULT_SLUG else fixed

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        context = {
            "write_mode": self._write_mode_context(request, object_id),
            **_ONE_BUTTON,
            **(extra_context or {}),
        }
        response: HttpResponse = super().change_view(request, object_id, form_url, context)
        return response

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        response: HttpResponse = super().add_view(request, form_url, {**_ONE_BUTTON, **(extra_context or {})})
        return response

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        return {"report_time_zone": settings.TIME_ZONE, "base_url": settings.VAPI_BASE_URL}

    def save_model(
        self, request: HttpRequest, obj: Organization, form: OrganizationForm, change: bool
    ) -> None:
        """Only what was changed here is written: a pause, say, that came meanwhile stays."""
        obj.save(update_fields=form.changed_data if change else None)
        if form.may_begin:
            # A worker tests the key, ends a pause and pulls: nobody waits for beat.
            tasks.enqueue(tasks.take_up, obj.pk)

    def retention_view(self, request: HttpRequest, organization_id: int) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        return retention_view(request, self._organization(request, organization_id))

    def _organization(self, request: HttpRequest, organization_id: int) -> Organization:
        organization = self.get_queryset(request).filter(pk=organization_id).first()
        if organization is None:
            raise Http404
        return organization

    # Write mode --------------------------------------------------------------------------------

    def _write_mode_context(
        self, request: HttpRequest, object_id: str, form: WriteModeForm | None = None
    ) -> dict[str, Any]:
        changes = WriteModeChange.objects.visible_to(request.user).select_related("author")
        pk = as_pk(object_id)
        organization = self.get_queryset(request).filter(pk=pk).first()
        return {
            "organization": organization,
            "form": form or WriteModeForm(),
            "changes": changes.filter(organization_id=pk)[:_MOST_CHANGES],
            "pauses": read_pauses(request, pk),
            "may_change": request.user.has_perm("sessions_app.change_write_mode"),
            "waiting": Edit.objects.visible_to(request.user)
            .filter(organization_id=pk, state=EditState.QUEUED)
            .count(),
        }

    def write_mode_view(self, request: HttpRequest, organization_id: int) -> HttpResponse:
        """Turn the write mode, with a reason that is kept."""
        if not request.user.has_perm("sessions_app.change_write_mode"):
            raise PermissionDenied
        organization = self._organization(request, organization_id)
        form = WriteModeForm(request.POST)
        if form.is_valid() and self._turn(request, organization, form):
            return redirect("admin:sessions_app_organization_change", organization.pk)
        context = {
            **self.admin_site.each_context(request),
            "title": "Write mode",
            "opts": self.opts,
            "original": organization,
            "write_mode": self._write_mode_context(request, str(organization_id), form),
        }
        return TemplateResponse(request, "admin/organizations/write_mode_page.html", context)

    def _turn(self, request: HttpRequest, organization: Organization, form: WriteModeForm) -> bool:
        mode = form.cleaned_data["mode"]
        try:
            turned = change_write_mode(organization, mode, form.cleaned_data["reason"], request.user)  # type: ignore[arg-type]  # who passed the permission check has signed in
        except ValidationError as error:
            form.add_error(None, error.messages[0])
            return False
        label = WriteMode(mode).label
        messages.success(request, label if turned else f"It stood so already. {label}")
        return True
