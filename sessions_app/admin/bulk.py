"""Bulk edits: from rows chosen in the session list to a dry run, its progress, and what came of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.views.decorators.http import require_POST

from sessions_app import tasks
from sessions_app.admin.lists import OWN_PARAMETERS, Column, ListAdmin, as_pk, filter_strictly
from sessions_app.admin.pretty import pretty_json
from sessions_app.edits import bulk as bulks
from sessions_app.models import BulkEdit, Organization, Session
from sessions_app.models.bulks import BulkState
from sessions_app.models.edits import EditState
from sessions_app.models.keyset import Keyset
from sessions_app.search.filters import SessionFilterSet

_SHOWN_FAILED = 50
_EXTENSIONS = (("3600", "1 hour"), ("86400", "1 day"), ("604800", "7 days"))
_LABELS = {"name": "Name", "status": "Status", "expirationSeconds": "Lifetime", bulks.EXTEND: "Longer by"}
_SECONDS = ("expirationSeconds", bulks.EXTEND)


@admin.register(BulkEdit)
class BulkEditAdmin(ListAdmin):
    list_heading = "Bulk edits"
    row_template = "admin/bulk/row.html"
    columns = (
        Column("Change"),
        Column("State"),
        Column("Sessions", "", "va-number"),
        Column("By"),
        Column("Made", "created_at"),
    )
    keyset = Keyset({"created_at": "created_at"})
    icon = "checklist"
    nothing_yet = "Choose sessions in their list to correct many at once."

    def get_queryset(self, request: HttpRequest) -> QuerySet[BulkEdit]:
        found = BulkEdit.objects.visible_to(request.user)
        return found.select_related("organization", "author").defer("selection", "skipped")

    def has_view_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return request.user.has_perm("sessions_app.view_edit")

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        deciding = {
            "confirm": self.confirm_view,
            "pause": self.pause_view,
            "go-on": self.go_on_view,
            "cancel": self.cancel_view,
            "retry": self.retry_view,
            "undo": self.undo_view,
        }
        return [
            path("choose/", view(require_POST(self.choose_view)), name="bulk_choose"),
            path("<int:bulk_id>/live/", view(self.live_view), name="bulk_live"),
            *(
                path(f"<int:bulk_id>/{name}/", view(require_POST(decide)), name=f"bulk_{name}")
                for name, decide in deciding.items()
            ),
            *super().get_urls(),
        ]

    # Choosing ----------------------------------------------------------------------------------

    def choose_view(self, request: HttpRequest) -> HttpResponse:
        """Show what can be done with the chosen rows, then keep the choice and show its dry run."""
        self._require_right(request)
        problems: list[str] = []
        try:
            organization, ids = _chosen(request)
            if "change" in request.POST:
                made = bulks.preview(organization, ids, _fields(request.POST), request.user)  # type: ignore[arg-type]  # who passed the permission check has signed in
                return redirect("admin:sessions_app_bulkedit_change", made.pk)
        except ValidationError as error:
            if "change" not in request.POST:
                messages.error(request, " ".join(error.messages))
                return redirect("admin:sessions_app_session_changelist")
            problems = error.messages
        context = {
            **self.admin_site.each_context(request),
            "title": "Correct many sessions",
            "opts": self.opts,
            "problems": problems,
            "count": len(ids),
            "organization": organization,
            "is_all": "all" in request.POST,
            "query": request.POST.get("query", ""),
            "ids": request.POST.getlist("id"),
            "given": request.POST,
            "extensions": _EXTENSIONS,
        }
        return TemplateResponse(request, "admin/bulk/choose.html", context)

    # The page of one bulk ----------------------------------------------------------------------

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        return self._page(request, self._bulk(request, object_id), "admin/bulk/page.html")

    def live_view(self, request: HttpRequest, bulk_id: int) -> HttpResponse:
        return self._page(request, self._bulk(request, bulk_id), "admin/bulk/detail.html")

    def _page(self, request: HttpRequest, bulk: BulkEdit, template: str) -> HttpResponse:
        counts = bulks.count_states(bulk)
        failed = bulks.newest_edits(bulk).filter(state__in=("failed", "rejected", "conflict")).order_by("pk")
        context = {
            **self.admin_site.each_context(request),
            "title": f"Bulk edit {bulk.pk}",
            "opts": self.opts,
            "original": bulk,
            "bulk": bulk,
            "changes": describe(bulk),
            "may_decide": request.user.has_perm("sessions_app.bulk_edit_session"),
            "counts": [(state, state.label, counts[state]) for state in EditState if state in counts],
            "queued": sum(counts.values()),
            "failed_count": counts.get("failed", 0) + counts.get("rejected", 0),
            "applied_count": counts.get("applied", 0),
            "failed": list(failed[:_SHOWN_FAILED]),
            "skipped": Counter(entry["why"] for entry in bulk.skipped).most_common(),
            "undone_by": bulk.undone_by.only("pk").order_by("-pk").first(),
            "polls": bulk.state in (BulkState.RUNNING, BulkState.CANCELLED) and bulk.finished_at is None,
        }
        if bulk.state == BulkState.PREVIEWED:
            context |= _dry_run(bulk)
        return TemplateResponse(request, template, context)

    def _bulk(self, request: HttpRequest, bulk_id: str | int) -> BulkEdit:
        if not self.has_view_permission(request):
            raise PermissionDenied
        bulk = self.get_queryset(request).filter(pk=as_pk(bulk_id)).first()
        if bulk is None:
            raise Http404
        return bulk

    # Decisions ---------------------------------------------------------------------------------

    def confirm_view(self, request: HttpRequest, bulk_id: int) -> HttpResponse:
        reason = request.POST.get("reason", "")[:2000]
        return self._decide(request, bulk_id, lambda bulk: bulks.confirm(bulk, request.user, reason))  # type: ignore[arg-type]  # as above

    def pause_view(self, request: HttpRequest, bulk_id: int) -> HttpResponse:
        return self._decide(request, bulk_id, bulks.pause)

    def go_on_view(self, request: HttpRequest, bulk_id: int) -> HttpResponse:
        return self._decide(request, bulk_id, bulks.go_on)

    def cancel_view(self, request: HttpRequest, bulk_id: int) -> HttpResponse:
        return self._decide(request, bulk_id, bulks.cancel)

    def retry_view(self, request: HttpRequest, bulk_id: int) -> HttpResponse:
        return self._decide(request, bulk_id, lambda bulk: bulks.retry_failed(bulk, request.user))  # type: ignore[arg-type]  # as above

    def undo_view(self, request: HttpRequest, bulk_id: int) -> HttpResponse:
        reason = request.POST.get("reason", "")[:2000]
        return self._decide(request, bulk_id, lambda bulk: bulks.undo(bulk, request.user, reason))  # type: ignore[arg-type]  # as above

    def _decide(self, request: HttpRequest, bulk_id: int, act: Callable[[BulkEdit], object]) -> HttpResponse:
        self._require_right(request)
        bulk = self._bulk(request, bulk_id)
        try:
            made = act(bulk)
        except ValidationError as error:
            messages.error(request, " ".join(error.messages))
        else:
            bulk = made if isinstance(made, BulkEdit) else bulk
            transaction.on_commit(partial(tasks.enqueue, tasks.advance_bulk, bulk.pk))
        return redirect("admin:sessions_app_bulkedit_change", bulk.pk)

    def _require_right(self, request: HttpRequest) -> None:
        wanted = ("view_session", "view_edit", "edit_session", "bulk_edit_session")
        if not all(request.user.has_perm(f"sessions_app.{right}") for right in wanted):
            raise PermissionDenied


def describe(bulk: BulkEdit) -> list[tuple[str, object, bool]]:
    """Return each field in words, its value, and whether that is a length of time."""
    return [(_LABELS.get(field, field), value, field in _SECONDS) for field, value in bulk.fields.items()]


def _dry_run(bulk: BulkEdit) -> dict[str, Any]:
    run = bulks.dry_run(bulk)
    example = run.example
    base_url = bulk.organization.base_url.rstrip("/")
    return {
        "dry_run": run,
        "refused": list(run.refused.items()),
        "example_path": f"{base_url}/session/{example.session_id}" if example else "",
        "example_body": pretty_json(dict(example.fields)) if example else "",
    }


def _chosen(request: HttpRequest) -> tuple[Organization, list[str]]:
    """Return the chosen sessions, of one organization. Raises ValidationError."""
    rows: QuerySet[Session] = Session.objects.visible_to(request.user)
    if "all" in request.POST:
        given: dict[str, str] = QueryDict(request.POST.get("query", "")).dict()
        asked = {name: text for name, text in given.items() if text.strip() and name not in OWN_PARAMETERS}
        rows, errors = filter_strictly(SessionFilterSet, rows, asked)
        if errors:
            raise ValidationError("The filter is not understood. Choose in the list again.")
    else:
        rows = rows.filter(pk__in=request.POST.getlist("id")[: bulks.PORTION])
    chosen = list(rows.order_by().values_list("organization", "pk")[: bulks.MOST_SESSIONS + 1])
    organizations = {organization_id for organization_id, _ in chosen}
    if not chosen:
        raise ValidationError("Choose at least one session.")
    if len(organizations) > 1:
        raise ValidationError("Choose sessions of one organization: filter by it first.")
    return Organization.objects.visible_to(request.user).get(pk=organizations.pop()), [pk for _, pk in chosen]


def _fields(given: QueryDict) -> dict[str, object]:
    change = given.get("change", "")
    if change == "name":
        return {"name": given.get("name", "")}
    if change == "status":
        return {"status": given.get("status", "")}
    if change in _SECONDS:
        text = given.get(change, "").strip()
        is_number = text.isascii() and text.isdigit() and len(text) < 12
        return {change: int(text) if is_number else text}
    raise ValidationError("Choose what to change.")
