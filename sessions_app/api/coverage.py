"""What is proven, day by day, over REST."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from sessions_app.api import documents
from sessions_app.api.lists import ListView, columns_of, list_parameters
from sessions_app.models import Coverage
from sessions_app.models.access import Scope
from sessions_app.models.keyset import Keyset
from sessions_app.search.filters import CoverageFilterSet

KEYSET = Keyset({"day": "day", "proven_at": "proven_at"})


class CoverageList(ListView):
    """Days that were compared with Vapi, and with what outcome."""

    required_scopes = {"GET": Scope.RUNS_READ}
    required_permissions = {"GET": "sessions_app.view_coverage"}
    rows = Coverage.objects
    filter_set = CoverageFilterSet
    keyset = KEYSET
    default_ordering = "-day"
    columns = columns_of(
        Coverage,
        (
            *("id", "organization_id", "stream", "day", "state", "upstream_count", "mirrored_count"),
            *("missing_count", "forgotten_count", "proven_at", "walked_at", "requests", "note"),
        ),
    )

    @extend_schema(
        operation_id="coverage_list",
        parameters=list_parameters(CoverageFilterSet, KEYSET),
        responses=documents.page_of(documents.CoverageRow),
    )
    def get(self, request: Request, **path: str) -> Response:
        return super().get(request, **path)
