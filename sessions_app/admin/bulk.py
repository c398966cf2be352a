"""Bulk edits: from rows chosen in the session list to a dry run, its progress, and what came of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.views.decorators.http import require_POST

from sessions_app import tasks
from sessions_app.admin.bulk_choosing import UNITS, describe_outlook, read_choice, read_fields
from sessions_app.admin.filters import Choice, Control, date_range
from sessions_app.admin.lists import Column, ListAdmin, as_pk
from sessions_app.admin.typed_text import typed_text
from sessions_app.edits import bulk as bulks
from sessions_app.models import BulkEdit, Organization
from sessions_app.models.bulks import DELETE, BulkState
from sessions_app.models.edits import UNDER_WAY_STATES, EditState
from sessions_app.models.keyset import Keyset
from sessions_app.search.filters import BulkEditFilterSet

_SHOWN_FAILED = 50
_LABELS = {"name": "Name", "status": "Status", "expirationSeconds": "Lifetime", bulks.EXTEND: "Longer by"}
_SECONDS = ("expirationSeconds", bulks.EXTEND)
_NOT_BEGUN = (BulkState.PREVIEWED, BulkState.AWAITING)
_RIGHTS = ("view_session", "view_edit", "edit_session", "bulk_edit_session")
_LONGEST_REASON = 2000
Decision = Callable[[BulkEdit, bulks.Who], object]


@dataclass(frozen=True)
class BulkRow:
    bulk: BulkEdit
    # Each field in words, its value, and whether that is a length of time.
    changes: list[tuple[str, object, bool]]

    @property
    def pk(self) -> int:
        return self.bulk.pk


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
    filterset_class = BulkEditFilterSet
    icon = "checklist"
    nothing_yet = "Choose sessions in their list to correct many at once."

    def get_queryset(self, request: HttpRequest) -> QuerySet[BulkEdit]:
        found = BulkEdit.objects.visible_to(request.user)
        related = ("organization", "author", "token__created_by", "decided_by")
        return found.select_related(*related).defer("selection", "skipped")

    def controls(self, request: HttpRequest) -> Sequence[Control]:
        return [
            Choice("state", "State", BulkState.choices),
            date_range("Made", "created_at"),
        ]

    def prepare_rows(self, request: HttpRequest, rows: Sequence[BulkEdit]) -> Sequence[BulkRow]:
        return [BulkRow(bulk, describe(bulk)) for bulk in rows]

    def has_view_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return request.user.has_perm("sessions_app.view_edit")

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        deciding = {
            "confirm": self.confirm_view,
            "approve": self.approve_view,
            "refuse": self.refuse_view,
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
        _demand_rights(request)
        problems: list[str] = []
        try:
            choice = read_choice(request)
            if "change" in request.POST:
                made = self._preview(request, choice.organization, choice.ids)
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
            "count": len(choice.ids),
            "organization": choice.organization,
            "is_all": "all" in request.POST,
            "query": request.POST.get("query", ""),
            "ids": request.POST.getlist("id"),
            "given": request.POST,
            "units": UNITS,
            "may_delete": request.user.has_perm("sessions_app.delete_at_vapi"),
        }
        return TemplateResponse(request, "admin/bulk/choose.html", context)

    def _preview(self, request: HttpRequest, organization: Organization, ids: Sequence[str]) -> BulkEdit:
        fields = read_fields(request.POST)
        _demand_rights(request, deletes=DELETE in fields)
        return bulks.preview(organization, ids, fields, _person(request))

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
        made = len(bulk.skipped) + sum(counts.values())
        context = {
            **self.admin_site.each_context(request),
            "title": f"Bulk edit {bulk.pk}",
            "opts": self.opts,
            "original": bulk,
            "bulk": bulk,
            "changes": describe(bulk),
            "may_decide": _has_rights(request, deletes=bulk.deletes),
            "may_stop": _has_rights(request),
            "may_approve": bulks.may_decide(bulk, _person(request)),
            "counts": [(state, state.label, counts[state]) for state in EditState if state in counts],
            "settled": made - sum(counts.get(state, 0) for state in UNDER_WAY_STATES),
            "failed_count": counts.get("failed", 0) + counts.get("rejected", 0),
            "applied_count": counts.get("applied", 0),
            "failed": list(failed[:_SHOWN_FAILED]),
            "skipped": Counter(entry["why"] for entry in bulk.skipped).most_common(),
            "undone_by": bulk.undone_by.only("pk").order_by("-pk").first(),
            "trail": list(bulk.transitions.order_by("happened_at", "pk")),
            "polls": bulk.state in (BulkState.RUNNING, BulkState.CANCELLED) and bulk.finished_at is None,
        }
        if bulk.state in _NOT_BEGUN:
            context |= describe_outlook(bulk)
        return TemplateResponse(request, template, context)

    def _bulk(self, request: HttpRequest, bulk_id: str | int) -> BulkEdit:
        if not self.has_view_permission(request):
            raise PermissionDenied
        bulk = self.get_queryset(request).defer(None).filter(pk=as_pk(bulk_id)).first()
        if bulk is None:
            raise Http404
        return bulk

    # Decisions ---------------------------------------------------------------------------------

    def confirm_view(self, request: HttpRequest, bulk_id: int) -> HttpResponse:
        def confirm(bulk: BulkEdit, who: bulks.Who) -> None:
            bulks.check_typed(bulk, request.POST.get("confirm", ""))
            bulks.confirm(bulk, who, _reason(request))

        return self._decide(request, bulk_id, confirm)

    def approve_view(self, request: HttpRequest, bulk_id: int) -> HttpResponse:
        return self._decide(request, bulk_id, partial(bulks.approve, reason=_reason(request)))

    def refuse_view(self, request: HttpRequest, bulk_id: int) -> HttpResponse:
        return self._decide(request, bulk_id, partial(bulks.refuse, reason=_reason(request)))

    def pause_view(self, request: HttpRequest, bulk_id: int) -> HttpResponse:
        return self._decide(request, bulk_id, bulks.pause, stops=True)

    def go_on_view(self, request: HttpRequest, bulk_id: int) -> HttpResponse:
        return self._decide(request, bulk_id, bulks.go_on)

    def cancel_view(self, request: HttpRequest, bulk_id: int) -> HttpResponse:
        return self._decide(request, bulk_id, bulks.cancel, stops=True)

    def retry_view(self, request: HttpRequest, bulk_id: int) -> HttpResponse:
        return self._decide(request, bulk_id, bulks.retry_failed)

    def undo_view(self, request: HttpRequest, bulk_id: int) -> HttpResponse:
        return self._decide(request, bulk_id, partial(bulks.undo, reason=_reason(request)))

    def _decide(
        self, request: HttpRequest, bulk_id: int, act: Decision, *, stops: bool = False
    ) -> HttpResponse:
        """Do what was decided. Who may make a change of many may stop any; what adds work needs its own rights."""
        _demand_rights(request)
        bulk = self._bulk(request, bulk_id)
        _demand_rights(request, deletes=bulk.deletes and not stops)
        try:
            made = act(bulk, _person(request))
        except ValidationError as error:
            messages.error(request, " ".join(error.messages))
        else:
            bulk = made if isinstance(made, BulkEdit) else bulk
            transaction.on_commit(partial(tasks.enqueue, tasks.advance_bulk, bulk.pk))
        return redirect("admin:sessions_app_bulkedit_change", bulk.pk)


def describe(bulk: BulkEdit) -> list[tuple[str, object, bool]]:
    """Return each field in words, its value, and whether that is a length of time."""
    return [
        ("Delete at Vapi", "", False)
        if field == DELETE
        else (_LABELS.get(field, field), value, field in _SECONDS)
        for field, value in bulk.fields.items()
    ]


def count_waiting(request: HttpRequest) -> str:
    """Return how many bulk edits wait for this person's approval, '' for none: the sidebar's badge."""
    if not _has_rights(request, deletes=True):
        return ""
    own = Q(author=request.user) | Q(token__created_by=request.user)
    waiting = BulkEdit.objects.visible_to(request.user).filter(~own, state=BulkState.AWAITING)
    return str(waiting.count() or "")


def _has_rights(request: HttpRequest, *, deletes: bool = False) -> bool:
    wanted = (*_RIGHTS, *(["delete_at_vapi"] if deletes else []))
    return all(request.user.has_perm(f"sessions_app.{right}") for right in wanted)


def _demand_rights(request: HttpRequest, *, deletes: bool = False) -> None:
    if not _has_rights(request, deletes=deletes):
        raise PermissionDenied


def _person(request: HttpRequest) -> User:
    assert isinstance(request.user, User)  # noqa: S101 - the admin's pages are for people who signed in
    return request.user


def _reason(request: HttpRequest) -> str:
    return typed_text(request, "reason", _LONGEST_REASON)
