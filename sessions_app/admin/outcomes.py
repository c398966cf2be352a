"""What became of a person's own edits, told on whatever page they are, until they have seen it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from django.contrib import admin
from django.contrib.admin.utils import quote
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.views.decorators.http import require_POST

from sessions_app.models import Notice
from sessions_app.models.notices import Cause
from sessions_app.notices.words import path_of, words_of

_SHOWN = 3
# What is older is no news: it stands in the lists.
_NEWS = timedelta(days=3)
# htmx asks no more after this.
_STOP_ASKING = 286
_GOOD = (Cause.EDIT_APPLIED, Cause.BULK_ENDED)


@dataclass(frozen=True)
class Outcome:
    notice_id: int
    title: str
    organization: str
    path: str
    # The colour: success, warning or error.
    level: str
    # The page that is open shows it already.
    is_on_page: bool


@dataclass(frozen=True)
class Outcomes:
    shown: tuple[Outcome, ...]
    # More than are shown, or more than a small screen shows.
    are_several: bool


def read_outcomes(request: HttpRequest) -> Outcomes:
    """Return the newest unseen outcomes. One query."""
    mine = Notice.objects.visible_to(request.user).unseen_by(request.user)
    news = mine.filter(created_at__gte=timezone.now() - _NEWS)
    found = list(news.select_related("organization").order_by("-created_at", "-pk")[: _SHOWN + 1])
    page = _page_of(request)
    shown = tuple(_outcome(notice, page) for notice in found[:_SHOWN])
    beside = [outcome for outcome in shown if not outcome.is_on_page]
    return Outcomes(shown, len(found) > _SHOWN or len(beside) > 1)


def _page_of(request: HttpRequest) -> str:
    """The path that the person looks at: htmx names it where it asks for a part."""
    return urlsplit(request.headers.get("HX-Current-URL", "")).path or request.path


def _outcome(notice: Notice, page: str) -> Outcome:
    where = {path_of(notice)}
    session_id = notice.facts.get("session_id")
    if session_id:
        where.add(reverse("admin:sessions_app_session_change", args=[quote(session_id)]))
    return Outcome(
        notice.pk,
        words_of(notice).title,
        str(notice.organization),
        path_of(notice),
        _level(notice),
        page in where,
    )


def _level(notice: Notice) -> str:
    counts: dict[str, int] = notice.facts.get("counts", {})
    if notice.cause == Cause.EDIT_CONFLICT:
        return "warning"
    if notice.cause in _GOOD and not any(counts.get(state) for state in ("failed", "rejected", "conflict")):
        return "success"
    return "error"


# Pages -----------------------------------------------------------------------------------------------


def outcomes_view(request: HttpRequest) -> HttpResponse:
    """The part of a page that htmx asks for again and again."""
    if not admin.site.has_permission(request) or not request.user.has_perm("sessions_app.view_edit"):
        return HttpResponse(status=_STOP_ASKING)
    context: dict[str, Any] = {"outcomes": read_outcomes(request)}
    return TemplateResponse(request, "vapiadmin/outcomes.html", context)


@require_POST
def seen_view(request: HttpRequest, notice_id: int | None = None) -> HttpResponse:
    """Note that a person has seen one outcome, or all of them."""
    mine = Notice.objects.visible_to(request.user).filter(person_id=request.user.pk, seen_at=None)
    if notice_id is not None:
        mine = mine.filter(pk=notice_id)
    mine.update(seen_at=timezone.now())
    return HttpResponse() if request.headers.get("HX-Request") else redirect("admin:index")


def urlpatterns(site: admin.AdminSite) -> list[URLPattern]:
    """Addresses of what is told on every page, for the admin site."""
    return [
        path("outcomes/", outcomes_view, name="outcomes"),
        path("outcomes/seen/", site.admin_view(seen_view), name="outcomes_seen"),
        path("outcomes/<int:notice_id>/seen/", site.admin_view(seen_view), name="outcome_seen"),
    ]
