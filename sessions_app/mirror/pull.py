"""One pull at work: walks what it is told to, stores each answer, and counts it in its run."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

from django.db import connection

from sessions_app.mirror.ahead import ahead, side_by_side
from sessions_app.mirror.ledger import count
from sessions_app.mirror.pinning import Pin
from sessions_app.mirror.streams import STREAMS, StreamSpec, store_answer
from sessions_app.mirror.unreadable import known_rows
from sessions_app.mirror.versions import Versions, stands, stored_versions
from sessions_app.mirror.walk import ListPage, Step, Walk
from sessions_app.mirror.writer import WriteResult, writers_at_once
from sessions_app.models import Organization, SyncRun
from sessions_app.models.runs import Stream
from sessions_app.vapi.answers import Page
from sessions_app.vapi.client import Listing, VapiClient
from sessions_app.vapi.heads import Head
from sessions_app.vapi.reader import Parsed, Reader
from sessions_app.vapi.reading import BadResult, parse_results

Progress = Callable[[SyncRun], None]
_Of = TypeVar("_Of")
# Rows between two looks of the garbage collector.
_COLLECTED_TOGETHER = 10_000


@dataclass(frozen=True)
class Reading:
    """One answer: its records, apart from them what is none, and what stands here already as it came."""

    step: Step
    records: list[Any]
    bad: list[BadResult]
    known: list[Head]
    looked_at: Versions

    @property
    def updated_at(self) -> list[datetime]:
        """That of each of them."""
        return [each.updated_at for each in (*self.records, *self.known)]


class Pull:
    """A stream of an organization, the client to ask with, and the run to count in."""

    def __init__(
        self,
        organization: Organization,
        stream: Stream,
        client: VapiClient,
        run: SyncRun,
        reader: Reader,
        progress: Progress | None = None,
    ) -> None:
        self.organization, self.stream, self.run = organization, stream, run
        self._client, self._reader, self._progress = client, reader, progress
        self._spec: StreamSpec = STREAMS[stream]
        self._pin = Pin(client, self._spec, organization)
        self._uncollected = 0

    @property
    def list_page(self) -> ListPage:
        return partial(self._client.list_heads, self._spec.path)

    def walk(self, listing: Listing) -> Walk:
        known = known_rows(self.organization, self._spec.table)
        return Walk(self._list_ours, listing, partial(self._client.get_stream, self._spec.path), known)

    def _list_ours(self, listing: Listing) -> Page:
        """Ask for a page of a walk. Raises WrongOrganization; here, because one thread at a time may ask."""
        page = self.list_page(listing)
        self._pin.check([org_id for row in page.results if isinstance(org_id := row.get("orgId"), str)])
        return page

    @contextmanager
    def stored(self, walk: Walk) -> Iterator[Iterator[Reading]]:
        """Store each answer of a walk, and give it."""
        with self.stored_of((walk, step) for step in walk.steps()) as stored:
            yield (reading for _, reading in stored if reading is not None)

    @contextmanager
    def stored_of(
        self, steps: Iterator[tuple[_Of, Step | None]], *, far_ahead: bool = True
    ) -> Iterator[Iterator[tuple[_Of, Reading | None]]]:
        """Store each answer and give it with whatever came with it, in their order, each when all before it are stored.

        While some are stored, the next one is read (by another process where it is much and a processor is free) and
        the one after that is asked for. Without `far_ahead` nothing is done before it is wanted.
        """
        if not far_ahead or connection.in_atomic_block:
            yield self._noted(map(self._store, self._read(steps, parse_results)))
            return
        with (
            ahead(steps) as coming,
            ahead(self._read(coming, self._reader.parse)) as read,
            side_by_side(self._store, read, writers_at_once()) as stored,
        ):
            yield self._noted(stored)

    def _read(
        self, steps: Iterator[tuple[_Of, Step | None]], parse: Callable[..., Parsed]
    ) -> Iterator[tuple[_Of, Reading | None]]:
        for of, step in steps:
            yield of, None if step is None else self._read_one(step, parse)

    def _store(self, read: tuple[_Of, Reading | None]) -> tuple[_Of, Reading | None, WriteResult]:
        of, reading = read
        return of, reading, WriteResult() if reading is None else self._store_one(reading)

    def _noted(
        self, stored: Iterator[tuple[_Of, Reading | None, WriteResult]]
    ) -> Iterator[tuple[_Of, Reading | None]]:
        """Count each answer that was stored."""
        for of, reading, written in stored:
            if reading is not None:
                self._count(reading.step, written)
            yield of, reading

    def _read_one(self, step: Step, parse: Callable[..., Parsed]) -> Reading:
        """Read what is not here as it came."""
        looked_at = self._look_at(step)
        known, places = self._sort_out(step, looked_at)
        records, bad = parse(
            self._spec.path,
            [step.results[place] for place in places],
            [step.text_replaced[place] for place in places],
        )
        return Reading(step, records, bad, known, looked_at)

    def _look_at(self, step: Step) -> Versions:
        ids = [remote_id for row in step.results if isinstance(remote_id := row.get("id"), str)]
        with connection.cursor() as cursor:
            return stored_versions(cursor, self._spec.table, ids)

    def _sort_out(self, step: Step, looked_at: Versions) -> tuple[list[Head], list[int]]:
        """Return what stands here as it came, and the places of what is to be read."""
        known: list[Head] = []
        places = []
        for place, row in enumerate(step.results):
            if isinstance(row, Head) and stands(
                row, looked_at.get(row.id), self.organization, step.page.asked_at
            ):
                known.append(row)
            else:
                places.append(place)
        return known, places

    def expect_many(self) -> None:
        """Let the process that reads start now, if there is to be one: there will be work for it."""
        self._reader.start()

    def _store_one(self, reading: Reading) -> WriteResult:
        step = reading.step
        return store_answer(
            self._spec,
            self.organization,
            reading.records,
            reading.bad,
            broken=step.broken,
            asked_at=step.page.asked_at,
            run=self.run,
            looked_at=reading.looked_at,
            known={head.id for head in reading.known},
        )

    def _count(self, step: Step, written: WriteResult) -> None:
        count(self.run, written, len(step.results) + len(step.broken))
        self._collect(len(step.results))
        if self._progress:
            self._progress(self.run)

    def _collect(self, rows: int) -> None:
        """Look for cycles now and then: there are few, and each look goes through the pages in memory."""
        self._uncollected += rows
        if self._uncollected >= _COLLECTED_TOGETHER:
            self._uncollected = 0
            gc.collect(1)


@contextmanager
def collected_seldom() -> Iterator[None]:
    """Pause the garbage collector; a pull runs it, seldom. A page is a million objects without cycles, and
    looking for them while it is read takes half of a sync's time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
