"""Asking Vapi for a session from the browser: for one that is not here, and again for one that is."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.admin.utils import quote
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse

from sessions_app.admin.explanations import explain
from sessions_app.mirror.connection import NoKey
from sessions_app.mirror.refetch import adopt_session, refetch_session
from sessions_app.models import Session
from sessions_app.vapi.errors import VapiError

_PAGE = "admin:sessions_app_session_change"


def adopt_view(request: HttpRequest, session_id: str) -> HttpResponse:
    """Ask Vapi for an id that is not mirrored; htmx is told where to go, or gets words."""
    problem = ""
    try:
        found = adopt_session(session_id, request.user)
    except (VapiError, NoKey) as error:
        found, problem = None, explain(error)
    if found is None:
        return TemplateResponse(request, "admin/sessions/not_found.html", {"problem": problem})
    response = redirect(_PAGE, quote(found.pk))
    if request.headers.get("HX-Request"):
        return HttpResponse(headers={"HX-Redirect": response["Location"]})
    return response


def refetch_view(request: HttpRequest, session: Session) -> HttpResponse:
    """Fetch a session again and say on its page what came of it."""
    try:
        found = refetch_session(session.organization, session.pk)
    except (VapiError, NoKey) as error:
        messages.error(request, f"Not fetched: {explain(error)}")
    else:
        if found is None:
            messages.warning(
                request, "Vapi does not have this session any more. The last state seen stays here."
            )
        else:
            messages.success(request, "Fetched from Vapi just now.")
    return redirect(_PAGE, quote(session.pk))
