"""Owns how the body of a bulk edit is read: which sessions, what change, and whether it was sent before."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from django.db.models import QuerySet
from django.http import QueryDict
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request

from sessions_app.api.edits import refuse_null_name
from sessions_app.api.lists import organization_slugs, refuse_bad_filters
from sessions_app.api.permissions import reader_of
from sessions_app.api.submissions import object_of, reason_of
from sessions_app.api.views import camel_case, refuse_unknown
from sessions_app.edits import bulk as bulks
from sessions_app.models import BulkEdit, Session
from sessions_app.models.bulks import DELETE
from sessions_app.search.filters import SessionFilterSet
from sessions_app.vapi import make_safe

_FIELDS = frozenset({"ids", "filters", "change", "reason", "dry_run", "confirm"})
_CHANGES = frozenset({"name", "status", "expiration_seconds", "extend_seconds", DELETE})
_NAMED = 5


def asked_bulk(request: Request) -> BulkEdit:
    """Return what a body asks for, not stored. Raises ValidationError; NothingChosen where no session is meant."""
    body = object_of(request.data)
    refuse_unknown(body, _FIELDS, kind="field")
    fields = _change(body.get("change"))
    if not fields:
        raise ValidationError({"change": ["Say what to change."]})
    bulks.check_fields(fields)
    organization, ids = bulks.choose(_sessions(request, body))
    bulks.check_change(ids, fields)
    return BulkEdit(
        organization=organization,
        fields=fields,
        selection={"ids": sorted(ids)},
        total=len(ids),
        reason=reason_of(body),
    )


def is_dry_run(body: Mapping[str, Any]) -> bool:
    given = body.get("dry_run", False)
    if not isinstance(given, bool):
        raise ValidationError({"dry_run": ["Send true or false."]})
    return given


def typed_word(body: Mapping[str, Any]) -> str:
    given = body.get("confirm", "")
    return str(given) if isinstance(given, str | int) else ""


def digest_of(request: Request) -> str:
    """Return a digest of what is asked for: the same body and query, however their keys are ordered."""
    query = sorted((name, values) for name, values in request.query_params.lists())
    asked = json.dumps([query, request.data], sort_keys=True)
    return hashlib.sha256(asked.encode()).hexdigest()


def _change(given: object) -> dict[str, object]:
    if not isinstance(given, dict):
        raise ValidationError({"change": ["Send an object, such as {" + '"status": "completed"}.']})
    refuse_unknown(given, _CHANGES, kind="field")
    if "name" in given:
        refuse_null_name(given["name"])
    return {camel_case(name): value for name, value in given.items()}


def _sessions(request: Request, body: Mapping[str, Any]) -> QuerySet[Session]:
    ways = [name for name, is_given in _ways(request, body).items() if is_given]
    if len(ways) != 1:
        raise ValidationError({"filters": ["Send ids, or filters in the body or the query: one of these."]})
    rows = Session.objects.visible_to(reader_of(request))
    if ways == ["ids"]:
        return _named(rows, body["ids"])
    asked = request.query_params if ways == ["query"] else _as_query(body["filters"])
    return refuse_bad_filters(SessionFilterSet(asked, rows), organization_slugs(request))


def _ways(request: Request, body: Mapping[str, Any]) -> dict[str, bool]:
    return {"ids": "ids" in body, "filters": "filters" in body, "query": bool(request.query_params)}


def _named(rows: QuerySet[Session], ids: object) -> QuerySet[Session]:
    if not isinstance(ids, list):
        raise ValidationError({"ids": ["Send a list of ids."]})
    texts = [one for one in ids if isinstance(one, str) and not make_safe(one)[1]]
    if len(texts) < len(ids):
        raise ValidationError({"ids": ["Every id is text."]})
    wanted = {*texts}
    if len(wanted) > bulks.MOST_SESSIONS:
        raise ValidationError({"ids": [f"At most {bulks.MOST_SESSIONS:,} sessions at once."]})
    found = rows.filter(pk__in=wanted)
    unknown = sorted(wanted - set(found.order_by().values_list("pk", flat=True)))
    if unknown:
        more = f" and {len(unknown) - _NAMED} more" if len(unknown) > _NAMED else ""
        raise ValidationError({"ids": [f"Not mirrored here: {', '.join(unknown[:_NAMED])[:300]}{more}."]})
    return found


def _as_query(filters: object) -> QueryDict:
    """Return filters as the query string would have them."""
    query = QueryDict(mutable=True)
    for name, value in object_of(filters).items():
        values = value if isinstance(value, list) else [value]
        if not all(isinstance(one, str | int | float) for one in values):
            raise ValidationError({name[:50]: ["Send text, a number, true or false, or a list of these."]})
        query.setlist(name, [str(one).lower() if isinstance(one, bool) else str(one) for one in values])
    return query
