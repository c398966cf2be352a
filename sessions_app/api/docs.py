"""The OpenAPI document and the page that shows it, all from this server and within its content security policy."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.views import redirect_to_login
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView
from rest_framework.request import Request

from sessions_app.api.permissions import SignedIn


class Schema(SpectacularAPIView):
    permission_classes = [SignedIn]

    @extend_schema(exclude=True)
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Any:
        return super().get(request, *args, **kwargs)  # type: ignore[no-untyped-call]  # drf-spectacular's views have no types


class Docs(SpectacularSwaggerSplitView):
    """For people in a browser, who are sent to sign in first."""

    permission_classes = []
    url_name = "api-schema"

    @extend_schema(exclude=True)
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Any:
        if not request.user.is_active:
            return redirect_to_login(request.get_full_path())
        return super().get(request, *args, **kwargs)  # type: ignore[no-untyped-call]  # as above
