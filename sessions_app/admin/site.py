"""The admin site: Unfold's, with banners above every page and the session list as its front page."""

from __future__ import annotations

from functools import partial
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern
from unfold.sites import UnfoldAdminSite

from sessions_app.admin import costs, coverage, erasing, freshness, notices, outcomes, requests
from sessions_app.admin.banners import read_banners


class Site(UnfoldAdminSite):
    enable_nav_sidebar = True

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        context: dict[str, Any] = super().each_context(request)
        if self.has_permission(request):
            context["banners"] = read_banners(request.user)
            # Asked for where a page shows them, not with every part of one.
            context["outcomes"] = partial(outcomes.read_outcomes, request)
        return context

    def extra_urls(self) -> list[URLPattern]:
        """Pages that belong to no model."""
        return [
            *costs.urlpatterns(self),
            *erasing.urlpatterns(self),
            *notices.urlpatterns(self),
            *outcomes.urlpatterns(self),
            *requests.urlpatterns(self),
            *coverage.urlpatterns(self),
            *freshness.urlpatterns(self),
        ]

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """The first page of the sidebar that this person may open."""
        for group in self.get_sidebar_list(request):
            for item in group["items"]:
                if item.get("permission") and item.get("has_permission"):
                    return redirect(str(item["link"]))
        messages.warning(
            request, "Your account may open nothing yet. Whoever manages people here can change that."
        )
        return redirect("admin:password_change")

    def app_index(
        self,
        request: HttpRequest,
        app_label: str,
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        return self.index(request, extra_context)
