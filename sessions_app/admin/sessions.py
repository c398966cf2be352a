"""The session list and the page of a session."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import quote, unquote
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.views.decorators.http import require_POST

from sessions_app.admin.explanations import explain
from sessions_app.admin.filters import Choice, Control, Range, Toggle, date_range
from sessions_app.admin.lists import Column, ListAdmin, organization_options
from sessions_app.admin.names import read_assistant_options, read_names
from sessions_app.admin.pretty import pretty_text
from sessions_app.admin.session_edit import edit_session_view
from sessions_app.admin.session_page import SessionHead, contacts, read_head, read_session_page
from sessions_app.customers.present import Customer, present_customer
from sessions_app.mirror.connection import NoKey
from sessions_app.mirror.refetch import adopt_session, refetch_session
from sessions_app.models import Edit, Organization, Session, SessionPayload, SyncRun
from sessions_app.models.edits import EditState
from sessions_app.models.keyset import Keyset
from sessions_app.models.runs import Stream
from sessions_app.search.filters import SessionFilterSet
from sessions_app.vapi.errors import VapiError

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


@admin.register(Session)
class SessionAdmin(ListAdmin):
    list_heading = "Sessions"
    row_template = "admin/sessions/row.html"
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
    keyset = Keyset(
        {name: name for name in ("created_at", "updated_at", "cost_usd", "message_count", "expires_at")}
    )
    filterset_class = SessionFilterSet

    def get_queryset(self, request: HttpRequest) -> QuerySet[Session]:
        return Session.objects.visible_to(request.user).select_related("organization")

    def controls(self, request: HttpRequest, organizations: Sequence[Organization]) -> Sequence[Control]:
        controls: list[Control] = [
            Choice("status", "Status", _STATUSES),
            Choice("assistant_id", "Assistant", read_assistant_options(request.user)),
            date_range("Created", "created_at"),
            Range("Cost", "cost_usd__gte", "cost_usd__lte", "number"),
            Choice("edit_state", "Edit", EditState.choices),
            Toggle("failed_tools", "Failed tools"),
            Toggle("missing", "Missing at Vapi"),
        ]
        if len(organizations) > 1:
            controls.insert(1, Choice("organization", "Organization", organization_options(organizations)))
        return controls

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

    def _open_edits(self, request: HttpRequest, rows: Sequence[Session]) -> dict[str, str]:
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
            path("<path:object_id>/live/", view(self.live_view), name="sessions_app_session_live"),
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
        context = self._page_context(request, page.head) | {"page": page}
        return TemplateResponse(request, "admin/sessions/page.html", context)

    def live_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The head and the edits of a session, asked for while an edit is under way."""
        head = read_head(request.user, self._session(request, object_id))
        context = self._page_context(request, head) | {"head": head}
        return TemplateResponse(request, "admin/sessions/live.html", context)

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
        """An id that is not here yet: the page asks Vapi for it by a POST of its own."""
        context = {
            **self.admin_site.each_context(request),
            "title": "Session",
            "opts": self.opts,
            "session_id": session_id,
            "may_refetch": request.user.has_perm("sessions_app.refetch_session"),
        }
        status = 200 if context["may_refetch"] else 404
        return TemplateResponse(request, "admin/sessions/not_mirrored.html", context, status=status)

    def adopt_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask Vapi for an id that is not mirrored; htmx is told where to go, or gets words."""
        self._require_refetch(request)
        problem = ""
        try:
            found = adopt_session(unquote(object_id), request.user)
        except (VapiError, NoKey) as error:
            found, problem = None, explain(error)
        if found is not None:
            return _go(request, f"{self.opts.app_label}_{self.opts.model_name}_change", found.pk)
        context = {"problem": problem}
        return TemplateResponse(request, "admin/sessions/not_found.html", context)

    def refetch_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        self._require_refetch(request)
        session = self._session(request, object_id)
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
        return redirect("admin:sessions_app_session_change", quote(session.pk))

    def _require_refetch(self, request: HttpRequest) -> None:
        if not (self.has_view_permission(request) and request.user.has_perm("sessions_app.refetch_session")):
            raise PermissionDenied

    # Editing -----------------------------------------------------------------------------------

    def edit_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        session = self._session(request, object_id)
        if not request.user.has_perm("sessions_app.edit_session"):
            raise PermissionDenied
        context = {
            **self.admin_site.each_context(request),
            "title": "Edit session",
            "opts": self.opts,
            "original": session,
        }
        return edit_session_view(context, request, session)


def _go(request: HttpRequest, url_name: str, pk: str) -> HttpResponse:
    response = redirect(f"admin:{url_name}", quote(pk))
    if request.headers.get("HX-Request"):
        return HttpResponse(headers={"HX-Redirect": response["Location"]})
    return response
