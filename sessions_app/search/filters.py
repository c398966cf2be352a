"""Owns which parameters each list takes, for REST and the browser alike, so that a query string works in both.

Knows no request and no page.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import django_filters
from django import forms
from django.contrib.auth import get_user_model
from django.db.models import QuerySet

from sessions_app.models import (
    BulkEdit,
    Chat,
    CostLine,
    Coverage,
    Edit,
    EditTransition,
    Session,
    SyncRun,
)
from sessions_app.models.bulks import BulkState
from sessions_app.models.costs import Source
from sessions_app.models.coverage import CoverageState
from sessions_app.models.edits import EditState
from sessions_app.models.runs import RunKind, RunState, Stream
from sessions_app.search.box import (
    chat_words,
    number_parts,
    search_chats,
    search_sessions,
    session_words,
    sessions_with_number,
)
from sessions_app.search.parameters import (
    NONE,
    DayFilter,
    FailedToolsFilter,
    IndexedTextFilter,
    ListFilter,
    MissingFilter,
    MomentFilter,
    NumberListFilter,
    TextFilter,
    UsdFilter,
    ValueFilter,
    bounds,
)
from sessions_app.search.readings import narrow
from sessions_app.search.strict import OrganizationFilter, StrictFilterSet, taking


class WordsFilter(django_filters.CharFilter):
    """Rows that a text finds, as `found` says."""

    def __init__(
        self, *args: Any, found: Callable[[QuerySet[Any], str], QuerySet[Any]], about: str, **options: Any
    ) -> None:
        self.found, self.about = found, about
        super().__init__(*args, max_length=1000, **options)

    def filter(self, qs: QuerySet[Any], value: str) -> QuerySet[Any]:
        return self.found(qs, value) if value else qs


class NumberField(forms.CharField):
    """A customer's number, or at least three digits of it."""

    def clean(self, value: Any) -> Any:
        text = super().clean(value)
        if text and not number_parts(text):
            raise forms.ValidationError("Enter at least three digits.")
        return text


class NumberPartFilter(django_filters.Filter):
    """Part of a customer's number, however it is written."""

    about = "Part of the number: three digits or more, however they are written."
    field_class = NumberField

    def filter(self, qs: QuerySet[Any], value: str) -> QuerySet[Any]:
        return narrow(qs, [sessions_with_number(value)]) if value else qs


class NumberFilter(TextFilter):
    """A customer's number as it stands; its digits lead to it by index."""

    about = "Exactly this number, as Vapi writes it."

    def filter(self, qs: QuerySet[Any], value: str) -> QuerySet[Any]:
        if not value:
            return qs
        digits = "".join(filter(str.isdecimal, value))
        return (
            qs.filter(customer_digits=digits, customer_number=value) if digits else super().filter(qs, value)
        )


class EditStateFilter(ListFilter):
    """Sessions with an edit in one of these states."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.about = "With an edit that is one of"

    def filter(self, qs: QuerySet[Any], value: Collection[str]) -> QuerySet[Any]:
        if not value:
            return qs
        return qs.filter(pk__in=Edit.objects.filter(state__in=value).order_by().values("session_id"))


class PersonFilter(ValueFilter):
    """Rows of one person, by user name; asked for first and by itself, so that the rows' own index can be used."""

    about = "A person's user name; `none` for rows that nobody made."

    def filter(self, qs: QuerySet[Any], value: str) -> QuerySet[Any]:
        if not value:
            return qs
        if value == NONE:
            return qs.filter(**{self.field_name: None})
        person = get_user_model()._default_manager.filter(username=value).first()
        return qs.filter(**{self.field_name: person}) if person else qs.none()


class FieldFilter(ListFilter):
    """Rows that speak of one of these fields."""

    about = "Edits of one of these fields, by comma."

    def filter(self, qs: QuerySet[Any], value: Collection[str]) -> QuerySet[Any]:
        return qs.filter(**{f"{self.field_name}__has_any_keys": list(value)}) if value else qs


_SAID = "Words that were said in it, all of them; the last may be a word's beginning."
_SOUGHT_IN_SESSIONS = (
    "What the search box finds: an id or its beginning, a customer's name, e-mail or part of a number, the session's"
    " name, or words that were said."
)
_SOUGHT_IN_CHATS = (
    "What the search box finds: an id or its beginning, the chat's name, or words that were said."
)


def _texts(*columns: str) -> dict[str, django_filters.Filter]:
    exact = {column: IndexedTextFilter(field_name=column) for column in columns}
    parts = {
        f"{column}__contains": TextFilter(
            field_name=column, lookup_expr="icontains", label=f"{column.replace('_', ' ')} contains"
        )
        for column in columns
    }
    return exact | parts


def _lists(*columns: str) -> dict[str, django_filters.Filter]:
    return {column: ListFilter(field_name=column) for column in columns}


def _words_in_sessions(sessions: QuerySet[Any], text: str) -> QuerySet[Any]:
    return narrow(sessions, [session_words(text)])


def _words_in_chats(chats: QuerySet[Any], text: str) -> QuerySet[Any]:
    return narrow(chats, [chat_words(text)])


