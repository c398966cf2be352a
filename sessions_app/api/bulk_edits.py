"""Bulk edits over REST: one change for many sessions, tried out, begun, and followed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from django.db import IntegrityError, transaction
from django.urls import reverse
from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import NotFound, PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response

from sessions_app.api import documents
from sessions_app.api.bulk_requests import asked_bulk, digest_of, is_dry_run, typed_word
from sessions_app.api.lists import ListView, Row, list_parameters, organization_slugs, with_organization
from sessions_app.api.permissions import author_of, may, reader_of
from sessions_app.api.submissions import IDEMPOTENCY_KEY, object_of, submission_key_of
from sessions_app.api.views import KEY_REUSED, Conflict, RestView, refuse_unknown, snake_cased
from sessions_app.edits import bulk as bulks
from sessions_app.models import BulkEdit
from sessions_app.models.access import Scope
from sessions_app.models.edits import UNDER_WAY_STATES, author_name
from sessions_app.models.keyset import Keyset
from sessions_app.search.filters import BulkEditFilterSet
from sessions_app.tasks import advance_bulk, enqueue

KEYSET = Keyset({"created_at": "created_at"})
COLUMNS = (
    *("id", "organization_id", "state", "fields", "reason", "author__username", "token__name", "total"),
    *("undoes_id", "decided_by__username", "decided_at", "decision_reason", "created_at", "finished_at"),
)


class BulkEditList(ListView):
    """Bulk edits, the newest first."""

    required_scopes = {"GET": Scope.SESSIONS_READ, "POST": Scope.SESSIONS_WRITE}
    required_permissions = {"GET": "sessions_app.view_edit", "POST": "sessions_app.bulk_edit_session"}
    rows = BulkEdit.objects
    filter_set = BulkEditFilterSet
    keyset = KEYSET
    default_ordering = "-created_at"
    columns = COLUMNS

    def present(self, rows: list[Row], slugs: Mapping[int, str]) -> list[Row]:
        open_ones = [row["id"] for row in rows if row["finished_at"] is None]
        counts = bulks.count_states_of(open_ones)
        return [
            _present(row, slugs, counts.get(row["id"], {}) if row["id"] in open_ones else None)
            for row in rows
        ]

    @extend_schema(
        operation_id="bulk_edits_list",
        parameters=list_parameters(BulkEditFilterSet, KEYSET),
        responses=documents.page_of(documents.BulkEditRow),
    )
    def get(self, request: Request, **path: str) -> Response:
        return super().get(request, **path)

    @extend_schema(
        operation_id="bulk_edits_create",
        request=documents.BulkEditCreate,
        responses={200: documents.BulkDryRun, 202: documents.BulkEditDetail},
        parameters=[IDEMPOTENCY_KEY],
    )
    def post(self, request: Request) -> Response:
        """Change many sessions; 202 and the bulk edit, 200 and what would happen with `dry_run`.

        Where filters match no session nothing is begun: 200 and a total of 0. A deletion may wait for a second person,
        and cannot be undone. 409 for a key that was sent with another body.
        """
        body = object_of(request.data)
        try:
            return self._made_of(request, body)
        except bulks.NothingChosen:
            if "ids" in body:
                raise
            return Response(_NOTHING)

    def _made_of(self, request: Request, body: Mapping[str, Any]) -> Response:
        if is_dry_run(body):
            asked = asked_bulk(request)
            demand_rights(request, asked)
            return Response(_tried(request, asked))
        return accepted(request, _known(request) or self._begun(request, typed_word(body)))

    def _begun(self, request: Request, typed: str) -> BulkEdit:
        asked = asked_bulk(request)
        demand_rights(request, asked)
        try:
            return _begin(request, asked, typed)
        except IntegrityError:
            # The same submission, at the same moment.
            known = _known(request)
            if known is None:
                raise
            return known


class BulkEditDetail(RestView):
    """One bulk edit: how far it is, and what has failed."""

    required_scopes = {"GET": Scope.SESSIONS_READ}
    required_permissions = {"GET": "sessions_app.view_edit"}

    @extend_schema(operation_id="bulk_edits_read", responses=documents.BulkEditDetail)
    def get(self, request: Request, bulk_id: int) -> Response:
        refuse_unknown(request.query_params, frozenset())
        return Response(present_bulk(request, bulk_of(request, bulk_id)))


def bulk_of(request: Request, bulk_id: int) -> BulkEdit:
    rows = BulkEdit.objects.visible_to(reader_of(request)).select_related(
        "organization", "author", "token__created_by"
    )
    bulk = rows.filter(pk=bulk_id).first() if bulk_id < 2**63 else None
    if bulk is None:
        raise NotFound("There is no such bulk edit here.")
    return bulk


def demand_rights(request: Request, bulk: BulkEdit) -> None:
    """403 where the request may not make such a change, to one session or to many."""
    wanted = [Scope.SESSIONS_WRITE, *([Scope.SESSIONS_DELETE] if bulk.deletes else [])]
    if not all(may(request, scope) for scope in wanted):
        raise PermissionDenied


def accepted(request: Request, bulk: BulkEdit) -> Response:
    answer = Response(present_bulk(request, bulk), status=202)
    answer["Location"] = request.build_absolute_uri(reverse("api-bulk-edit", args=[bulk.pk]))
    return answer


def present_bulk(request: Request, bulk: BulkEdit) -> Row:
    """Return a bulk edit with how far it has come. Three queries."""
    visible = BulkEdit.objects.visible_to(reader_of(request))
    row = dict(visible.filter(pk=bulk.pk).values(*COLUMNS, "skipped").get())
    skipped, counts = row.pop("skipped"), bulks.count_states(bulk)
    looked_at = len(skipped) + sum(counts.values())
    moving = sum(counts.get(state, 0) for state in UNDER_WAY_STATES)
    undone_by = visible.filter(undoes=bulk).order_by("-pk").values_list("pk", flat=True).first()
    return {
        **_present(row, organization_slugs(request), counts),
        "progress": {"total": bulk.total, "queued": looked_at, "settled": looked_at - moving},
        "skipped": _whys(Counter(entry["why"] for entry in skipped).most_common()),
        "undone_by": undone_by,
    }


def _present(row: Row, slugs: Mapping[int, str], counts: Mapping[str, int] | None) -> Row:
    shown = with_organization(row, slugs)
    fields, author = shown.pop("fields"), shown.pop("author__username")
    return {
        **{name: value for name, value in shown.items() if "__" not in name and not name.endswith("_id")},
        "change": snake_cased(fields),
        "author": author_name(author, shown["token__name"], "bulk"),
        "decided_by": shown["decided_by__username"] or "",
        "undoes": shown["undoes_id"],
        "counts": counts,
    }


# What a change of no session would do.
_NOTHING: dict[str, Any] = {
    "organization": None,
    "total": 0,
    "changing": 0,
    "already": 0,
    "refused": [],
    "example": None,
    "needs_approval": False,
    "can_be_undone": True,
}


def _tried(request: Request, asked: BulkEdit) -> dict[str, Any]:
    run = bulks.dry_run(asked)
    example = None
    if run.example is not None:
        method, path, body = bulks.request_of(asked, run.example)
        example = {"method": method, "path": path, "body": body}
    return {
        "organization": asked.organization.slug,
        "total": asked.total,
        "changing": run.changing,
        "already": run.already,
        "refused": _whys(run.refused.items()),
        "example": example,
        "needs_approval": bulks.needs_approval(asked),
        "can_be_undone": not asked.deletes,
    }


def _whys(counted: Iterable[tuple[str, int]]) -> list[dict[str, object]]:
    return [{"why": why, "count": count} for why, count in counted]


def _begin(request: Request, asked: BulkEdit, typed: str) -> BulkEdit:
    """Keep it and let it begin, or wait for a second person, in one step."""
    author, token = author_of(request)
    with transaction.atomic():
        bulk = bulks.preview(
            asked.organization,
            asked.selection["ids"],
            asked.fields,
            author or token,
            submission_key=submission_key_of(request.headers.get("Idempotency-Key")),
            submission_digest=digest_of(request),
        )
        bulks.check_typed(bulk, typed)
        bulks.confirm(bulk, author or token, asked.reason)
        enqueue(advance_bulk, bulk.pk)
    return bulk


def _known(request: Request) -> BulkEdit | None:
    """Return what was made of the same submission; 409 where the key was sent with something else."""
    key = submission_key_of(request.headers.get("Idempotency-Key"))
    known = (
        BulkEdit.objects.visible_to(reader_of(request)).filter(submission_key=key).first() if key else None
    )
    if known is None:
        return None
    author, token = author_of(request)
    if (known.author, known.token, known.submission_digest) != (author, token, digest_of(request)):
        raise Conflict(KEY_REUSED)
    return known
