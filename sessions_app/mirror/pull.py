"""One pull at work: walks what it is told to, stores each answer, and counts it in its run."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from sessions_app.mirror.ahead import ahead
from sessions_app.mirror.ledger import count
from sessions_app.mirror.pinning import Pin
from sessions_app.mirror.streams import STREAMS, BadResult, StreamSpec, parse_results, store_answer
from sessions_app.mirror.unreadable import known_rows
from sessions_app.mirror.walk import ListPage, Step, Walk
from sessions_app.models import Organization, SyncRun
from sessions_app.models.runs import Stream
from sessions_app.vapi.answers import Page
from sessions_app.vapi.client import Listing, VapiClient

Progress = Callable[[SyncRun], None]
# Rows between two looks of the garbage collector.
_COLLECTED_TOGETHER = 10_000


@dataclass(frozen=True)
class Reading:
    """One answer: its records, and apart from them what is none."""

    step: Step
    records: list[Any]
    bad: list[BadResult]


class Pull:
    """A stream of an organization, the client to ask with, and the run to count in."""

    def __init__(
        self,
        organization: Organization,
        stream: Stream,
        client: VapiClient,
        run: SyncRun,
        progress: Progress | None = None,
    ) -> None:
        self.organization, self.stream, self.run = organization, stream, run
        self._client, self._progress = client, progress
        self._spec: StreamSpec = STREAMS[stream]
        self._pin = Pin(client, self._spec, organization)
        self._uncollected = 0
        self._is_mostly_news = False

    @property
    def list_page(self) -> ListPage:
        return partial(self._client.list_stream, self._spec.path)

    def walk(self, listing: Listing) -> Walk:
        known = known_rows(self.organization, self._spec.table)
        return Walk(self._list_ours, listing, partial(self._client.get_stream, self._spec.path), known)

    def _list_ours(self, listing: Listing) -> Page:
        """Ask for a page of a walk. Raises WrongOrganization; here, because one thread at a time may ask."""
        page = self.list_page(listing)
        self._pin.check([org_id for row in page.results if isinstance(org_id := row.get("orgId"), str)])
        return page

    @contextmanager
    def readings(self, walk: Walk, *, far_ahead: bool = True) -> Iterator[Iterator[Reading]]:
        """Give each answer of a walk as the writer takes it: while one is stored, the next one is parsed, and the one
        after that is asked for. Without `far_ahead` nothing is asked for before it is wanted.
        """
        steps = walk.steps()
        if not far_ahead:
            yield self._parsed(steps)
            return
        with ahead(steps) as coming, ahead(self._parsed(coming)) as parsed:
            yield parsed

    def _parsed(self, steps: Iterator[Step]) -> Iterator[Reading]:
        """Parse answers. Where most of what came last was news, what the writer will want of the next records is made
        here as well: it would wait for that, while the database waits for it.
        """
        for step in steps:
            records, bad = parse_results(self._spec, step.results, step.text_replaced)
            if self._is_mostly_news:
                for record in records:
                    # Of one record, whatever it was: the writer meets it again, and keeps that record apart.
                    with suppress(Exception):
                        record.prepare()
            yield Reading(step, records, bad)

    def store(self, reading: Reading) -> list[datetime]:
        """Mirror one answer; returns the updatedAt of its records."""
        step, records = reading.step, reading.records
        written = store_answer(
            self._spec,
            self.organization,
            records,
            reading.bad,
            broken=step.broken,
            asked_at=step.page.asked_at,
            run=self.run,
        )
        self._is_mostly_news = written.created + written.updated > written.unchanged
        count(self.run, written, len(step.results) + len(step.broken))
        self._collect(len(step.results))
        if self._progress:
            self._progress(self.run)
        return [record.updated_at for record in records]

    def _collect(self, rows: int) -> None:
        """Look for cycles now and then: there are few, and each look goes through the pages in memory."""
        self._uncollected += rows
        if self._uncollected >= _COLLECTED_TOGETHER:
            self._uncollected = 0
            gc.collect(1)


@contextmanager
def collected_seldom() -> Iterator[None]:
    """Pause the garbage collector; `Pull.store` runs it, seldom. A page is a million objects without cycles, and
    looking for them while it is read takes half of a sync's time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
