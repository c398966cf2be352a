"""Sync runs over REST."""

from __future__ import annotations

from collections.abc import Mapping

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from sessions_app.api import documents
from sessions_app.api.lists import ListView, Row, columns_of, list_parameters, with_organization
from sessions_app.models import SyncRun
from sessions_app.models.access import Scope
from sessions_app.models.keyset import Keyset
from sessions_app.search.filters import SyncRunFilterSet

KEYSET = Keyset({"started_at": "started_at"})


class SyncRunList(ListView):
    """Pulls from Vapi, the newest first: what each has read, stored and put aside."""

    required_scopes = {"GET": Scope.RUNS_READ}
    rows = SyncRun.objects
    filter_set = SyncRunFilterSet
    keyset = KEYSET
    default_ordering = "-started_at"
    columns = columns_of(
        SyncRun,
        (
            *("id", "organization_id", "stream", "kind", "state", "seen", "created", "updated"),
            *("unchanged", "quarantined", "missing", "error", "started_at", "finished_at"),
        ),
    )

    def present_row(self, row: Row, slugs: Mapping[int, str]) -> Row:
        ended, began = row["finished_at"], row["started_at"]
        return {
            **with_organization(row, slugs),
            "seconds": (ended - began).total_seconds() if ended else None,
        }

    @extend_schema(
        operation_id="sync_runs_list",
        parameters=list_parameters(SyncRunFilterSet, KEYSET),
        responses=documents.page_of(documents.SyncRunRow),
    )
    def get(self, request: Request, **path: str) -> Response:
        return super().get(request, **path)
