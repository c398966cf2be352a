"""Owns what is answered where an address leads to nothing: one with NUL, which PostgreSQL refuses to look for, and one
that only takes what a page sends."""

from __future__ import annotations

from collections.abc import Callable

from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import render

_PAGES = "/admin/"


class AddressMiddleware:
    """Answers 404 in the place of a view that would look for such an id or name, and 405 with a page for people."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        if response.status_code != 405 or not request.path_info.startswith(_PAGES):
            return response
        page = render(request, "405.html", status=405)
        page["Allow"] = response["Allow"]
        return page

    def process_view(self, request: HttpRequest, *view: object) -> None:
        if "\x00" in request.path_info:
            raise Http404
