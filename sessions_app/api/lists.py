"""Owns what every list over REST has in common: filters, order, limit, cursor and the links to other pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import orjson
from django.core.exceptions import NON_FIELD_ERRORS
from django.db.models import Model, QuerySet
from django.forms import Form
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param

from sessions_app.api.permissions import reader_of
from sessions_app.api.views import RestView, refuse_repeated, refuse_unknown_organizations
from sessions_app.costs.coverage import complete_as_of
from sessions_app.models import Organization
from sessions_app.models.keyset import BadCursor, BadOrdering, Keyset, KeysetPage
from sessions_app.models.runs import Stream
from sessions_app.models.scopes import ScopedQuerySet
from sessions_app.search.parameters import ListFilter
from sessions_app.search.strict import StrictFilterSet
from sessions_app.vapi.times import format_time

DEFAULT_LIMIT, MAX_LIMIT = 100, 1000
PAGE_PARAMETERS = ("cursor", "limit", "ordering")
Row = dict[str, Any]
COMPLETE_AS_OF, PROVEN_THROUGH = "Vapiadmin-Complete-As-Of", "Vapiadmin-Proven-Through"


class ListView(RestView):
    """Rows by page: {results, next, previous}. One query for the organizations, one or two for the page.

    The docstring of a list is what the OpenAPI document says of it.
    """

    # The model's manager, which is a ScopedQuerySet too.
    rows: ClassVar[Any]
    filter_set: ClassVar[type[StrictFilterSet]]
    keyset: ClassVar[Keyset]
    default_ordering: ClassVar[str]
    # Columns of the table, in the order of the answer.
    columns: ClassVar[Sequence[str]]
    # Streams that have to be complete for the list to be so.
    complete_streams: ClassVar[Sequence[Stream]] = ()

    def get(self, request: Request, **path: str) -> Response:
        slugs = organization_slugs(request)
        queryset = self.narrowed(self.rows.visible_to(reader_of(request)), path)
        page = self._page(request, self._filtered(request, queryset, slugs), list(slugs))
        results = self.present([dict(row) for row in page.rows], slugs)
        response = Response(
            {
                "results": results,
                "next": _link(request, page.next_cursor),
                "previous": _link(request, page.previous_cursor),
            }
        )
        if self.complete_streams:
            self._say_how_complete(request, response, slugs)
        return response

    def _say_how_complete(self, request: Request, response: Response, slugs: Mapping[int, str]) -> None:
        """Name the moment up to which the list is complete, once a first full sync has ended. One query."""
        given = request.query_params.getlist("organization")
        asked = {slug.strip() for text in given for slug in text.split(",")} - {""}
        ids = [pk for pk, slug in slugs.items() if not asked or slug in asked]
        found = complete_as_of(ids, self.complete_streams)
        if found.as_of is not None:
            response[COMPLETE_AS_OF] = format_time(found.as_of)
        if found.proven_through is not None:
            response[PROVEN_THROUGH] = found.proven_through.isoformat()

    def narrowed(self, queryset: ScopedQuerySet[Any], path: Mapping[str, str]) -> QuerySet[Any]:
        """Return the rows that the path itself speaks of."""
        return queryset

    def present(self, rows: list[Row], slugs: Mapping[int, str]) -> list[Row]:
        """Return the rows as they are answered."""
        return [self.present_row(row, slugs) for row in rows]

    def present_row(self, row: Row, slugs: Mapping[int, str]) -> Row:
        return with_organization(row, slugs)

    def _filtered(self, request: Request, queryset: QuerySet[Any], slugs: Mapping[int, str]) -> QuerySet[Any]:
        refuse_repeated(request.query_params, PAGE_PARAMETERS)
        asked = self.filter_set(request.query_params, queryset, other_names=PAGE_PARAMETERS)
        return refuse_bad_filters(asked, slugs)

    def _page(
        self, request: Request, queryset: QuerySet[Any], organization_ids: Sequence[int]
    ) -> KeysetPage[Row]:
        parameters = request.query_params
        ordering = parameters.get("ordering") or self.default_ordering
        try:
            return self.keyset.page(
                queryset.values(*self.columns),
                ordering=ordering,
                cursor=parameters.get("cursor"),
                limit=_limit(parameters.get("limit")),
                organization_ids=organization_ids,
            )
        except BadCursor as error:
            raise ValidationError({"cursor": [str(error)]}) from None
        except BadOrdering as error:
            raise ValidationError({"ordering": [str(error)]}) from None


def refuse_bad_filters(asked: StrictFilterSet, slugs: Mapping[int, str]) -> QuerySet[Any]:
    """Return the rows that are asked for; 400, by parameter, where that is not understood."""
    if not asked.form.is_valid():
        raise ValidationError(_errors_of(asked.form))
    refuse_unknown_organizations(asked.form.cleaned_data.get("organization", ()), slugs.values())
    filtered: QuerySet[Any] = asked.qs
    return filtered


def _errors_of(form: Form) -> dict[str, list[str]]:
    return {
        ("detail" if name == NON_FIELD_ERRORS else name[:50]): [str(error) for error in errors]
        for name, errors in form.errors.items()
    }


def organization_slugs(request: Request) -> dict[int, str]:
    """Return the organizations that may be read: {id: slug}."""
    return dict(Organization.objects.visible_to(reader_of(request)).values_list("pk", "slug"))


def with_organization(row: Row, slugs: Mapping[int, str]) -> Row:
    """Return the row with its organization's slug in the place of the number."""
    return {
        ("organization" if name == "organization_id" else name): (
            slugs.get(value, "") if name == "organization_id" else value
        )
        for name, value in row.items()
    }


