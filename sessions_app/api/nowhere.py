"""Answers requests that no view answers, so that a program always gets JSON: below /api/; people get their pages."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse, HttpResponsePermanentRedirect, JsonResponse
from django.urls import Resolver404, resolve
from django.views import defaults
from django.views.decorators.csrf import csrf_exempt


@csrf_exempt
def nowhere(request: HttpRequest) -> HttpResponse:
    """An address below /api/ of no view. Where only the last slash is missing, it leads there with method and body.

    Not Django's own 301, after which clients send a GET in the place of a POST or PATCH.
    """
    path = f"{request.path_info}/"
    if request.path_info.endswith("/") or not _leads_somewhere(path):
        raise Http404
    return HttpResponsePermanentRedirect(
        request.get_full_path(force_append_slash=True),
        preserve_request=True,
        content=_problem(f"This address ends with a slash: {path[:500]}", 308).content,
        content_type="application/json",
    )


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    if _is_for_programs(request):
        return _problem("There is nothing at this address.", 404)
    return defaults.page_not_found(request, exception)


def not_understood(request: HttpRequest, exception: Exception) -> HttpResponse:
    if _is_for_programs(request):
        return _problem(
            "This request was not understood: its host, a header or its body is not acceptable.", 400
        )
    return defaults.bad_request(request, exception)


def failed(request: HttpRequest) -> HttpResponse:
    if _is_for_programs(request):
        return _problem(
            "Something went wrong here. The error is in the log, under the X-Request-ID of this answer.", 500
        )
    return defaults.server_error(request)


def _leads_somewhere(path: str) -> bool:
    try:
        return resolve(path).func is not nowhere
    except Resolver404:
        return False


def _is_for_programs(request: HttpRequest) -> bool:
    return request.path_info.startswith("/api/")


def _problem(words: str, status: int) -> JsonResponse:
    return JsonResponse({"detail": words}, status=status)
