"""Legal holds over REST: what is held, setting a hold, releasing it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db.models import Count
from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from sessions_app.api import documents
from sessions_app.api.lists import ListView, Row, columns_of, list_parameters, organization_slugs
from sessions_app.api.permissions import author_of, reader_of
from sessions_app.api.views import Conflict, RestView, refuse_unknown
from sessions_app.edits.trail import actor_of
from sessions_app.mirror.holds import release_hold, set_hold
from sessions_app.models import LegalHold, Organization
from sessions_app.models.access import Scope
from sessions_app.models.keyset import Keyset
from sessions_app.search.holds import LegalHoldFilterSet

KEYSET = Keyset({"created_at": "created_at"})
_FIELDS = ("organization", "by", "value", "reason")
_LONGEST_REASON = 2000


class LegalHoldList(ListView):
    required_scopes = {"GET": Scope.HOLDS_WRITE, "POST": Scope.HOLDS_WRITE}
    required_permissions = {"GET": "sessions_app.view_legalhold"}
    rows = LegalHold.objects
    filter_set = LegalHoldFilterSet
    keyset = KEYSET
    default_ordering = "-created_at"
    columns = columns_of(
        LegalHold,
        (
            *("id", "organization_id", "by", "value", "reason", "set_by", "created_at"),
            *("released_at", "released_by", "release_reason"),
        ),
    )

    @extend_schema(
        operation_id="legal_holds_list",
        parameters=list_parameters(LegalHoldFilterSet, KEYSET),
        responses=documents.page_of(documents.LegalHoldRow),
    )
    def get(self, request: Request, **path: str) -> Response:
        """Holds in force and released ones, newest first."""
        return super().get(request, **path)

    def present(self, rows: list[Row], slugs: Mapping[int, str]) -> list[Row]:
        holds = LegalHold.objects.visible_to(reader_of(self.request)).filter(
            pk__in=[row["id"] for row in rows]
        )
        counts = dict(holds.order_by().values_list("pk").annotate(sessions=Count("held")))
        return [{**row, "session_count": counts.get(row["id"], 0)} for row in super().present(rows, slugs)]

    @extend_schema(
        operation_id="legal_holds_set",
        request=documents.LegalHoldOrder,
        responses={201: documents.LegalHoldRow},
    )
    def post(self, request: Request) -> Response:
        """Keep a session, or all that a customer has and will have, from being pruned and erased."""
        refuse_unknown(request.query_params, frozenset())
        asked = _texts(request.data, _FIELDS)
        hold = set_hold(
            _organization(request, asked), asked["by"], asked["value"], asked["reason"], _who(request)
        )
        return Response(_one(self, request, hold), status=201)


class LegalHoldRelease(RestView):
    required_scopes = {"POST": Scope.HOLDS_WRITE}

    @extend_schema(
        operation_id="legal_holds_release",
        request=documents.LegalHoldEnd,
        responses=documents.LegalHoldRow,
    )
    def post(self, request: Request, hold_id: int) -> Response:
        """End a hold; who released it and why is kept. 409 where it was released before."""
        refuse_unknown(request.query_params, frozenset())
        holds = LegalHold.objects.visible_to(reader_of(request))
        hold = holds.filter(pk=hold_id).first() if hold_id < 2**63 else None
        if hold is None:
            raise NotFound("There is no such legal hold here.")
        if not release_hold(hold, _texts(request.data, ("reason",))["reason"], _who(request)):
            raise Conflict("It was released before.")
        listing = LegalHoldList()
        listing.request = request
        return Response(_one(listing, request, hold))


def _one(listing: LegalHoldList, request: Request, hold: LegalHold) -> Row:
    rows = LegalHold.objects.visible_to(reader_of(request)).filter(pk=hold.pk).values(*listing.columns)
    return listing.present([dict(row) for row in rows], organization_slugs(request))[0]


def _texts(body: Any, names: tuple[str, ...]) -> dict[str, str]:
    """Return the fields of the body, each a text; 400 where one is something else."""
    if not isinstance(body, dict):
        raise ValidationError({"detail": ["Send an object."]})
    refuse_unknown(body, frozenset(names), kind="field")
    problems = {
        name: ["Enter text."]
        for name in names
        if not isinstance(body.get(name), str) or len(body[name]) > _LONGEST_REASON or "\x00" in body[name]
    }
    if problems:
        raise ValidationError(problems)
    return {name: body[name] for name in names}


def _organization(request: Request, asked: Mapping[str, str]) -> Organization:
    found = Organization.objects.visible_to(reader_of(request)).filter(slug=asked["organization"]).first()
    if found is None:
        raise ValidationError({"organization": ["No such organization."]})
    return found


def _who(request: Request) -> str:
    author, token = author_of(request)
    return actor_of(author or token)
