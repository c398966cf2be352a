"""Edits over REST: where a correction stands, and what is decided about it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import NotFound, PermissionDenied, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from sessions_app.api import documents
from sessions_app.api.lists import ListView, Row, list_parameters, organization_slugs, with_organization
from sessions_app.api.permissions import author_of, may, reader_of
from sessions_app.api.views import RestView, camel_case, refuse_unknown, snake_cased
from sessions_app.edits.settle import resolve_conflict, retry, undo, withdraw
from sessions_app.models import ApiToken, Edit
from sessions_app.models.access import Scope
from sessions_app.models.edits import EditKind, EditState, author_name
from sessions_app.models.keyset import Keyset
from sessions_app.search.filters import EditFilterSet
from sessions_app.tasks import enqueue, push_edit

KEYSET = Keyset({"created_at": "created_at"})
COLUMNS = (
    *("id", "organization_id", "session_id", "kind", "state", "fields", "base", "theirs"),
    *("operations", "undoes_id", "bulk_id", "request_id"),
    *("reason", "source", "author__username", "token__name", "error", "attempts", "superseded_by_id"),
    *("created_at", "next_attempt_at", "sent_at", "settled_at"),
)


class EditList(ListView):
    """Corrections on their way to Vapi and those that have ended, the newest first."""

    required_scopes = {"GET": Scope.SESSIONS_READ}
    required_permissions = {"GET": "sessions_app.view_edit"}
    rows = Edit.objects
    filter_set = EditFilterSet
    keyset = KEYSET
    default_ordering = "-created_at"
    columns = COLUMNS

    def present_row(self, row: Row, slugs: Mapping[int, str]) -> Row:
        return _present(row, slugs)

    @extend_schema(
        operation_id="edits_list",
        parameters=list_parameters(EditFilterSet, KEYSET),
        responses=documents.page_of(documents.EditRow),
    )
    def get(self, request: Request, **path: str) -> Response:
        return super().get(request, **path)


class EditDetail(RestView):
    """One edit: where it stands, and why."""

    required_scopes = {"GET": Scope.SESSIONS_READ}
    required_permissions = {"GET": "sessions_app.view_edit"}

    @extend_schema(operation_id="edits_read", responses=documents.EditRow)
    def get(self, request: Request, edit_id: int) -> Response:
        refuse_unknown(request.query_params, frozenset())
        return Response(present_edit(_edit_of(request, edit_id), organization_slugs(request)))


class EditResolve(RestView):
    required_scopes = {"POST": Scope.SESSIONS_WRITE}

    @extend_schema(
        operation_id="edits_resolve", request=documents.EditResolution, responses=documents.EditRow
    )
    def post(self, request: Request, edit_id: int) -> Response:
        """Settle a conflict field by field; answers the edit that goes on or has ended. 409: no conflict."""
        refuse_unknown(request.query_params, frozenset())
        edit = _edit_of(request, edit_id)
        demand_right_to(request, edit)
        choices = _choices(request.data)
        author, token = author_of(request)
        with transaction.atomic():
            settled = resolve_conflict(edit, choices, author, token=token, source="api")
            ask_for_push(settled)
        return Response(present_edit(settled, organization_slugs(request)))


class EditWithdraw(RestView):
    required_scopes = {"POST": Scope.SESSIONS_WRITE}

    @extend_schema(operation_id="edits_withdraw", request=None, responses=documents.EditRow)
    def post(self, request: Request, edit_id: int) -> Response:
        """End an edit that was not sent yet, or that is in conflict. 409 where it is too late."""
        refuse_unknown(request.query_params, frozenset())
        edit = _edit_of(request, edit_id)
        demand_right_to(request, edit)
        author, token = author_of(request)
        edit = withdraw(edit, author or token)
        return Response(present_edit(edit, organization_slugs(request)))


class EditUndo(RestView):
    required_scopes = {"POST": Scope.SESSIONS_WRITE}

    @extend_schema(operation_id="edits_undo", request=None, responses={202: documents.EditRow})
    def post(self, request: Request, edit_id: int) -> Response:
        """Queue an edit back to the base values of one that was applied. 409 where it was not."""
        refuse_unknown(request.query_params, frozenset())
        edit = _edit_of(request, edit_id)
        demand_right_to(request, edit)
        author, token = author_of(request)
        with transaction.atomic():
            back = undo(edit, author, token=token)
            ask_for_push(back)
        return Response(present_edit(back, organization_slugs(request)), status=202)


class EditRetry(RestView):
    required_scopes = {"POST": Scope.SESSIONS_WRITE}

    @extend_schema(operation_id="edits_retry", request=None, responses={202: documents.EditRow})
    def post(self, request: Request, edit_id: int) -> Response:
        """Queue again one that was given up. 409 where it was not."""
        refuse_unknown(request.query_params, frozenset())
        edit = _edit_of(request, edit_id)
        demand_right_to(request, edit)
        author, token = author_of(request)
        with transaction.atomic():
            again = retry(edit, author, token=token, source="api")
            ask_for_push(again)
        return Response(present_edit(again, organization_slugs(request)), status=202)


# Kinds of edits that need a right beside that to correct sessions.
_RIGHTS = {EditKind.MESSAGES: Scope.MESSAGES_WRITE, EditKind.DELETE: Scope.SESSIONS_DELETE}


def demand_right_to(request: Request, edit: Edit) -> None:
    """403 where the edit is of a kind that this request may not make."""
    scope = _RIGHTS.get(EditKind(edit.kind))
    if scope is not None and not may(request, scope):
        raise PermissionDenied


def shows_edits(request: Request) -> bool:
    """Say whether what is made of a session by hand may be told where the session is."""
    return isinstance(request.auth, ApiToken) or request.user.has_perm("sessions_app.view_edit")


def ask_for_push(edit: Edit) -> None:
    """Let a worker look at once at an edit that waits to be sent."""
    if edit.state == EditState.QUEUED:
        enqueue(push_edit, edit.pk)


def present_edit(edit: Edit, slugs: Mapping[int, str]) -> Row:
    """Return an edit as the list shows it. One query."""
    return _present(dict(Edit.objects.filter(pk=edit.pk).values(*COLUMNS).get()), slugs)


def refuse_null_name(name: object) -> None:
    """400 for null, which Vapi does not take for a name and which may not be meant to clear it."""
    if name is None:
        raise ValidationError({"name": ["Enter text; an empty string clears the name."]})


def _present(row: Row, slugs: Mapping[int, str]) -> Row:
    shown: Row = {}
    for name, value in with_organization(row, slugs).items():
        if name in {"fields", "base", "theirs"}:
            shown[name] = snake_cased(value)
        elif name == "author__username":
            shown["author"] = author_name(value, row["token__name"], row["source"])
        elif name in {"superseded_by_id", "undoes_id", "bulk_id"}:
            shown[name.removesuffix("_id")] = value
        elif name != "token__name":
            shown[name] = value
    return shown


def _edit_of(request: Request, edit_id: int) -> Edit:
    rows: QuerySet[Edit] = Edit.objects.visible_to(reader_of(request))
    edit = rows.filter(pk=edit_id).first() if edit_id < 2**63 else None
    if edit is None:
        raise NotFound("There is no such edit here.")
    return edit


def _choices(body: Any) -> dict[str, object]:
    if not isinstance(body, dict) or not isinstance(body.get("fields"), dict):
        raise ValidationError({"fields": ['Send {"fields": {"name": "mine" | "theirs" | {"value": ...}}}.']})
    refuse_unknown(body, frozenset({"fields"}), kind="field")
    choice_of_name = body["fields"].get("name")
    if isinstance(choice_of_name, dict) and "value" in choice_of_name:
        refuse_null_name(choice_of_name["value"])
    return {camel_case(name): choice for name, choice in body["fields"].items()}
