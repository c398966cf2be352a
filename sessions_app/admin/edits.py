"""Edits: their list, each one's page, and what people decide about them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from django.contrib import admin, messages
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.views.decorators.http import require_POST

from sessions_app import tasks
from sessions_app.admin.changes import FIELD_LABELS, Change, list_changes
from sessions_app.admin.filters import Choice, Control, date_range
from sessions_app.admin.lists import Column, ListAdmin, as_pk
from sessions_app.admin.pretty import pretty_json
from sessions_app.admin.typed_text import typed_text
from sessions_app.customers.present import Customer, present_customer
from sessions_app.edits import settle
from sessions_app.edits.push import patch_of
from sessions_app.edits.standing import describe_standing
from sessions_app.edits.write_mode import pause_all
from sessions_app.models import Edit, Session
from sessions_app.models.edits import UNDER_WAY_STATES, EditKind, EditState
from sessions_app.models.keyset import Keyset
from sessions_app.search.filters import EditFilterSet

_MOST_TRANSITIONS = 200


@dataclass(frozen=True)
class EditRow:
    edit: Edit
    customer: Customer | None


@admin.register(Edit)
class EditAdmin(ListAdmin):
    list_heading = "Edits"
    row_template = "admin/edits/row.html"
    columns = (
        Column("Session"),
        Column("Change"),
        Column("State"),
        Column("By"),
        Column("Made", "created_at"),
    )
    keyset = Keyset({"created_at": "created_at"})
    filterset_class = EditFilterSet
    icon = "edit_note"
    poll_seconds = 10
    before_template = "admin/edits/pause_all.html"
    nothing_yet = (
        "Corrections of a session's name, status or lifetime show here, with where each of them stands."
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Edit]:
        return Edit.objects.visible_to(request.user).select_related("organization", "author", "token")

    def controls(self, request: HttpRequest) -> Sequence[Control]:
        return [
            Choice("state", "State", EditState.choices),
            Choice("kind", "Kind", EditKind.choices),
            Choice("field", "Field", list(FIELD_LABELS.items())),
            Choice("author", "By", _people()),
            date_range("Made", "created_at"),
        ]

    def prepare_rows(self, request: HttpRequest, rows: Sequence[Edit]) -> Sequence[EditRow]:
        sessions = Session.objects.visible_to(request.user).in_bulk([edit.session_id for edit in rows])
        return [
            EditRow(
                edit, present_customer(sessions[edit.session_id]) if edit.session_id in sessions else None
            )
            for edit in rows
        ]

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        own = [
            path("<int:edit_id>/live/", view(self.live_view), name="sessions_app_edit_live"),
            path(
                "<int:edit_id>/resolve/",
                view(require_POST(self.resolve_view)),
                name="sessions_app_edit_resolve",
            ),
            path(
                "<int:edit_id>/withdraw/",
                view(require_POST(self.withdraw_view)),
                name="sessions_app_edit_withdraw",
            ),
            path("pause-all/", view(require_POST(self.pause_all_view)), name="sessions_app_edit_pause_all"),
            path("<int:edit_id>/undo/", view(require_POST(self.undo_view)), name="sessions_app_edit_undo"),
            path("<int:edit_id>/retry/", view(require_POST(self.retry_view)), name="sessions_app_edit_retry"),
        ]
        return own + list(super().get_urls())

    # The page of one edit ----------------------------------------------------------------------

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        return self._page(request, self._edit(request, object_id), "admin/edits/page.html")

    def live_view(self, request: HttpRequest, edit_id: int) -> HttpResponse:
        return self._page(request, self._edit(request, edit_id), "admin/edits/detail.html")

    def _page(
        self, request: HttpRequest, edit: Edit, template: str, problems: Sequence[str] = ()
    ) -> HttpResponse:
        session = (
            Session.objects.visible_to(request.user)
            .select_related("organization")
            .filter(pk=edit.session_id)
            .first()
        )
        method, address, body = patch_of(edit)
        context = {
            **self.admin_site.each_context(request),
            "title": f"Edit {edit.pk}",
            "opts": self.opts,
            "original": edit,
            "edit": edit,
            "session": session,
            "customer": present_customer(session) if session else None,
            "changes": [_as_typed(request, change) for change in list_changes(edit)],
            "standing": describe_standing(edit, fields_apart=True),
            "history": list(edit.transitions.order_by("happened_at", "pk")[:_MOST_TRANSITIONS]),
            "method": method,
            "path": f"{edit.organization.base_url.rstrip('/')}{address}",
            "body": pretty_json(body) if body else "",
            "may_edit": may_decide(request.user, edit),
            "undone_by": edit.undone_by.order_by("-pk").first(),
            "polls": edit.state in UNDER_WAY_STATES,
            "problems": problems,
        }
        return TemplateResponse(request, template, context)

    def _edit(self, request: HttpRequest, edit_id: str | int) -> Edit:
        if not self.has_view_permission(request):
            raise PermissionDenied
        edit = self.get_queryset(request).filter(pk=as_pk(edit_id)).first()
        if edit is None:
            raise Http404
        return edit

    # Decisions ---------------------------------------------------------------------------------

    def resolve_view(self, request: HttpRequest, edit_id: int) -> HttpResponse:
        """Settle a conflict: "mine" or "theirs" for each disputed field, or one of them for all."""
        edit = self._edit_to_settle(request, edit_id)
        choice = request.POST.get("all")
        choices = {field: choice or _choice(request, field) for field in edit.theirs}
        try:
            settled = settle.resolve_conflict(edit, choices, request.user)  # type: ignore[arg-type]  # who passed the permission check has signed in
        except ValidationError as error:
            return self._page(request, edit, "admin/edits/page.html", error.messages)
        if settled.pk == edit.pk:
            messages.success(request, "Vapi's values stand; the edit is withdrawn.")
        else:
            transaction.on_commit(partial(tasks.enqueue, tasks.push_edit, settled.pk))
            messages.success(request, "Your choice is on its way to Vapi.")
        return redirect("admin:sessions_app_edit_change", settled.pk)

    def withdraw_view(self, request: HttpRequest, edit_id: int) -> HttpResponse:
        edit = self._edit_to_settle(request, edit_id)
        try:
            settle.withdraw(edit, request.user)  # type: ignore[arg-type]  # as above
        except ValidationError as error:
            messages.error(request, " ".join(error.messages))
        else:
            messages.success(request, "Withdrawn; nothing is sent.")
        return redirect("admin:sessions_app_edit_change", edit.pk)

    def undo_view(self, request: HttpRequest, edit_id: int) -> HttpResponse:
        edit = self._edit_to_settle(request, edit_id)
        try:
            back = settle.undo(edit, request.user, reason=typed_text(request, "reason", 2000))  # type: ignore[arg-type]  # as above
        except ValidationError as error:
            messages.error(request, " ".join(error.messages))
            return redirect("admin:sessions_app_edit_change", edit.pk)
        transaction.on_commit(partial(tasks.enqueue, tasks.push_edit, back.pk))
        messages.success(request, "The undoing is on its way: an edit of its own, with the same checks.")
        return redirect("admin:sessions_app_edit_change", back.pk)

    def retry_view(self, request: HttpRequest, edit_id: int) -> HttpResponse:
        edit = self._edit_to_settle(request, edit_id)
        try:
            again = settle.retry(edit, request.user)  # type: ignore[arg-type]  # as above
        except ValidationError as error:
            messages.error(request, " ".join(error.messages))
            return redirect("admin:sessions_app_edit_change", edit.pk)
        transaction.on_commit(partial(tasks.enqueue, tasks.push_edit, again.pk))
        messages.success(request, "Queued again.")
        return redirect("admin:sessions_app_edit_change", again.pk)

    def pause_all_view(self, request: HttpRequest) -> HttpResponse:
        """One click stops every organization's writing; queued edits wait."""
        if not request.user.has_perm("sessions_app.change_write_mode"):
            raise PermissionDenied
        reason = typed_text(request, "reason", 2000).strip() or "Paused everything in one click."
        try:
            paused = pause_all(reason, request.user)  # type: ignore[arg-type]  # as above
        except ValidationError as error:
            messages.error(request, " ".join(error.messages))
        else:
            names = ", ".join(str(organization) for organization in paused)
            messages.success(request, f"Paused: {names}." if paused else "Nothing was writing to Vapi.")
        return redirect("admin:sessions_app_edit_changelist")

    def _edit_to_settle(self, request: HttpRequest, edit_id: int) -> Edit:
        edit = self._edit(request, edit_id)
        if not may_decide(request.user, edit):
            raise PermissionDenied
        return edit


