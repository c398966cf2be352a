"""Vapi's side of a proof: counts, walks and look-ups of one stream, each request counted. Changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from sessions_app.mirror.coverage import Span
from sessions_app.mirror.patience import patiently
from sessions_app.mirror.pinning import Pin
from sessions_app.mirror.streams import StreamSpec
from sessions_app.mirror.unreadable import known_rows
from sessions_app.mirror.walk import Step, Walk, first_of
from sessions_app.models import Organization
from sessions_app.vapi.answers import Fetched, Page
from sessions_app.vapi.client import Listing, VapiClient
from sessions_app.vapi.json import JsonObject
from sessions_app.vapi.times import parse_time


@dataclass
class Reading:
    """A walk over a span under way: what it found so far, and what the listing said of itself at its start."""

    steps: Iterator[Step]
    stated: int | None = None
    found: int = 0


class Upstream:
    """One stream of one organization at Vapi."""

    def __init__(self, client: VapiClient, spec: StreamSpec, organization: Organization) -> None:
        self.requests = 0
        self._client, self._spec, self._organization = client, spec, organization
        self._pin = Pin(client, spec, organization)

    def oldest(self) -> tuple[Page, bool]:
        """Return the oldest row that can be had, how many there are in all, and whether it is surely the oldest."""
        return first_of(self._list, Listing(sort_order="ASC"))

    def count(self, span: Span) -> int | None:
        """Return how many rows the listing says a span has; None where it says nothing."""
        page, _ = first_of(self._list, Listing(created_at_ge=span.start, created_at_lt=span.end))
        return page.total_items

    def read(self, span: Span) -> Reading:
        """Walk a span, row by row. `found` is whole once the steps have ended."""
        reading = Reading(iter(()))
        reading.steps = self._steps(span, reading)
        return reading

    def get(self, remote_id: str) -> Fetched:
        """Ask for one id. Raises Gone where Vapi answers 404, and only there."""
        return patiently(partial(self._get, remote_id))

    def _steps(self, span: Span, reading: Reading) -> Iterator[Step]:
        first: list[Page] = []

        def list_page(listing: Listing) -> Page:
            page = self._list(listing)
            if not first:
                first.append(page)
                reading.stated = page.total_items
            return page

        listing = Listing(created_at_ge=span.start, created_at_lt=span.end)
        known = known_rows(self._organization, self._spec.table)
        for step in Walk(list_page, listing, self._get, known).steps():
            reading.found += len(step.results) + len(step.broken)
            yield step

    def _list(self, listing: Listing) -> Page:
        self.requests += 1
        page = self._client.list_stream(self._spec.path, listing)
        self._check(page.results)
        return page

    def _get(self, remote_id: str) -> Fetched:
        self.requests += 1
        fetched = self._client.get_stream(self._spec.path, remote_id)
        self._check([fetched.payload])
        return fetched

    def _check(self, results: list[JsonObject]) -> None:
        """Another organization's answers say nothing about ours. Raises WrongOrganization."""
        self._pin.check([org_id for result in results if isinstance(org_id := result.get("orgId"), str)])


def created_at(page: Page) -> datetime | None:
    """Return the createdAt of a page's first row."""
    return parse_time(page.results[0].get("createdAt")) if page.results else None
