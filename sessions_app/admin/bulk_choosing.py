"""From rows that were ticked or found in the session list, and a form's fields, to a bulk edit that is looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest, QueryDict

from sessions_app.admin.lists import OWN_PARAMETERS, filter_strictly, read_values
from sessions_app.admin.pretty import pretty_json
from sessions_app.edits import bulk as bulks
from sessions_app.models import BulkEdit, Organization, Session
from sessions_app.models.bulks import DELETE
from sessions_app.search.filters import SessionFilterSet

UNITS = (("3600", "hours"), ("86400", "days"))
_MOST_TICKED = 1000
# Some of the sessions, to be looked at one by one: their ids go into an address.
_SHOWN_IDS = 50


@dataclass(frozen=True)
class Choice:
    organization: Organization
    ids: list[str]


def read_choice(request: HttpRequest) -> Choice:
    """Return the chosen sessions, of one organization. Raises ValidationError."""
    rows: QuerySet[Session] = Session.objects.visible_to(request.user)
    if "all" in request.POST:
        given = read_values(SessionFilterSet, QueryDict(request.POST.get("query", "")))
        asked = {name: text for name, text in given.items() if name not in OWN_PARAMETERS}
        rows, errors = filter_strictly(SessionFilterSet, rows, asked)
        if errors:
            raise ValidationError("The filter is not understood. Choose in the list again.")
    else:
        ids = [text for text in request.POST.getlist("id") if "\x00" not in text]
        rows = rows.filter(pk__in=ids[:_MOST_TICKED])
    return Choice(*bulks.choose(rows))


def read_fields(given: QueryDict) -> dict[str, object]:
    """Return what is to be changed, by Vapi's field names. Raises ValidationError."""
    change = given.get("change", "")
    if change == "complete":
        return {"status": "completed"}
    if change == DELETE:
        return {DELETE: True}
    if change in ("name", "status"):
        return {change: given.get(change, "")}
    if change == bulks.EXTEND:
        number, unit = _number(given.get("extend_by", "")), _number(given.get("extend_unit", ""))
        if not isinstance(number, int) or given.get("extend_unit", "") not in dict(UNITS):
            raise ValidationError({bulks.EXTEND: "Enter by how many hours or days to extend."})
        return {bulks.EXTEND: number * int(str(unit))}
    if change == "expirationSeconds":
        return {change: _number(given.get(change, ""))}
    raise ValidationError("Choose what to change.")


def _number(text: str) -> int | str:
    text = text.strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 12 else text


def describe_outlook(bulk: BulkEdit) -> dict[str, Any]:
    """Return what a page shows of a bulk edit that has not begun."""
    run = bulks.dry_run(bulk)
    shown: dict[str, Any] = {
        "dry_run": run,
        "refused": list(run.refused.items()),
        "needs_approval": bulks.needs_approval(bulk),
        "some_ids": ",".join(bulk.selection["ids"][:_SHOWN_IDS]),
        "some_count": min(bulk.total, _SHOWN_IDS),
        "word": bulks.WORD,
    }
    if run.example is not None:
        method, path, body = bulks.request_of(bulk, run.example)
        address = f"{bulk.organization.base_url.rstrip('/')}{path}"
        shown |= {"method": method, "address": address, "body": pretty_json(body) if body else ""}
    return shown
