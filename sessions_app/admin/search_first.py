"""The search box of sessions and chats: before the list is shown, Vapi is asked for what is new and what is not here.

A search is a POST, since it may write what it finds, and leads to the list's own address, which changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar
from urllib.parse import urlencode

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path

from sessions_app.admin.lists import PER_PAGE, ListAdmin
from sessions_app.admin.said import Said
from sessions_app.costs.coverage import complete_as_of
from sessions_app.mirror.freshness import top_up
from sessions_app.models import Organization
from sessions_app.models.runs import Stream
from sessions_app.search.sought import Sought

_STREAMS = (Stream.SESSIONS, Stream.CHATS)
_NOT_FILTERS = ("csrfmiddlewaretoken", "cursor")


class SearchFirst(ListAdmin):
    """A list whose search box asks Vapi first, a moment at most."""

    search_url: ClassVar[str]
    # Whether Vapi's own filters can be asked for one of its rows.
    looks_up: ClassVar[bool] = False

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        name = self.search_url.removeprefix("admin:")
        return [
            path("search/", view(self.search_view), name=name),
            path("said/", view(self.said_view), name=f"{name}_said"),
            *super().get_urls(),
        ]

    def said_in(self, request: HttpRequest, rows: Sequence[Any], sought: Sought) -> list[Said]:
        """Return why rows of this list were found, where they do not show it themselves."""
        raise NotImplementedError

    def said_view(self, request: HttpRequest) -> HttpResponse:
        """What stands below each `row` of a page that was found by `words`. The search itself is not done again."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        ids = [text for text in request.GET.getlist("row") if "\x00" not in text][:PER_PAGE]
        rows = self.prepare_rows(request, list(self.get_queryset(request).filter(pk__in=ids)) if ids else [])
        context = {"said": self.said_in(request, rows, Sought.of(request.GET.get("words", "")))}
        return TemplateResponse(request, "admin/lists/said.html", context)

    def read_not_found(self, request: HttpRequest, organizations: Sequence[Organization]) -> dict[str, Any]:
        """Return up to when what Vapi has is here: a search that finds nothing says so. One query."""
        return {"complete": complete_as_of([found.pk for found in organizations], _STREAMS)}

    def search_view(self, request: HttpRequest) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        if request.method != "POST":
            # Whoever had to sign in again comes here without what was typed.
            return redirect("../")
        asked = {
            name: str(value)
            for name, value in request.POST.items()
            if name not in _NOT_FILTERS and str(value).strip()
        }
        text = asked.get("search", "")
        if text:
            reachable = Organization.objects.visible_to(request.user).reachable()
            late = top_up(list(reachable), text if self._is_unknown(request, text) else "")
            if late:
                messages.warning(request, _slow(late))
        return redirect(f"../?{urlencode(asked)}" if asked else "../")

    def _is_unknown(self, request: HttpRequest, text: str) -> bool:
        if not self.looks_up:
            return False
        found, errors = self.filter_rows(self.get_queryset(request), {"search": text})
        return not errors and not found.exists()


def _slow(late: Sequence[Organization]) -> str:
    names = ", ".join(map(str, late))
    return f"Vapi is slow or away ({names}): what is newest may not show here yet. Search again in a moment."
