"""Sessions over REST: list, read, correct, fetch again."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db import transaction
from django.urls import reverse
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from sessions_app.api import documents
from sessions_app.api.edits import ask_for_push, present_edit, refuse_null_name
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
from sessions_app.api.permissions import author_of, reader_of
from sessions_app.api.upstream import vapi_answers
from sessions_app.api.views import RestView, camel_case, refuse_unknown, snake_cased, storable
from sessions_app.edits.claims import lock_edits_of
from sessions_app.edits.queue import queue_edit, shown_values
from sessions_app.edits.values import Values, mirrored_values
from sessions_app.mirror.refetch import adopt_session, refetch_session
from sessions_app.models import Edit, Session
from sessions_app.models.access import Scope
from sessions_app.models.keyset import Keyset
from sessions_app.search.filters import SessionFilterSet
from sessions_app.vapi import make_safe

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
SORTABLE = ("created_at", "updated_at", "cost_usd", "message_count", "expires_at", "idle_expires_at")
KEYSET = Keyset({name: name for name in SORTABLE})
EDITABLE = frozenset({"name", "status", "expiration_seconds"})
_LONGEST_REASON = 1000


class SessionList(ListView):
    required_scopes = {"GET": Scope.SESSIONS_READ}
    rows = Session.objects
    filter_set = SessionFilterSet
    keyset = KEYSET
    default_ordering = "-created_at"
    columns = COLUMNS

    @extend_schema(
        operation_id="sessions_list",
        parameters=list_parameters(SessionFilterSet, KEYSET),
        responses=documents.page_of(documents.SessionRow),
    )
    def get(self, request: Request, **path: str) -> Response:
        return super().get(request, **path)


class SessionDetail(RestView):
    required_scopes = {"GET": Scope.SESSIONS_READ, "PATCH": Scope.SESSIONS_WRITE}

    @extend_schema(operation_id="sessions_read", responses=documents.SessionDetail)
    def get(self, request: Request, session_id: str) -> Response:
        """One session with its payload. The ETag is what a PATCH sends as If-Match."""
        refuse_unknown(request.query_params, frozenset())
        return answer_session(request, session_of(request, session_id))

    @extend_schema(
        operation_id="sessions_patch",
        request=documents.SessionPatch,
        responses={202: documents.EditRow},
        parameters=[
            OpenApiParameter("If-Match", str, "header", required=True, description="The ETag, or *."),
            OpenApiParameter("Idempotency-Key", UUID, "header", description="Sent twice, it is one edit."),
        ],
    )
    def patch(self, request: Request, session_id: str) -> Response:
        """Queue a correction; 202 and the edit. 428 without If-Match, 412 where the session has changed since."""
        refuse_unknown(request.query_params, frozenset())
        session = session_of(request, session_id)
        fields, reason = _correction(request.data)
        with transaction.atomic():
            # Two corrections on one ETag wait for each other here, and the second is stale.
            lock_edits_of(session_id)
            # What was shown is read ahead of what the tag is compared with: a sync in between makes it stale.
            base = shown_values(session)
            edit = self._queue(request, session_of(request, session_id), base, fields, reason)
            ask_for_push(edit)
        answer = Response(present_edit(edit, organization_slugs(request)), status=202)
        answer["Location"] = request.build_absolute_uri(reverse("api-edit", args=[edit.pk]))
        return answer

    def _queue(self, request: Request, session: Session, base: Values, fields: Values, reason: str) -> Edit:
        key = _submission_key(request.headers.get("Idempotency-Key"))
        known = Edit.objects.filter(submission_key=key, session_id=session.pk).first() if key else None
        if known is None:
            demand_match(request.headers.get("If-Match"), etag_of(session, newest_edit(session)))
        author, token = author_of(request)
        return queue_edit(
            session=session,
            # Sent again, a correction is compared with what it was made on the first time.
            base={**base, **(known.base if known else {})},
            fields=fields,
            reason=reason,
            source="api",
            author=author,
            token=token,
            submission_key=key,
        )


class SessionRefetch(RestView):
    required_scopes = {"POST": Scope.SESSIONS_WRITE}
    required_permissions = {"POST": "sessions_app.refetch_session"}

    @extend_schema(operation_id="sessions_refetch", request=None, responses=documents.SessionDetail)
    def post(self, request: Request, session_id: str) -> Response:
        """Fetch a session and its chats again from Vapi, also one that is not mirrored yet."""
        refuse_unknown(request.query_params, frozenset())
        known = visible_session(request, storable(session_id))
        with vapi_answers():
            found = (
                refetch_session(known.organization, session_id)
                if known
                else adopt_session(session_id, reader_of(request))
            )
        if found is None:
            raise NotFound(
                "Vapi has no session of this id any more." if known else "Vapi has no such session."
            )
        return answer_session(request, session_of(request, session_id))


def visible_session(request: Request, session_id: str) -> Session | None:
    return Session.objects.visible_to(reader_of(request)).filter(pk=session_id).first()


def session_of(request: Request, session_id: str) -> Session:
    """Return a session that the request may read; 404 otherwise."""
    session = visible_session(request, storable(session_id))
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
    payload = getattr(session, "stored_payload", None)
    row: Row = {name: getattr(session, name) for name in COLUMNS}
    return {
        **with_organization(row, organization_slugs(request)),
        "pending": snake_cased(pending),
        "newest_edit": {"id": newest.pk, "state": newest.state} if newest else None,
        "payload": stored_json(payload.payload_json if payload else None),
    }


def _correction(body: object) -> tuple[dict[str, object], str]:
    """Return the fields by Vapi's names and the reason, as the body gives them; 400 where it is none."""
    if not isinstance(body, dict):
        raise ValidationError({"detail": ["Send an object."]})
    refuse_unknown(body, EDITABLE | {"reason"}, kind="field")
    if "name" in body:
        refuse_null_name(body["name"])
    reason = body.get("reason", "")
    if not isinstance(reason, str) or len(reason) > _LONGEST_REASON or make_safe(reason)[1]:
        raise ValidationError({"reason": [f"Enter text of at most {_LONGEST_REASON} characters."]})
    return {camel_case(name): value for name, value in body.items() if name in EDITABLE}, reason


def _submission_key(text: str | None) -> UUID | None:
    try:
        return UUID(text) if text else None
    except ValueError:
        raise ValidationError({"detail": ["Idempotency-Key must be a UUID."]}) from None
