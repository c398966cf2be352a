"""Query strings for the lists whose rows a figure of a cost report adds up. Knows no addresses."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from sessions_app.costs.period import Period
from sessions_app.costs.query import LINE_GROUPS, NONE, SINGLE, CostQuery
from sessions_app.models.costs import Source
from sessions_app.models.organizations import Organization


@dataclass(frozen=True)
class RowLinks:
    """Query strings for the lists of sessions, chats and cost lines that hold a row's own rows."""

    query: CostQuery
    values: Mapping[str, Any]
    organizations: Mapping[int, Organization]

    def parents(self) -> str | None:
        names = ["assistant_id", "squad_id"]
        # A chat has no phone number, and its list no such filter.
        names += ["phone_number_id"] if self.values["source"] == Source.SESSION else []
        return self._build("created_at", names)

    def lines(self) -> str | None:
        names = ["source", "assistant_id", "squad_id", "phone_number_id", *LINE_GROUPS]
        return self._build("occurred_at", names)

    def _build(self, moment: str, names: Iterable[str]) -> str | None:
        zone = self._zone()
        if zone is None:
            return None
        day = self.values.get("day")
        start, end = (Period(day, day) if day else self.query.period).moments(zone)
        chosen = {f"{moment}__gte": _plain(start), f"{moment}__lt": _plain(end), **self._organization()}
        for name in names:
            values = (self.values[name],) if name in self.values else self.query.filters.get(name, ())
            # The lists take one of these at a time.
            if name in SINGLE and len(values) > 1:
                return None
            if values:
                chosen[name] = ",".join(value or NONE for value in values)
        return urlencode(chosen)

    def _zone(self) -> ZoneInfo | None:
        """The zone whose days these are; None where organizations differ: one stretch of time cannot list them."""
        zones = {each.report_time_zone for each in self._meant()}
        return ZoneInfo(zones.pop()) if len(zones) == 1 else None

    def _meant(self) -> list[Organization]:
        if "organization" in self.values:
            return [self.organizations[self.values["organization"]]]
        return list(self.organizations.values())

    def _organization(self) -> dict[str, str]:
        if "organization" in self.values or "organization" in self.query.filters:
            return {"organization": ",".join(each.slug for each in self._meant())}
        return {}


def _plain(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"