def may_decide(who: AbstractBaseUser | AnonymousUser, edit: Edit) -> bool:
    """Say whether a person may take back, settle, undo or try again an edit of this kind."""
    right = {EditKind.MESSAGES: "edit_messages", EditKind.DELETE: "delete_at_vapi"}.get(EditKind(edit.kind))
    wanted = ["sessions_app.edit_session", *([f"sessions_app.{right}"] if right else [])]
    return all(who.has_perm(permission) for permission in wanted)  # type: ignore[union-attr]  # people have permissions


def _as_typed(request: HttpRequest, change: Change) -> Change:
    """Return a change as the form has it that was not taken: nothing that was typed is lost."""
    chosen, typed = (request.POST.get(f"{part}-{change.field}", "") for part in ("field", "value"))
    return replace(change, chosen=chosen, mine_value=typed if chosen == "value" else change.mine_value)


def _choice(request: HttpRequest, field: str) -> object:
    """Return "mine", "theirs" or a value that was typed, as Vapi takes it."""
    choice = request.POST.get(f"field-{field}")
    if choice != "value":
        return choice
    typed = request.POST.get(f"value-{field}", "")
    is_number = field == "expirationSeconds" and typed.strip().isascii() and typed.strip().isdigit()
    return {"value": int(typed) if is_number and len(typed) < 20 else typed}


def _people() -> list[tuple[str, str]]:
    names = get_user_model().objects.order_by("username").values_list("username", flat=True)
    return [(name, name) for name in names]
