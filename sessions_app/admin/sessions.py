"""The session list and the page of a session."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.views.decorators.http import require_POST

from sessions_app.admin import session_actions, session_asking
from sessions_app.admin.filters import Choice, Control, Range, Toggle, date_range
from sessions_app.admin.history import history_view
from sessions_app.admin.lists import Column
from sessions_app.admin.names import read_names, read_speakers
from sessions_app.admin.pretty import pretty_text
from sessions_app.admin.said import Said, said_in_sessions
from sessions_app.admin.search_first import SearchFirst
from sessions_app.admin.session_actions import EXTENSIONS, carry
from sessions_app.admin.session_edit import edit_session_view
from sessions_app.admin.session_follow import FOLLOW_SECONDS, is_followed, version_of
from sessions_app.admin.session_page import SessionHead, SessionPage, contacts, read_head, read_session_page
from sessions_app.customers.present import Customer, present_customer
from sessions_app.edits.queue import shown_values
from sessions_app.mirror.freshness import read_again
from sessions_app.models import Edit, Session, SessionPayload, SyncRun
from sessions_app.models.edits import EditState
from sessions_app.models.runs import Stream
from sessions_app.search.filters import SessionFilterSet
from sessions_app.search.orders import SESSION_ORDERS
from sessions_app.search.sought import Sought

_FIND = "Find by customer, number, e-mail, session name or id, or words that were said"
_STATUSES = (("active", "active"), ("completed", "completed"))


@dataclass(frozen=True)
class SessionRow:
    session: Session
    customer: Customer
    assistant: str
    # The state of its newest open edit, '' for none.
    edit_state: str

    @property
    def subtitle(self) -> str:
        """A way to the customer that is not the title already, by which a search is recognized, and the name."""
        known = [self.customer.number or self.customer.email, self.session.name]
        return (
            " · ".join(text for text in known if text and text != self.customer.title) or self.session.pk[:13]
        )

    @property
    def shown(self) -> tuple[str, ...]:
        """The texts of it in which what was searched for is seen."""
        return (self.customer.title, self.subtitle)


@admin.register(Session)
class SessionAdmin(SearchFirst):
    search_url = "admin:sessions_app_session_search"
    looks_up = True
    list_heading = "Sessions"
    row_template = "admin/sessions/row.html"
    bulk_template = "admin/bulk/bar.html"
    nothing_yet_template = "admin/sessions/nothing_yet.html"
    nothing_found_template = "admin/sessions/nothing_found.html"
    search_placeholder = _FIND
    columns = (
        Column("Customer"),
        Column("Assistant"),
        Column("Status"),
        Column("Messages", "message_count", "va-number"),
        Column("Cost", "cost_usd", "va-number"),
        Column("Created", "created_at"),
        Column("Last activity", "updated_at"),
        Column("Expires", "expires_at"),
    )
    keyset = SESSION_ORDERS
    filterset_class = SessionFilterSet

    def get_queryset(self, request: HttpRequest) -> QuerySet[Session]:
        return Session.objects.visible_to(request.user).select_related("organization")

    def controls(self, request: HttpRequest) -> Sequence[Control]:
        return [
            Choice("status", "Status", _STATUSES),
            *read_speakers(request.user),
            date_range("Created", "created_at"),
            Range("Cost", "cost_usd__gte", "cost_usd__lte", "number"),
            Choice("edit_state", "Edit", EditState.choices),
            Toggle("failed_tools", "Failed tools"),
            Toggle("missing", "Missing at Vapi"),
        ]

    def prepare_rows(self, request: HttpRequest, rows: Sequence[Session]) -> Sequence[SessionRow]:
        names = read_names(request.user, (row.assistant_id or row.squad_id for row in rows))
        states = self._open_edits(request, rows)
        return [
            SessionRow(
                row,
                present_customer(row),
                names.assistant(row.assistant_id) or names.squad(row.squad_id),
                states.get(row.pk, ""),
            )
            for row in rows
        ]

    def said_in(self, request: HttpRequest, rows: Sequence[Any], sought: Sought) -> list[Said]:
        return said_in_sessions(request.user, rows, sought)

    def _open_edits(self, request: HttpRequest, rows: Sequence[Session]) -> dict[str, str]:
        if not request.user.has_perm("sessions_app.view_edit"):
            return {}
        edits = Edit.objects.visible_to(request.user).open().filter(session_id__in=[row.pk for row in rows])
        return dict(edits.order_by("pk").values_list("session_id", "state"))

    def read_nothing(self, request: HttpRequest) -> dict[str, Any]:
        """What to say where no session is here: is a first sync at work?"""
        runs = (
            SyncRun.objects.visible_to(request.user)
            .filter(stream=Stream.SESSIONS)
            .order_by("-started_at", "-pk")
        )
        return {
            "run": runs.first(),
            "may_sync": request.user.has_perm("sessions_app.add_syncrun"),
        }

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        own = [
            path("<path:object_id>/edit/", view(self.edit_view), name="sessions_app_session_edit"),
            path(
                "<path:object_id>/messages/<int:position>/",
                view(self.message_view),
                name="sessions_app_session_message",
            ),
            path(
                "<path:object_id>/complete/",
                view(require_POST(self.complete_view)),
                name="sessions_app_session_complete",
            ),
            path(
                "<path:object_id>/extend/",
                view(require_POST(self.extend_view)),
                name="sessions_app_session_extend",
            ),
            path(
                "<path:object_id>/delete-at-vapi/",
                view(self.delete_at_vapi_view),
                name="sessions_app_session_gone",
            ),
            path(
                "<path:object_id>/follow/",
                view(require_POST(self.follow_view)),
                name="sessions_app_session_follow",
            ),
            path("<path:object_id>/live/", view(self.live_view), name="sessions_app_session_live"),
            path("<path:object_id>/changes/", view(self.changes_view), name="sessions_app_session_changes"),
            path("<path:object_id>/payload/", view(self.payload_view), name="sessions_app_session_payload"),
            path(
                "<path:object_id>/refetch/",
                view(require_POST(self.refetch_view)),
                name="sessions_app_session_refetch",
            ),
            path(
                "<path:object_id>/adopt/",
                view(require_POST(self.adopt_view)),
                name="sessions_app_session_adopt",
            ),
        ]
        return own + list(super().get_urls())

    # The page of one session -------------------------------------------------------------------

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        session = (
            self.get_queryset(request).select_related("stored_payload").filter(pk=unquote(object_id)).first()
        )
        if session is None:
            return self._not_mirrored(request, unquote(object_id))
        page = read_session_page(request.user, session, whole=request.GET.get("turns") == "all")
        context = self._follow_context(request, page, request.GET.get("turns", ""))
        return TemplateResponse(request, "admin/sessions/page.html", context)

    def follow_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Let an active session be read again, by all who have it open; answer what changed since it was shown."""
        session = self._session(request, object_id)
        if session.status == "active" and session.missing_since is None:
            read_again(session)
        whole = self.get_queryset(request).select_related("stored_payload").get(pk=session.pk)
        turns = request.POST.get("turns", "")
        page = read_session_page(request.user, whole, whole=turns == "all")
        if request.POST.get("shown") == version_of(page):
            return HttpResponse(status=204)
        context = self._follow_context(request, page, turns)
        return TemplateResponse(request, "admin/sessions/follow.html", context)

    def _follow_context(self, request: HttpRequest, page: SessionPage, turns: str) -> dict[str, Any]:
        return self._page_context(request, page.head) | {
            "page": page,
            "turns": turns,
            "shown_version": version_of(page),
            "follow_seconds": FOLLOW_SECONDS if is_followed(page) else 0,
        }

    def live_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The head and the edits of a session, asked for while an edit is under way."""
        head = read_head(request.user, self._session(request, object_id))
        context = self._page_context(request, head) | {"head": head}
        return TemplateResponse(request, "admin/sessions/live.html", context)

    def changes_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return history_view(request, self._session(request, object_id))

    def payload_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        session = self._session(request, object_id)
        stored = SessionPayload.objects.filter(session=session).values_list("payload_json", flat=True).first()
        context = {"text": pretty_text(stored or "")}
        return TemplateResponse(request, "vapiadmin/payload.html", context)

    def _page_context(self, request: HttpRequest, head: SessionHead) -> dict[str, Any]:
        user = request.user
        return {
            **self.admin_site.each_context(request),
            "title": head.customer.title,
            "opts": self.opts,
            "original": head.session,
            "contacts": contacts(head.customer),
            "may_refetch": user.has_perm("sessions_app.refetch_session"),
            "may_view_edits": user.has_perm("sessions_app.view_edit"),
            "may_view_chats": user.has_perm("sessions_app.view_chat"),
            "may_view_costs": user.has_perm("sessions_app.view_costline"),
            "may_edit_messages": user.has_perm("sessions_app.edit_messages"),
            "may_delete": user.has_perm("sessions_app.delete_at_vapi"),
            "may_hold": user.has_perm("sessions_app.hold_sessions"),
            "actions": carry(head.session, shown_values(head.session)) if head.can_edit else None,
            "extensions": EXTENSIONS,
        }

    def _session(self, request: HttpRequest, object_id: str) -> Session:
        """Return a mirrored session that this person may read."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        session = self.get_queryset(request).filter(pk=unquote(object_id)).first()
        if session is None:
            raise Http404
        return session

    # Asking Vapi -------------------------------------------------------------------------------

    def _not_mirrored(self, request: HttpRequest, session_id: str) -> HttpResponse:
        """An id that is not here: 404, with a page that asks Vapi by a POST of its own and goes there if found."""
        context = {
            **self.admin_site.each_context(request),
            "title": "Session",
            "opts": self.opts,
            "session_id": session_id,
            "may_refetch": request.user.has_perm("sessions_app.refetch_session"),
        }
        return TemplateResponse(request, "admin/sessions/not_mirrored.html", context, status=404)

    def adopt_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        self._require_refetch(request)
        return session_asking.adopt_view(request, unquote(object_id))

    def refetch_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        self._require_refetch(request)
        return session_asking.refetch_view(request, self._session(request, object_id))

    def _require_refetch(self, request: HttpRequest) -> None:
        if not (self.has_view_permission(request) and request.user.has_perm("sessions_app.refetch_session")):
            raise PermissionDenied

    # Editing -----------------------------------------------------------------------------------

    def edit_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        session = self._session_to(request, object_id, "edit_session")
        return edit_session_view(self._form_context(request, session, "Edit session"), request, session)

    def complete_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return session_actions.complete_view(request, self._session_to(request, object_id, "edit_session"))

    def extend_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return session_actions.extend_view(request, self._session_to(request, object_id, "edit_session"))

    def delete_at_vapi_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        session = self._session_to(request, object_id, "delete_at_vapi")
        return session_actions.delete_view(
            self._form_context(request, session, "Delete at Vapi"), request, session
        )

    def message_view(self, request: HttpRequest, object_id: str, position: int) -> HttpResponse:
        session = self._session_to(request, object_id, "edit_messages")
        context = self._form_context(request, session, "Correct a message")
        return session_actions.message_view(context, request, session, position)

    def _session_to(self, request: HttpRequest, object_id: str, right: str) -> Session:
        session = self._session(request, object_id)
        if not request.user.has_perm(f"sessions_app.{right}"):
            raise PermissionDenied
        return session

    def _form_context(self, request: HttpRequest, session: Session, title: str) -> dict[str, Any]:
        return {
            **self.admin_site.each_context(request),
            "title": title,
            "opts": self.opts,
            "original": session,
        }
