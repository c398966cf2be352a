"""Legal holds: their list, the form that sets one, and the page of one with its release."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import Count, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.views.decorators.http import require_POST

from sessions_app.admin.filters import Choice, Control
from sessions_app.admin.lists import Column, ListAdmin, as_pk
from sessions_app.admin.lookalikes import nobody_has, similar_numbers
from sessions_app.admin.typed_text import typed_text
from sessions_app.mirror.customers import NUMBER
from sessions_app.mirror.holds import LONGEST_VALUE, release_hold, set_hold
from sessions_app.models import LegalHold, Organization
from sessions_app.models.forgetting import HoldBy
from sessions_app.models.keyset import Keyset
from sessions_app.search.holds import LegalHoldFilterSet

_SHOWN_SESSIONS = 50
_MAY = "sessions_app.hold_sessions"


class HoldForm(forms.Form):
    organization = forms.ModelChoiceField(queryset=Organization.objects.none(), empty_label=None)
    by = forms.ChoiceField(label="Found by", choices=HoldBy.choices)
    value = forms.CharField(
        label="Id, number or address", max_length=LONGEST_VALUE,
        help_text="A customer's sessions of later on are held too.",
    )  # fmt: skip
    reason = forms.CharField(max_length=2000, help_text="Kept with the hold.")

    def __init__(self, *args: Any, request: HttpRequest, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choice = self.fields["organization"]
        assert isinstance(choice, forms.ModelChoiceField)  # noqa: S101 - as declared above
        choice.queryset = Organization.objects.visible_to(request.user)


@dataclass(frozen=True)
class HoldRow:
    hold: LegalHold
    sessions: int


@admin.register(LegalHold)
class LegalHoldAdmin(ListAdmin):
    list_heading = "Legal holds"
    row_template = "admin/holds/row.html"
    before_template = "admin/holds/toolbar.html"
    columns = (
        Column("What is held"),
        Column("State"),
        Column("Why"),
        Column("Sessions", "", "va-number"),
        Column("Set", "created_at"),
    )
    keyset = Keyset({"created_at": "created_at"})
    of_organization = False
    filterset_class = LegalHoldFilterSet
    icon = "gavel"
    nothing_yet = (
        "Nothing is held. A legal hold keeps a session, or all of a customer's, from being pruned and erased."
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[LegalHold]:
        return LegalHold.objects.visible_to(request.user).select_related("organization")

    def has_add_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return request.user.has_perm(_MAY)

    def controls(self, request: HttpRequest) -> Sequence[Control]:
        return [
            Choice("in_force", "State", [("true", "in force"), ("false", "released")]),
            Choice("by", "Found by", HoldBy.choices),
        ]

    def prepare_rows(self, request: HttpRequest, rows: Sequence[LegalHold]) -> Sequence[HoldRow]:
        holds = LegalHold.objects.visible_to(request.user).filter(pk__in=[row.pk for row in rows])
        counts = dict(holds.order_by().values_list("pk").annotate(sessions=Count("held")))
        return [HoldRow(row, counts.get(row.pk, 0)) for row in rows]

    def get_urls(self) -> list[URLPattern]:
        release = self.admin_site.admin_view(require_POST(self.release_view))
        own = path("<int:hold_id>/release/", release, name="sessions_app_legalhold_release")
        return [own, *super().get_urls()]

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if not self.has_add_permission(request):
            raise PermissionDenied
        # A session's page leads here; nothing but its id may stand in an address.
        asked = {"organization": request.GET.get("organization"), "value": request.GET.get("session")}
        form = HoldForm(request.POST or None, request=request, initial=asked)
        if request.method == "POST" and form.is_valid() and (hold := self._set(request, form)):
            return redirect("admin:sessions_app_legalhold_change", hold.pk)
        context = {
            **self.admin_site.each_context(request),
            "title": "New legal hold",
            "opts": self.opts,
            "original": "New legal hold",
            "form": form,
        }
        return TemplateResponse(request, "admin/holds/add.html", context)

    def _set(self, request: HttpRequest, form: HoldForm) -> LegalHold | None:
        asked = form.cleaned_data
        try:
            hold = set_hold(
                asked["organization"], asked["by"], asked["value"], asked["reason"], _name(request)
            )
        except ValidationError as error:
            form.add_error(None, error)
            return None
        if hold.held.exists():
            messages.success(request, "Held from now on: neither pruned nor erased.")
        else:
            similar = (
                similar_numbers(request.user, hold.organization, hold.value) if hold.by == NUMBER else []
            )
            messages.warning(request, f"This holds nothing yet. {nobody_has(hold.value, similar)}")
        return hold

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        return self._page(request, self._hold(request, as_pk(object_id)))

    def release_view(self, request: HttpRequest, hold_id: int) -> HttpResponse:
        """End a hold, with a reason that is kept."""
        if not request.user.has_perm(_MAY):
            raise PermissionDenied
        hold = self._hold(request, hold_id)
        try:
            released = release_hold(hold, typed_text(request, "reason", 2000), _name(request))
        except ValidationError as error:
            return self._page(request, hold, error.messages)
        if released:
            messages.success(request, "Released. What is past its age goes with the next pruning.")
        else:
            messages.info(request, "It was released before.")
        return redirect("admin:sessions_app_legalhold_change", hold_id)

    def _hold(self, request: HttpRequest, hold_id: int) -> LegalHold:
        if not self.has_view_permission(request):
            raise PermissionDenied
        hold = self.get_queryset(request).filter(pk=hold_id).first()
        if hold is None:
            raise Http404
        return hold

    def _page(self, request: HttpRequest, hold: LegalHold, problems: Sequence[str] = ()) -> HttpResponse:
        sessions = hold.held.order_by("pk")
        context = {
            **self.admin_site.each_context(request),
            "title": "Legal hold",
            "opts": self.opts,
            "original": hold,
            "hold": hold,
            "problems": problems,
            "count": sessions.count(),
            "session_ids": list(sessions.values_list("session_id", flat=True)[:_SHOWN_SESSIONS]),
            "may_release": hold.released_at is None and request.user.has_perm(_MAY),
        }
        return TemplateResponse(request, "admin/holds/page.html", context)


def _name(request: HttpRequest) -> str:
    return str(request.user.get_username())
