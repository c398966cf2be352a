"""API tokens: made by a form, shown once, revoked by a POST."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import uuid4

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils import timezone
from django.views.decorators.http import require_POST

from sessions_app.admin.lists import Column, ListAdmin
from sessions_app.models import ApiToken
from sessions_app.models.access import RIGHTS_OF_SCOPE, Scope
from sessions_app.models.keyset import Keyset
from sessions_app.tokens import make_token

_MADE, _REMEMBERED = "tokens_made", 20
_LIFETIMES = (("30", "30 days"), ("90", "90 days"), ("365", "A year"), ("", "Until it is revoked"))

# What a new token is tried with, by the first of its scopes.
_EXAMPLES = {
    Scope.SESSIONS_READ: "sessions/?limit=1",
    Scope.COSTS_READ: "costs/summary/?period=last_7_days",
    Scope.RUNS_READ: "sync-runs/?limit=1",
    Scope.HOLDS_WRITE: "legal-holds/?limit=1",
}


class TokenForm(forms.Form):
    name = forms.CharField(max_length=100, error_messages={"required": "Say what it is for."})
    lifetime = forms.ChoiceField(choices=_LIFETIMES, required=False)
    # One form makes one token, however often it is sent.
    submission_key = forms.UUIDField(widget=forms.HiddenInput)

    def __init__(self, *args: Any, scopes: Sequence[tuple[str, str]], **options: Any) -> None:
        super().__init__(*args, **options)
        words = {"required": "Choose what it may do.", "invalid_choice": "Choose what you may do yourself."}
        self.fields["scopes"] = forms.MultipleChoiceField(choices=scopes, error_messages=words)


@admin.register(ApiToken)
class ApiTokenAdmin(ListAdmin):
    list_heading = "API tokens"
    row_template = "admin/tokens/row.html"
    before_template = "admin/tokens/add_link.html"
    columns = (
        Column("Name"),
        Column("May"),
        Column("State"),
        Column("Last used"),
        Column("Made", "created_at"),
        Column(""),
    )
    keyset = Keyset({"created_at": "created_at"})
    of_organization = False
    icon = "key"
    nothing_yet = "Other programs read over REST with a token. It is shown once, when it is made."

    def get_queryset(self, request: HttpRequest) -> QuerySet[ApiToken]:
        return ApiToken.objects.visible_to(request.user).select_related("created_by")

    def get_urls(self) -> list[URLPattern]:
        revoke = self.admin_site.admin_view(require_POST(self.revoke_view))
        return [
            path("<int:token_id>/revoke/", revoke, name="sessions_app_apitoken_revoke"),
            *super().get_urls(),
        ]

    def has_add_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return request.user.has_perm("sessions_app.add_apitoken")

    def prepare_rows(self, request: HttpRequest, rows: Sequence[ApiToken]) -> Sequence[dict[str, Any]]:
        may_revoke = request.user.has_perm("sessions_app.change_apitoken")
        words = dict(Scope.choices)
        return [
            {
                "token": row,
                "may": [words.get(scope, scope) for scope in row.scopes],
                "may_revoke": may_revoke and row.revoked_at is None,
            }
            for row in rows
        ]

    def add_view(
        self,
        request: HttpRequest,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        if not self.has_add_permission(request):
            raise PermissionDenied
        initial = {"lifetime": "90", "submission_key": uuid4()}
        form = TokenForm(request.POST or None, initial=initial, scopes=_scopes_for(request))
        context = {**self.admin_site.each_context(request), "title": "New API token", "opts": self.opts}
        if request.method == "POST" and form.is_valid():
            if not _is_first(request, form):
                messages.info(request, "This token was made already, and is shown only once.")
                return redirect("admin:sessions_app_apitoken_changelist")
            context |= self._made(request, form)
            return TemplateResponse(request, "admin/tokens/made.html", context)
        return TemplateResponse(request, "admin/tokens/add.html", context | {"form": form})

    def _made(self, request: HttpRequest, form: TokenForm) -> dict[str, Any]:
        days = form.cleaned_data["lifetime"]
        token, text = make_token(
            form.cleaned_data["name"],
            form.cleaned_data["scopes"],
            expires_at=timezone.now() + timedelta(days=int(days)) if days else None,
            created_by=request.user,  # type: ignore[arg-type]  # who passed the permission check has signed in
        )
        example = next((address for scope, address in _EXAMPLES.items() if scope in token.scopes), "")
        return {"token": token, "text": text, "example": example}

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """A token has no page of its own: its row says all that may be said."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        return redirect("admin:sessions_app_apitoken_changelist")

    def revoke_view(self, request: HttpRequest, token_id: int) -> HttpResponse:
        if not request.user.has_perm("sessions_app.change_apitoken"):
            raise PermissionDenied
        token = self.get_queryset(request).filter(pk=token_id).first()
        if token is None:
            raise Http404
        self.get_queryset(request).filter(pk=token_id, revoked_at__isnull=True).update(
            revoked_at=timezone.now()
        )
        messages.success(request, f"“{token.name}” is revoked; it opens nothing any more.")
        return redirect("admin:sessions_app_apitoken_changelist")


def _scopes_for(request: HttpRequest) -> list[tuple[str, str]]:
    """Return the scopes that open nothing which the person may not do: a token outlives their sign-in."""
    return [
        (scope, words) for scope, words in Scope.choices if request.user.has_perms(RIGHTS_OF_SCOPE[scope])
    ]


def _is_first(request: HttpRequest, form: TokenForm) -> bool:
    """Say whether this form comes for the first time; the person's login remembers the last few."""
    key, made = str(form.cleaned_data["submission_key"]), request.session.get(_MADE, [])
    request.session[_MADE] = [*made, key][-_REMEMBERED:]
    return key not in made
