"""The inbox of server messages, the page of one with its verdict, and processing it again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.views.decorators.http import require_POST

from sessions_app import tasks
from sessions_app.admin.filters import Choice, Control, date_range
from sessions_app.admin.lists import Column, ListAdmin, as_pk
from sessions_app.admin.names import read_names
from sessions_app.admin.pretty import pretty_text
from sessions_app.admin.webhook_arrivals import arrivals_view
from sessions_app.admin.webhook_secrets import retire_view, secrets_view
from sessions_app.mirror import events
from sessions_app.models import Chat, Session, WebhookEvent
from sessions_app.models.keyset import Keyset
from sessions_app.models.webhooks import EventState
from sessions_app.search.parameters import ListFilter, MomentFilter, ValueFilter, bounds
from sessions_app.search.strict import OrganizationFilter, StrictFilterSet, taking

KINDS = ("session.created", "session.updated", "session.deleted", "chat.created", "chat.deleted")


@taking(bounds(MomentFilter, "received_at"))
class WebhookEventFilterSet(StrictFilterSet):
    """What the inbox takes."""

    organization = OrganizationFilter()
    kind = ListFilter(field_name="kind")
    state = ListFilter(field_name="state", choices=EventState.values)
    assistant_id = ListFilter(field_name="assistant_id")
    search = ValueFilter(field_name="remote_id", label="id at Vapi")

    class Meta:
        model = WebhookEvent
        fields: list[str] = []


@dataclass(frozen=True)
class EventRow:
    event: WebhookEvent
    assistant: str


@admin.register(WebhookEvent)
class WebhookEventAdmin(ListAdmin):
    list_heading = "Webhook events"
    row_template = "admin/webhooks/row.html"
    before_template = "admin/webhooks/toolbar.html"
    search_placeholder = "Find by the id of a session or chat"
    columns = (
        Column("Message"),
        Column("What became of it"),
        Column("Assistant"),
        Column("Came", "", "va-number"),
        Column("Received", "received_at"),
    )
    keyset = Keyset({"received_at": "received_at"})
    default_ordering = "-received_at"
    of_organization = False
    filterset_class = WebhookEventFilterSet
    icon = "webhook"
    nothing_yet = (
        "No message has come from Vapi so far. Without any, polling finds what is new within a minute."
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[WebhookEvent]:
        found = WebhookEvent.objects.visible_to(request.user)
        return found.select_related("organization").defer("body_json")

    def controls(self, request: HttpRequest) -> Sequence[Control]:
        return [
            Choice("kind", "Message", [(kind, kind) for kind in KINDS]),
            Choice("state", "State", EventState.choices),
            date_range("Received", "received_at"),
        ]

    def prepare_rows(self, request: HttpRequest, rows: Sequence[WebhookEvent]) -> Sequence[EventRow]:
        names = read_names(request.user, (row.assistant_id for row in rows))
        return [EventRow(row, names.assistant(row.assistant_id)) for row in rows]

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        own = [
            path("arrivals/", view(arrivals_view), name="webhook_arrivals"),
            path("secrets/<int:organization_id>/", view(secrets_view), name="webhook_secrets"),
            path("secrets/retire/<int:secret_id>/", view(retire_view), name="webhook_secret_retire"),
            path("<int:event_id>/replay/", view(require_POST(self.replay_view)), name="webhook_replay"),
        ]
        return [*own, *super().get_urls()]

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        event = self.get_queryset(request).defer(None).filter(pk=as_pk(object_id)).first()
        if event is None:
            raise Http404
        context = {
            **self.admin_site.each_context(request),
            "title": "Webhook event",
            "opts": self.opts,
            "original": event,
            "event": event,
            "assistant": read_names(request.user, [event.assistant_id]).assistant(event.assistant_id),
            "subject": _subject_of(request, event),
            "text": pretty_text(event.body_json),
            "may_replay": request.user.has_perm("sessions_app.replay_webhookevent")
            and event.state != EventState.RECEIVED,
        }
        return TemplateResponse(request, "admin/webhooks/page.html", context)

    def replay_view(self, request: HttpRequest, event_id: int) -> HttpResponse:
        """Let a message be processed once more, as if it came now."""
        if not request.user.has_perm("sessions_app.replay_webhookevent"):
            raise PermissionDenied
        if not self.get_queryset(request).filter(pk=event_id).exists():
            raise Http404
        if events.replay_event(event_id):
            tasks.enqueue(tasks.process_events)
            messages.success(request, "It is processed again; reload to see what became of it.")
        else:
            messages.warning(request, "It is being processed already.")
        return redirect("admin:sessions_app_webhookevent_change", event_id)


def _subject_of(request: HttpRequest, event: WebhookEvent) -> Session | Chat | None:
    """The mirrored session or chat that a message is about."""
    models: dict[str, type[Session | Chat]] = {"session": Session, "chat": Chat}
    model = models.get(event.kind.partition(".")[0])
    if model is None or not request.user.has_perm(f"sessions_app.view_{model._meta.model_name}"):
        return None
    found: Session | Chat | None = model.objects.visible_to(request.user).filter(pk=event.remote_id).first()
    return found