def stored_json(text: str | None) -> orjson.Fragment | None:
    """Return a stored payload to be passed on as it is."""
    return orjson.Fragment(text) if text else None


def _limit(text: str | None) -> int:
    if text is None:
        return DEFAULT_LIMIT
    if not (text.isascii() and text.isdigit() and len(text) < 5 and 1 <= int(text) <= MAX_LIMIT):
        raise ValidationError({"limit": [f"Enter a whole number from 1 to {MAX_LIMIT}."]})
    return int(text)


def _link(request: Request, cursor: str | None) -> str | None:
    return replace_query_param(request.build_absolute_uri(), "cursor", cursor) if cursor else None


def list_parameters(filter_set: type[StrictFilterSet], keyset: Keyset) -> list[OpenApiParameter]:
    """Return what the OpenAPI document says of a list's parameters."""
    orderings = [sign + name for name in keyset.sortable for sign in ("", "-")]
    own = [
        OpenApiParameter("limit", int, description=f"1 to {MAX_LIMIT}, {DEFAULT_LIMIT} if not given."),
        OpenApiParameter("cursor", str, description="From `next` or `previous`."),
        OpenApiParameter("ordering", str, enum=orderings, description="With - the greatest or newest first."),
    ]
    filters = [
        OpenApiParameter(name, OpenApiTypes.STR, description=_about(item))
        for name, item in sorted(filter_set.base_filters.items())
    ]
    return own + filters


def _about(item: Any) -> str:
    about = item.about if isinstance(item.about, str) else item.about[item.lookup_expr]
    choices = item.extra.get("choices", ()) if isinstance(item, ListFilter) else ()
    return f"{about} {', '.join(map(str, choices))}." if choices else about


def columns_of(model: type[Model], names: Sequence[str]) -> tuple[str, ...]:
    """Return the names, once they are known to be columns of the model."""
    known = {field.attname for field in model._meta.concrete_fields}
    unknown = set(names) - known
    if unknown:
        raise ValueError(f"{model.__name__} has no column {', '.join(sorted(unknown))}")
    return tuple(names)
