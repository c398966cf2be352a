"""What lists of legal holds take."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet

from sessions_app.models import LegalHold
from sessions_app.models.forgetting import HoldBy
from sessions_app.search.parameters import ListFilter, NumberListFilter, YesNoFilter
from sessions_app.search.strict import OrganizationFilter, StrictFilterSet


class InForceFilter(YesNoFilter):
    """Holds that were not released, or those that were."""

    about = "true: not released; false: released."

    def filter(self, qs: QuerySet[Any], value: bool | None) -> QuerySet[Any]:
        return qs if value is None else qs.filter(released_at__isnull=value)


class LegalHoldFilterSet(StrictFilterSet):
    """What the list of legal holds takes."""

    organization = OrganizationFilter()
    id = NumberListFilter(field_name="id")
    by = ListFilter(choices=HoldBy.values, field_name="by")
    in_force = InForceFilter(label="not released")

    class Meta:
        model = LegalHold
        fields: list[str] = []
