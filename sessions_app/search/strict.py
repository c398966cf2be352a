"""Owns what every set of parameters has in common. Knows no list, no request and no page.

A parameter that is not known, given twice with two meanings, or not understood is an error of the set's form. What a
face itself takes (cursor, ordering) it names in `other_names`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeVar

import django_filters
from django import forms
from django.db.models import QuerySet

from sessions_app.models import (
    Organization,
)
from sessions_app.search.parameters import (
    ListField,
    ListFilter,
)

_LIST_FIELDS = (ListField,)


class OrganizationFilter(ListFilter):
    """Organizations by slug, asked for first and by themselves, so that the rows' own index can be used."""

    about = "Organizations by slug, by comma."

    def filter(self, qs: QuerySet[Any], value: Collection[str]) -> QuerySet[Any]:
        if not value:
            return qs
        ids = list(Organization.objects.filter(slug__in=value).order_by().values_list("pk", flat=True))
        return qs.filter(organization_id=ids[0]) if len(ids) == 1 else qs.filter(organization_id__in=ids)


class StrictFilterSet(django_filters.FilterSet):
    """A filter set in whose form an unknown or repeated parameter is an error."""

    def __init__(
        self,
        data: Mapping[str, Any] | None = None,
        queryset: QuerySet[Any] | None = None,
        *,
        other_names: Collection[str] = (),
        **options: Any,
    ) -> None:
        self.other_names = frozenset(other_names)
        super().__init__(data, queryset, **options)

    @property
    def form(self) -> forms.Form:
        if not hasattr(self, "_strict_form"):
            self._strict_form: forms.Form = super().form
            for name, message in self._strange_parameters():
                self._strict_form.errors.setdefault(name, self._strict_form.error_class()).append(message)
        return self._strict_form

    def _strange_parameters(self) -> list[tuple[str, str]]:
        strange: list[tuple[str, str]] = []
        for name in self.data or ():
            known = self.filters.get(name)
            if known is None:
                if name not in self.other_names:
                    strange.append((name, "Unknown parameter."))
            elif not issubclass(known.field_class, _LIST_FIELDS) and _is_repeated(self.data, name):
                strange.append((name, "Give this parameter once."))
        return strange

    @classmethod
    def lists(cls) -> frozenset[str]:
        """Return the names of the parameters that take several values: ?a=1&a=2 means the same as ?a=1,2."""
        return frozenset(
            name for name, item in cls.base_filters.items() if issubclass(item.field_class, _LIST_FIELDS)
        )

    @classmethod
    def names(cls) -> frozenset[str]:
        """Return the names of all parameters."""
        return frozenset(cls.base_filters)


def _is_repeated(data: Mapping[str, Any], name: str) -> bool:
    return hasattr(data, "getlist") and len(data.getlist(name)) > 1


_Set = TypeVar("_Set", bound=type[StrictFilterSet])


def taking(*groups: Mapping[str, django_filters.Filter]) -> Callable[[_Set], _Set]:
    """Add groups of like parameters to a set."""

    def add(filter_set: _Set) -> _Set:
        for group in groups:
            filter_set.base_filters.update(group)
        return filter_set

    return add
