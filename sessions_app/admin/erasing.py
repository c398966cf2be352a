"""The page of erasures: ask for one, see what was found before it is confirmed, and how far each one is."""

from __future__ import annotations

from functools import partial
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.crypto import constant_time_compare, salted_hmac

from sessions_app import tasks
from sessions_app.admin.lookalikes import nobody_has, similar_numbers
from sessions_app.mirror.customers import NUMBER, WAYS, chats_of, is_same, sessions_of
from sessions_app.mirror.erasing import request_erasure
from sessions_app.mirror.holds import customer_holds, held_sessions, holds_customer
from sessions_app.models import Erasure, Organization
from sessions_app.models.forgetting import ErasureState

_SHOWN = 50
_UNDER_WAY = (ErasureState.QUEUED, ErasureState.RUNNING)


class ErasureForm(forms.Form):
    organization = forms.ModelChoiceField(queryset=Organization.objects.none(), empty_label=None)
    by = forms.ChoiceField(label="Found by", choices=list(WAYS.items()))
    value = forms.CharField(label="Number, address or id", max_length=1000)
    again = forms.CharField(label="The same once more", max_length=1000)
    reason = forms.CharField(max_length=2000)
    at_vapi = forms.BooleanField(label="At Vapi too: Vapi cannot bring it back", required=False)

    def __init__(self, *args: Any, request: HttpRequest, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.may_delete = request.user.has_perm("sessions_app.delete_at_vapi")
        choice = self.fields["organization"]
        assert isinstance(choice, forms.ModelChoiceField)  # noqa: S101 - as declared above
        choice.queryset = Organization.objects.visible_to(request.user)

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        if "value" in cleaned and not is_same(
            cleaned.get("by", ""), cleaned.get("again", ""), cleaned["value"]
        ):
            raise ValidationError({"again": "This is not the same."})
        if cleaned.get("at_vapi") and not self.may_delete:
            raise ValidationError({"at_vapi": "You may not delete at Vapi."})
        return cleaned


def erasures_page(request: HttpRequest) -> HttpResponse:
    """Show what was found for a request, and keep it once that was confirmed."""
    if not request.user.has_perm("sessions_app.erase_customer"):
        raise PermissionDenied
    form = ErasureForm(request.POST or None, request=request)
    found: dict[str, Any] = {}
    if request.method == "POST" and form.is_valid():
        if constant_time_compare(request.POST.get("confirmed", ""), _mark(form.cleaned_data)):
            return _keep(request, form.cleaned_data)
        found = _preview(request, form.cleaned_data)
    rows = Erasure.objects.visible_to(request.user).select_related("organization", "author")
    erasures = list(rows[:_SHOWN])
    context = {
        **admin.site.each_context(request),
        "title": "Erasures",
        "form": form,
        "found": found,
        "mark": _mark(form.cleaned_data) if found else "",
        "erasures": erasures,
        "is_under_way": any(erasure.state in _UNDER_WAY for erasure in erasures),
    }
    return TemplateResponse(request, "admin/erasing/page.html", context)


def _preview(request: HttpRequest, asked: dict[str, Any]) -> dict[str, Any]:
    organization, by, value = asked["organization"], asked["by"], asked["value"]
    sessions = sessions_of(organization, by, value)
    count = sessions.count()
    similar = similar_numbers(request.user, organization, value) if by == NUMBER and not count else []
    return {
        "nobody": "" if count else nobody_has(value, similar),
        "sessions": count,
        "chats": chats_of(sessions).count(),
        "held": sessions.filter(held_sessions("pk")).count(),
        "keeps_all": [hold for hold in customer_holds(organization) if holds_customer(hold, by, value)],
    }


def _mark(asked: dict[str, Any]) -> str:
    """Confirms what was shown and nothing else: whoever changes a field sees anew what is found."""
    text = "\n".join(str(asked[name]) for name in ("by", "value", "at_vapi"))
    return salted_hmac("sessions_app.admin.erasing", f"{asked['organization'].pk}\n{text}").hexdigest()


def _keep(request: HttpRequest, asked: dict[str, Any]) -> HttpResponse:
    erasure = request_erasure(
        asked["organization"],
        asked["by"],
        asked["value"],
        asked["reason"],
        at_vapi=asked["at_vapi"],
        author=request.user,  # type: ignore[arg-type]  # whoever passed the permission check has signed in
    )
    transaction.on_commit(partial(tasks.enqueue, tasks.erase_customer, erasure.pk))
    messages.success(request, "The erasure has begun. Its progress is shown below.")
    return redirect("admin:erasures")


def urlpatterns(site: admin.AdminSite) -> list[URLPattern]:
    """Addresses of the page, for the admin site."""
    return [path("erasures/", site.admin_view(erasures_page), name="erasures")]
