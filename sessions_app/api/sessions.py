"""Sessions over REST: list, read, correct, fetch again."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.urls import reverse
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.exceptions import NotFound, PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response

from sessions_app.api import documents
from sessions_app.api.corrections import EDITABLE, correction_of
from sessions_app.api.edits import ask_for_push, present_edit, shows_edits
from sessions_app.api.etags import demand_match, etag_of, is_known
from sessions_app.api.lists import (
    ListView,
    Row,
    columns_of,
    list_parameters,
    organization_slugs,
    stored_json,
    with_organization,
)
from sessions_app.api.past import parse_moment, past_session
from sessions_app.api.permissions import may, reader_of
from sessions_app.api.submissions import IDEMPOTENCY_KEY, making_of, object_of, organization_of, reason_of
from sessions_app.api.upstream import vapi_answers
from sessions_app.api.views import RestView, camel_case, refuse_unknown, snake_cased
from sessions_app.edits.claims import lock_edits_of
from sessions_app.edits.creations import queue_create
from sessions_app.edits.deletions import queue_delete
from sessions_app.edits.message_edits import queue_messages
from sessions_app.edits.queue import Making, queue_edit, shown_values, submitted_before
from sessions_app.edits.values import Values, mirrored_values
from sessions_app.mirror.refetch import adopt_session, refetch_session
from sessions_app.models import Edit, Session
from sessions_app.models.access import Scope
from sessions_app.models.edits import EditKind
from sessions_app.models.runs import Stream
from sessions_app.search.filters import SessionFilterSet
from sessions_app.search.orders import SESSION_ORDERS

COLUMNS = columns_of(
    Session,
    (
        *("id", "organization_id", "name", "status", "created_at", "updated_at"),
        *("expiration_seconds", "expires_at", "idle_expires_at"),
        *("assistant_id", "squad_id", "phone_number_id"),
        *("customer_id", "customer_number", "customer_name", "customer_email"),
        *("customer_external_id", "customer_sip_uri"),
        *("cost_usd", "itemized_cost_usd", "message_count", "failed_tool_count"),
        *("synced_at", "missing_since", "missing_reason"),
    ),
)
CREATABLE = EDITABLE | {
    *("assistant_id", "squad_id", "phone_number_id", "customer_id", "customer", "messages")
}
_IF_MATCH = OpenApiParameter("If-Match", str, "header", required=True, description="The ETag, or *.")


class SessionList(ListView):
    """Sessions, the newest first, without their payloads."""

    required_scopes = {"GET": Scope.SESSIONS_READ, "POST": Scope.SESSIONS_WRITE}
    rows = Session.objects
    filter_set = SessionFilterSet
    keyset = SESSION_ORDERS
    default_ordering = "-created_at"
    columns = COLUMNS
    complete_streams = (Stream.SESSIONS,)

    @extend_schema(
        operation_id="sessions_list",
        parameters=list_parameters(SessionFilterSet, SESSION_ORDERS),
        responses=documents.page_of(documents.SessionRow),
    )
    def get(self, request: Request, **path: str) -> Response:
        return super().get(request, **path)

    @extend_schema(
        operation_id="sessions_create",
        request=documents.SessionCreate,
        responses={202: documents.EditRow},
        parameters=[IDEMPOTENCY_KEY],
    )
    def post(self, request: Request) -> Response:
        """Queue a new session; 202 and the edit, whose session_id is known once it is applied."""
        refuse_unknown(request.query_params, frozenset())
        body = object_of(request.data)
        refuse_unknown(body, CREATABLE | {"organization", "reason"}, kind="field")
        fields = {camel_case(name): value for name, value in body.items() if name in CREATABLE}
        if isinstance(fields.get("customer"), dict):
            fields["customer"] = {camel_case(name): value for name, value in fields["customer"].items()}
        making = making_of(request, reason_of(body))
        with transaction.atomic():
            edit = queue_create(organization_of(request, body.get("organization")), fields, making)
            ask_for_push(edit)
        return _accepted(request, edit)


class SessionDetail(RestView):
    required_scopes = {
        "GET": Scope.SESSIONS_READ,
        "PATCH": Scope.SESSIONS_WRITE,
        "DELETE": Scope.SESSIONS_DELETE,
    }

    @extend_schema(
        operation_id="sessions_read",
        responses=documents.SessionDetail,
        parameters=[
            OpenApiParameter("as_of", str, description="A time: the state then, and `as_of` beside it.")
        ],
    )
    def get(self, request: Request, session_id: str) -> Response:
        """One session with its payload. The ETag is what a PATCH sends as If-Match; a past state has none."""
        refuse_unknown(request.query_params, frozenset({"as_of"}))
        session = session_of(request, session_id)
        if "as_of" not in request.query_params:
            return answer_session(request, session)
        moment = parse_moment(request.query_params["as_of"])
        return Response(past_session(session, moment, COLUMNS, organization_slugs(request)))

    @extend_schema(
        operation_id="sessions_patch",
        request=documents.SessionPatch,
        responses={202: documents.EditRow},
        parameters=[_IF_MATCH, IDEMPOTENCY_KEY],
    )
    def patch(self, request: Request, session_id: str) -> Response:
        """Queue a correction; 202 and the edit. 428 without If-Match, 412 where the session has changed since."""
        refuse_unknown(request.query_params, frozenset())
        session_of(request, session_id)
        fields, operations, reason = correction_of(request.data)
        if operations is not None and not may(request, Scope.MESSAGES_WRITE):
            raise PermissionDenied
        making = making_of(request, reason)
        with transaction.atomic():
            # Two corrections on one ETag wait for each other here, and the second is stale.
            lock_edits_of(session_id)
            session = session_of(request, session_id)
            if operations is None:
                # What was shown is read ahead of what the tag is compared with: a sync in between makes it stale.
                base = shown_values(session)
                edit = self._queue(request, session_of(request, session_id), base, fields, making)
            else:
                _demand_fresh(request, session, making, EditKind.MESSAGES)
                edit = queue_messages(session, operations, making)
            ask_for_push(edit)
        return _accepted(request, edit)

    @extend_schema(
        operation_id="sessions_delete",
        request=None,
        responses={202: documents.EditRow},
        parameters=[_IF_MATCH, IDEMPOTENCY_KEY],
    )
    def delete(self, request: Request, session_id: str) -> Response:
        """Queue the deletion at Vapi; 202 and the edit. The row stays here, stamped. 428 and 412 as with PATCH."""
        refuse_unknown(request.query_params, frozenset({"reason"}))
        making = making_of(request, reason_of(request.query_params))
        session_of(request, session_id)
        with transaction.atomic():
            lock_edits_of(session_id)
            session = session_of(request, session_id)
            _demand_fresh(request, session, making, EditKind.DELETE)
            edit = queue_delete(session, making)
            ask_for_push(edit)
        return _accepted(request, edit)

    def _queue(
        self, request: Request, session: Session, base: Values, fields: Values, making: Making
    ) -> Edit:
        _demand_fresh(request, session, making, EditKind.UPDATE)
        return queue_edit(
            session=session,
            base=base,
            fields=fields,
            reason=making.reason,
            source=making.source,
            author=making.author,
            token=making.token,
            submission_key=making.submission_key,
            keep_shown=True,
        )


class SessionRefetch(RestView):
    required_scopes = {"POST": Scope.SESSIONS_WRITE}
    required_permissions = {"POST": "sessions_app.refetch_session"}

    @extend_schema(operation_id="sessions_refetch", request=None, responses=documents.SessionDetail)
    def post(self, request: Request, session_id: str) -> Response:
        """Fetch a session and its chats again from Vapi, also one that is not mirrored yet."""
        refuse_unknown(request.query_params, frozenset())
        known = visible_session(request, session_id)
        with vapi_answers():
            found = (
                refetch_session(known.organization, session_id)
                if known
                else adopt_session(session_id, reader_of(request))
            )
        if found is None:
            raise NotFound(
                "Vapi has no session of this id any more."
                if known
                else "Vapi has no such session, or it was let go here."
            )
        return answer_session(request, session_of(request, session_id))


def visible_session(request: Request, session_id: str) -> Session | None:
    return Session.objects.visible_to(reader_of(request)).filter(pk=session_id).first()


def session_of(request: Request, session_id: str) -> Session:
    """Return a session that the request may read; 404 otherwise."""
    session = visible_session(request, session_id)
    if session is None:
        raise NotFound("There is no such session here.")
    return session


def newest_edit(session: Session) -> Edit | None:
    return Edit.objects.filter(session_id=session.pk).order_by("-pk").only("pk", "state").first()


def answer_session(request: Request, session: Session) -> Response:
    """Return the session with its payload and ETag, or 304 where that is known already."""
    newest = newest_edit(session)
    etag = etag_of(session, newest)
    if request.method == "GET" and is_known(request.headers.get("If-None-Match"), etag):
        answer = Response(status=304)
    else:
        answer = Response(_detail(request, session, newest))
    answer["ETag"] = etag
    return answer


def _detail(request: Request, session: Session, newest: Edit | None) -> dict[str, Any]:
    stored, shown = mirrored_values(session), shown_values(session)
    pending = {name: value for name, value in shown.items() if value != stored[name]}
    if not shows_edits(request):
        pending, newest = {}, None
    payload = getattr(session, "stored_payload", None)
    row: Row = {name: getattr(session, name) for name in COLUMNS}
    return {
        **with_organization(row, organization_slugs(request)),
        "pending": snake_cased(pending),
        "newest_edit": {"id": newest.pk, "state": newest.state} if newest else None,
        "payload": stored_json(payload.payload_json if payload else None),
    }


def _demand_fresh(request: Request, session: Session, making: Making, kind: EditKind) -> None:
    """428 or 412 where the session was not read as it is now, unless the same was sent before.

    400 where the key was sent by another, or with something of another kind.
    """
    if submitted_before(making, session.pk, kind) is None:
        demand_match(request.headers.get("If-Match"), etag_of(session, newest_edit(session)))


def _accepted(request: Request, edit: Edit) -> Response:
    answer = Response(present_edit(edit, organization_slugs(request)), status=202)
    answer["Location"] = request.build_absolute_uri(reverse("api-edit", args=[edit.pk]))
    return answer
