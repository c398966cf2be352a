"""Owns which addresses can lead to anything: none that holds NUL, which PostgreSQL refuses to look for."""

from __future__ import annotations

from collections.abc import Callable

from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase


class AddressMiddleware:
    """Answers 404 in the place of a view that would look for such an id or name."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self.get_response(request)

    def process_view(self, request: HttpRequest, *view: object) -> None:
        if "\x00" in request.path_info:
            raise Http404
