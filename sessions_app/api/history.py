"""A session's history over REST: each change of it that was seen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db.models import QuerySet, TextField
from django.db.models.functions import Cast
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from sessions_app.api import documents
from sessions_app.api.edits import shows_edits
from sessions_app.api.lists import ListView, Row, list_parameters, stored_json, with_organization
from sessions_app.api.sessions import session_of
from sessions_app.models import FieldChange
from sessions_app.models.access import Scope
from sessions_app.models.history import ChangeSource
from sessions_app.models.keyset import Keyset
from sessions_app.models.scopes import ScopedQuerySet
from sessions_app.search.parameters import ListFilter, MomentFilter, bounds
from sessions_app.search.strict import OrganizationFilter, StrictFilterSet, taking

KEYSET = Keyset({"seen_at": "seen_at"})
_WHO = ("edit_id", "edit__author__username", "edit__token__name")


@taking(bounds(MomentFilter, "seen_at"), bounds(MomentFilter, "updated_at"))
class HistoryFilterSet(StrictFilterSet):
    """What the history of a session takes."""

    organization = OrganizationFilter()
    source = ListFilter(choices=ChangeSource.values, field_name="source")

    class Meta:
        model = FieldChange
        fields: list[str] = []


class SessionHistory(ListView):
    required_scopes = {"GET": Scope.SESSIONS_READ}
    rows = FieldChange.objects
    filter_set = HistoryFilterSet
    keyset = KEYSET
    default_ordering = "-seen_at"
    columns = ("id", "organization_id", "session_id", "source", *_WHO, "seen_at", "updated_at", "text")

    @extend_schema(
        operation_id="sessions_history",
        parameters=list_parameters(HistoryFilterSet, KEYSET),
        responses=documents.page_of(documents.FieldChangeRow),
    )
    def get(self, request: Request, **path: str) -> Response:
        """Each new state that replaced an older one, newest first: the fields that differ, [old, new]."""
        return super().get(request, **path)

    def narrowed(self, queryset: ScopedQuerySet[Any], path: Mapping[str, str]) -> QuerySet[Any]:
        session = session_of(self.request, path["session_id"])
        return queryset.filter(session_id=session.pk).annotate(text=Cast("fields", TextField()))

    def present_row(self, row: Row, slugs: Mapping[int, str]) -> Row:
        who = {name: row.pop(name) for name in _WHO}
        text = row.pop("text")
        is_told = shows_edits(self.request)
        author = who["edit__author__username"] or (
            f"token {who['edit__token__name']}" if who["edit__token__name"] else ""
        )
        return {
            **with_organization(row, slugs),
            "edit": who["edit_id"] if is_told else None,
            "author": author if is_told else "",
            "fields": stored_json(text),
        }
