"""Notes that somebody who is signed in looks at pages, so that the newest rows are kept at hand. Not who."""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from sessions_app.heartbeats import PERSON, Stamper


class PresenceMiddleware:
    """Stamps at most once in 15 s in each process; asks for nobody's name where no cookie came."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response
        self._stamp = Stamper(PERSON)

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self._get_response(request)
        has_cookie = settings.SESSION_COOKIE_NAME in request.COOKIES
        if has_cookie and self._stamp.is_due and request.user.is_authenticated:
            self._stamp()
        return response
