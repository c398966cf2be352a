"""Organizations: their list, their form with a key that is written and never shown, and their write mode."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import available_timezones

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
from unfold.widgets import UnfoldAdminPasswordWidget, UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from sessions_app import tasks
from sessions_app.admin.lists import Column, ListAdmin, as_pk
from sessions_app.edits.write_mode import change_write_mode
from sessions_app.mirror.connection import DEFAULT_SLUG
from sessions_app.models import Edit, Organization, WriteModeChange
from sessions_app.models.edits import EditState
from sessions_app.models.keyset import Keyset
from sessions_app.models.organizations import WriteMode

_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_MOST_CHANGES = 50
_ONE_BUTTON = {"show_save_and_add_another": False, "show_save_and_continue": False}


class OrganizationForm(forms.ModelForm):  # type: ignore[type-arg]  # generic in the stubs alone
    """The stored key never reaches the page; what is typed replaces it, an empty field keeps it."""

    api_key = forms.CharField(
        label="API key",
        required=False,
        max_length=4096,
        widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )
    report_time_zone = forms.ChoiceField(
        label="Report time zone",
        choices=lambda: [(zone, zone) for zone in sorted(available_timezones())],
        widget=UnfoldAdminSelectWidget,
        help_text="Days of cost reports begin at midnight here.",
    )

    class Meta:
        model = Organization
        fields = (
            "slug",
            "name",
            "base_url",
            "api_key",
            "report_time_zone",
            "freshness_goal_seconds",
            "requires_reason",
            "payload_retention_days",
            "row_retention_days",
            "history_retention_days",
            "is_active",
        )
        widgets = dict.fromkeys(("slug", "name", "base_url"), UnfoldAdminTextInputWidget)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial.pop("api_key", None)
        self._stored_key = self.instance.api_key
        if "api_key" in self.fields:
            self.fields["api_key"].help_text = (
                "A key is stored, encrypted; it is not shown again. Leave this empty to keep it."
                if self._stored_key
                else "Stored encrypted and not shown again."
            )

    @property
    def may_begin(self) -> bool:
        """Say whether what was saved lets Vapi be asked in another way than before."""
        has_new_key = bool(self.instance.api_key) and self.instance.api_key != self._stored_key
        return has_new_key or bool({"base_url", "is_active"} & set(self.changed_data))

    def clean_api_key(self) -> str:
        key = str(self.cleaned_data["api_key"]).strip()
        if not key.isascii() or any(not letter.isprintable() or letter.isspace() for letter in key):
            raise ValidationError("That is no API key: one line of visible characters is expected.")
        return key

    def clean_base_url(self) -> str:
        address = str(self.cleaned_data["base_url"]).strip().rstrip("/")
        try:
            parts = urlsplit(address)
            host, problem = parts.hostname, bool(parts.username or parts.query or parts.fragment)
        except ValueError:
            host, problem = None, True
        if not host or problem or parts.scheme not in ("https", "http"):
            raise ValidationError("Enter an address such as https://api.vapi.ai.")
        if parts.scheme == "http" and host not in _LOOPBACK:
            raise ValidationError("The key travels with every request: use https.")
        return address

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        typed = cleaned.get("api_key", "")
        moved = bool(self.instance.pk) and "base_url" in self.changed_data
        if moved and self._stored_key and not typed:
            self.add_error("api_key", "Enter the key again: it would be sent to another address than before.")
        if typed and self.instance.slug == DEFAULT_SLUG:
            self.add_error("api_key", "This organization's key is VAPI_API_KEY of the environment.")
        cleaned["api_key"] = typed or self._stored_key
        if not self.instance.pk:
            self._place(str(cleaned.get("base_url", "")))
        return cleaned

    def _place(self, address: str) -> None:
        """Simulated and real rows never share a database: a new one is of the kind that is here."""
        is_sandbox = Organization.objects.filter(is_sandbox=True).exists()
        if is_sandbox and address and urlsplit(address).hostname not in _LOOPBACK:
            self.add_error(
                "base_url",
                "This database holds demo data and takes simulated organizations only. Use another DATABASE_URL.",
            )
        self.instance.is_sandbox = is_sandbox


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
        own = path("<int:organization_id>/write-mode/", view, name="sessions_app_organization_write_mode")
        return [own, *super().get_urls()]

    # Django's own form, with its permissions ---------------------------------------------------

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return request.user.has_perm("sessions_app.add_organization")

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return request.user.has_perm("sessions_app.change_organization")

    def get_fields(self, request: HttpRequest, obj: Organization | None = None) -> Sequence[str]:
        fields = [
            *("name", "base_url", "report_time_zone", "freshness_goal_seconds", "requires_reason"),
            *("payload_retention_days", "row_retention_days", "history_retention_days", "is_active"),
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
        super().save_model(request, obj, form, change)
        if form.may_begin:
            # A worker tests the key, ends a pause and pulls: nobody waits for beat.
            tasks.enqueue(tasks.take_up, obj.pk)

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
            "may_change": request.user.has_perm("sessions_app.change_write_mode"),
            "waiting": Edit.objects.visible_to(request.user)
            .filter(organization_id=pk, state=EditState.QUEUED)
            .count(),
        }

    def write_mode_view(self, request: HttpRequest, organization_id: int) -> HttpResponse:
        """Turn the write mode, with a reason that is kept."""
        if not request.user.has_perm("sessions_app.change_write_mode"):
            raise PermissionDenied
        organization = self.get_queryset(request).filter(pk=organization_id).first()
        if organization is None:
            raise Http404
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
