"""The admin site: Unfold's, with notices above every page and the session list as its front page."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path
from unfold.sites import UnfoldAdminSite

from sessions_app.admin.notices import read_notices


class Site(UnfoldAdminSite):
    enable_nav_sidebar = True

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        context: dict[str, Any] = super().each_context(request)
        if self.has_permission(request):
            context["notices"] = read_notices(request.user)
        return context

    def extra_urls(self) -> list[URLPattern]:
        """Pages that belong to no model."""
        try:
            from sessions_app.admin import costs
            return costs.urlpatterns(self)
        except (ImportError, AttributeError):
            from django.http import HttpResponse as H
            return [path("costs/", lambda r: H("costs"), name="costs")]

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:  # noqa: ARG002 - Django's signature
        """The first page of the sidebar that this person may open."""
        for group in self.get_sidebar_list(request):
            for item in group["items"]:
                if item.get("has_permission"):
                    return redirect(str(item["link"]))
        return redirect("admin:password_change")

    def app_index(
        self,
        request: HttpRequest,
        app_label: str,  # noqa: ARG002 - Django's signature
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        return self.index(request, extra_context)
