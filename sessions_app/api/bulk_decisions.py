"""What is decided about a bulk edit over REST; each answers the bulk edit as it stands then, or 409."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response

from sessions_app.api import documents
from sessions_app.api.bulk_edits import accepted, bulk_of, demand_rights
from sessions_app.api.permissions import author_of, may
from sessions_app.api.submissions import object_of, reason_of
from sessions_app.api.views import RestView, refuse_unknown
from sessions_app.edits import bulk as bulks
from sessions_app.models import BulkEdit
from sessions_app.models.access import Scope
from sessions_app.tasks import advance_bulk, enqueue


class BulkDecision(RestView):
    """One thing that is decided. `takes` are the body's fields; `adds_work`: it needs the rights of the change."""

    required_scopes = {"POST": Scope.SESSIONS_WRITE}
    required_permissions = {"POST": "sessions_app.bulk_edit_session"}
    takes: ClassVar[frozenset[str]] = frozenset()
    adds_work: ClassVar[bool] = True

    def post(self, request: Request, bulk_id: int) -> Response:
        refuse_unknown(request.query_params, frozenset())
        body = object_of(request.data or {})
        refuse_unknown(body, self.takes, kind="field")
        bulk = bulk_of(request, bulk_id)
        if self.adds_work:
            demand_rights(request, bulk)
        elif not may(request, Scope.SESSIONS_WRITE):
            raise PermissionDenied
        author, token = author_of(request)
        made = self.decide(bulk, author or token, reason_of(body))
        enqueue(advance_bulk, made.pk)
        return accepted(request, made)

    def decide(self, bulk: BulkEdit, who: bulks.Who, reason: str) -> BulkEdit:
        raise NotImplementedError


_BY_REASON = frozenset({"reason"})


def _documented(
    name: str, about: str, body: Any = None
) -> Callable[[type[BulkDecision]], type[BulkDecision]]:
    schema = extend_schema(
        operation_id=f"bulk_edits_{name}",
        description=about,
        request=body,
        responses={202: documents.BulkEditDetail},
    )
    return extend_schema_view(post=schema)


@_documented("pause", "Queue and send no more until it goes on.")
class BulkPause(BulkDecision):
    adds_work = False

    def decide(self, bulk: BulkEdit, who: bulks.Who, reason: str) -> BulkEdit:
        bulks.pause(bulk, who)
        return bulk


@_documented("go_on", "Go on after a pause.")
class BulkGoOn(BulkDecision):
    def decide(self, bulk: BulkEdit, who: bulks.Who, reason: str) -> BulkEdit:
        bulks.go_on(bulk, who)
        return bulk


@_documented("cancel", "Send nothing more; what was sent stands.")
class BulkCancel(BulkDecision):
    adds_work = False

    def decide(self, bulk: BulkEdit, who: bulks.Who, reason: str) -> BulkEdit:
        bulks.cancel(bulk, who)
        return bulk


@_documented("retry", "Queue again what Vapi rejected or was given up.")
class BulkRetry(BulkDecision):
    def decide(self, bulk: BulkEdit, who: bulks.Who, reason: str) -> BulkEdit:
        bulks.retry_failed(bulk, who)
        return bulk


@_documented(
    "undo", "Undo all that was applied, by a bulk edit of its own, which is answered.", documents.BulkReason
)
class BulkUndo(BulkDecision):
    takes = _BY_REASON

    def decide(self, bulk: BulkEdit, who: bulks.Who, reason: str) -> BulkEdit:
        return bulks.undo(bulk, who, reason)


class _SecondPerson(BulkDecision):
    takes = _BY_REASON

    def post(self, request: Request, bulk_id: int) -> Response:
        author, token = author_of(request)
        if not bulks.may_decide(bulk_of(request, bulk_id), author or token):
            raise PermissionDenied("A second person decides this, who may delete many: not whoever asked.")
        return super().post(request, bulk_id)


@_documented(
    "approve", "Let begin what somebody else asked for. A token counts as its owner.", documents.BulkReason
)
class BulkApprove(_SecondPerson):
    def decide(self, bulk: BulkEdit, who: bulks.Who, reason: str) -> BulkEdit:
        bulks.approve(bulk, who, reason)
        return bulk


@_documented("refuse", "Refuse what somebody else asked for: it never begins.", documents.BulkReason)
class BulkRefuse(_SecondPerson):
    def decide(self, bulk: BulkEdit, who: bulks.Who, reason: str) -> BulkEdit:
        bulks.refuse(bulk, who, reason)
        return bulk