@taking(
    _lists("id", "status", "assistant_id", "squad_id", "phone_number_id", "customer_id"),
    _texts("name", "customer_name", "customer_email", "customer_external_id"),
    bounds(MomentFilter, "created_at"),
    bounds(MomentFilter, "updated_at"),
    bounds(MomentFilter, "expires_at"),
    bounds(MomentFilter, "idle_expires_at"),
    bounds(UsdFilter, "cost_usd"),
)
class SessionFilterSet(StrictFilterSet):
    """What the list of sessions takes."""

    organization = OrganizationFilter()
    # What is found by words is weighed against the rows of the organizations asked for, so it comes next.
    q = WordsFilter(found=_words_in_sessions, about=_SAID, label="words said")
    search = WordsFilter(found=search_sessions, about=_SOUGHT_IN_SESSIONS, label="search")
    customer_number = NumberFilter(field_name="customer_number")
    customer_number__contains = NumberPartFilter(label="customer number contains")
    missing = MissingFilter(label="missing at Vapi")
    failed_tools = FailedToolsFilter(label="has failed tool calls")
    edit_state = EditStateFilter(choices=EditState.values, label="edits")

    class Meta:
        model = Session
        fields: list[str] = []


@taking(
    _lists("id", "session_id", "previous_chat_id", "assistant_id", "squad_id"),
    _texts("name"),
    bounds(MomentFilter, "created_at"),
    bounds(MomentFilter, "updated_at"),
    bounds(UsdFilter, "cost_usd"),
)
class ChatFilterSet(StrictFilterSet):
    """What the list of chats takes."""

    organization = OrganizationFilter()
    q = WordsFilter(found=_words_in_chats, about=_SAID, label="words said")
    search = WordsFilter(found=search_chats, about=_SOUGHT_IN_CHATS, label="search")
    missing = MissingFilter(label="missing at Vapi")
    failed_tools = FailedToolsFilter(label="has failed tool calls")

    class Meta:
        model = Chat
        fields: list[str] = []


@taking(
    _lists("id", "session_id", "chat_id", "kind", "assistant_id", "squad_id", "phone_number_id"),
    # Names of their makers' choosing, which may hold a comma.
    {name: ValueFilter(field_name=name) for name in ("analysis_type", "provider", "model")},
    bounds(MomentFilter, "occurred_at"),
    bounds(UsdFilter, "cost_usd"),
)
class CostLineFilterSet(StrictFilterSet):
    """What the list of cost lines takes."""

    organization = OrganizationFilter()
    source = ListFilter(choices=Source.values, field_name="source")

    class Meta:
        model = CostLine
        fields: list[str] = []


@taking(_lists("session_id", "kind", "source"), bounds(MomentFilter, "created_at"))
class EditFilterSet(StrictFilterSet):
    """What the list of edits takes."""

    organization = OrganizationFilter()
    id = NumberListFilter(field_name="id")
    state = ListFilter(choices=EditState.values, field_name="state")
    author = PersonFilter(field_name="author", label="a person's user name")
    field = FieldFilter(field_name="fields", label="a field that is changed, by Vapi's name")
    bulk = NumberListFilter(field_name="bulk_id", label="bulk edits")

    class Meta:
        model = Edit
        fields: list[str] = []


@taking(bounds(MomentFilter, "created_at"))
class BulkEditFilterSet(StrictFilterSet):
    """What the list of bulk edits takes."""

    organization = OrganizationFilter()
    id = NumberListFilter(field_name="id")
    state = ListFilter(choices=BulkState.values, field_name="state")
    author = PersonFilter(field_name="author", label="a person's user name")

    class Meta:
        model = BulkEdit
        fields: list[str] = []


@taking(bounds(MomentFilter, "happened_at"))
class AuditFilterSet(StrictFilterSet):
    """What the audit of edits takes."""

    organization = OrganizationFilter()
    edit = NumberListFilter(field_name="edit_id")
    session_id = ListFilter(field_name="edit__session_id")
    actor = ValueFilter(field_name="actor")
    author = PersonFilter(field_name="edit__author", label="who made the edit")
    state = ListFilter(choices=EditState.values, field_name="state")
    field = FieldFilter(field_name="digests", label="a field that is changed, by Vapi's name")
    request_id = ValueFilter(field_name="request_id")

    class Meta:
        model = EditTransition
        fields: list[str] = []


class CoverageFilterSet(StrictFilterSet):
    """What the list of proven days takes."""

    organization = OrganizationFilter()
    stream = ListFilter(choices=(Stream.SESSIONS, Stream.CHATS), field_name="stream")
    state = ListFilter(choices=CoverageState.values, field_name="state")
    day = DayFilter(field_name="day")
    day__gte = DayFilter(field_name="day", lookup_expr="gte")
    day__lte = DayFilter(field_name="day", lookup_expr="lte")

    class Meta:
        model = Coverage
        fields: list[str] = []


@taking(bounds(MomentFilter, "started_at"))
class SyncRunFilterSet(StrictFilterSet):
    """What the list of sync runs takes."""

    organization = OrganizationFilter()
    stream = ListFilter(choices=Stream.values, field_name="stream")
    kind = ListFilter(choices=RunKind.values, field_name="kind")
    state = ListFilter(choices=RunState.values, field_name="state")

    class Meta:
        model = SyncRun
        fields: list[str] = []
