"""An organization's rows: the seeded ones, and in memory those that were changed, created or deleted."""

import json
import threading
from bisect import bisect_left, insort
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

import orjson

from sessions_app.sandbox.clock import Clock, write_us
from sessions_app.sandbox.conversations import dump
from sessions_app.sandbox.listing import Listing, Matches, SeededRows, Visible
from sessions_app.sandbox.sessions import payload_times

Payload: TypeAlias = dict[str, object]

# Where a list filter looks in a payload, where its name is not the field's.
_PATHS: dict[str, tuple[str, ...]] = {
    "number": ("customer", "number"),
    "customerNumber": ("customer", "number"),
    "sipUri": ("customer", "sipUri"),
    "email": ("customer", "email"),
    "externalId": ("customer", "externalId"),
}


@dataclass(slots=True)
class Kept:
    """A row in memory. `position` is how many seeded rows come before it."""

    payload: Payload
    created_us: int
    updated_us: int
    position: int
    serial: int

    def value(self, field: str) -> object:
        found: object = self.payload
        for step in _PATHS.get(field, (field,)):
            found = found.get(step) if isinstance(found, dict) else None
        return found

    def number(self, sort_by: str) -> float:
        cost = self.payload.get("cost")
        if sort_by == "duration":
            return self.updated_us - self.created_us
        return float(cost) if isinstance(cost, int | float) else 0.0


class Stream:
    """Sessions or chats of one organization; safe to use from several threads.

    The JSON of up to `remembered` seeded rows is kept once it was made, for whoever asks for the same ones again.
    """

    def __init__(self, rows: SeededRows, clock: Clock, remembered: int = 0) -> None:
        self.rows = rows
        self._made = lru_cache(maxsize=remembered)(rows.render)
        self._clock = clock
        self._matches = Matches(rows)
        self._lock = threading.RLock()
        self._serial = rows.size
        self._kept: dict[str, Kept] = {}
        self._hidden: list[int] = []
        self._last_us = 0
        # Told of each change, in order: what happened to which row.
        self.listener: Callable[[str, Payload], None] | None = None

    def _tell(self, what: str, payload: Payload) -> None:
        if self.listener is not None:
            self.listener(what, payload)

    def reset(self) -> None:
        """Back to the seed alone."""
        with self._lock:
            self._kept.clear()
            self._hidden.clear()
            self._serial = self.rows.size
            self._last_us = 0

    def changed(self) -> int:
        return len(self._kept) + len(self._hidden)

    def get(self, id_: str) -> bytes | None:
        """One row's JSON, None where there is none."""
        with self._lock:
            kept = self._kept.get(id_)
            if kept is not None:
                return dump(kept.payload)
            index = self._seeded(id_)
        return None if index is None else self._made(index)

    def _seeded(self, id_: str) -> int | None:
        index = self.rows.index_of(id_)
        return None if index is None or _contains(self._hidden, index) else index

    def tick_us(self) -> int:
        """A time of change later than any before it."""
        self._last_us = max(self._clock.now_us(), self._last_us + 1000)
        return self._last_us

    def update(
        self, id_: str, fields: Payload, unset: Iterable[str] = (), *, touch: bool = True
    ) -> bytes | None:
        """Merge fields into a row; `touch` moves updatedAt past its old value."""
        with self._lock:
            before = self.get(id_)
            if before is None:
                return None
            payload = load_row(before)
            if touch and "updatedAt" not in fields:
                old = payload_times(payload, 0)[1]
                self._last_us = max(self._last_us, old)
                payload["updatedAt"] = write_us(self.tick_us())
            payload |= fields
            for name in unset:
                payload.pop(name, None)
            self._keep(id_, payload)
            self._tell("updated", payload)
            return dump(payload)

    def add(self, id_: str, payload: Payload) -> bytes:
        """A new row, or one in place of the row that had this id."""
        with self._lock:
            self._keep(id_, payload)
            self._tell("created", payload)
            return dump(payload)

    def delete(self, id_: str) -> bytes | None:
        with self._lock:
            before = self.get(id_)
            if before is not None:
                self._hide(id_)
                self._kept.pop(id_, None)
                self._tell("deleted", load_row(before))
            return before

    def forget_before(self, moment_us: int) -> None:
        """Let go of what was created before, as retention does: nobody is told."""
        with self._lock:
            seeded = range(self.rows.index_at(moment_us))
            self._hidden = sorted({*self._hidden, *seeded})
            for id_ in [id_ for id_, row in self._kept.items() if row.created_us < moment_us]:
                del self._kept[id_]

    def _hide(self, id_: str) -> None:
        index = self._seeded(id_)
        if index is not None:
            insort(self._hidden, index)

    def _keep(self, id_: str, payload: Payload) -> None:
        created, updated = payload_times(payload, self._clock.now_us())
        old = self._kept.get(id_)
        if old is not None and old.created_us == created:
            position, serial = old.position, old.serial
        else:
            position, serial = self._position(id_, created)
        self._hide(id_)
        self._kept[id_] = Kept(payload, created, updated, position, serial)

    def _position(self, id_: str, created_us: int) -> tuple[int, int]:
        """A seeded row keeps its place; a new one comes after seeded rows of the same time."""
        index = self.rows.index_of(id_)
        if index is not None and self.rows.created_us(index) == created_us:
            return index, index
        self._serial += 1
        return self.rows.index_at(created_us + 1), self._serial

    def page(self, listing: Listing) -> tuple[list[bytes], int]:
        """(rows of the page as JSON, how many match in all)."""
        with self._lock:
            hidden = list(self._hidden)
            kept = [row for id_, row in self._kept.items() if _matches(id_, row, listing)]
            seeded = Visible(self._matches.of(listing), hidden)
        kept.sort(key=lambda row: (row.created_us, row.position, row.serial))
        total = seeded.count + len(kept)
        first = (listing.page - 1) * listing.limit
        wanted = range(min(first, total), min(first + listing.limit, total))
        if listing.sort_by != "createdAt":
            rows = self._sorted(listing, seeded, kept)
            return [self._render(rows[n]) for n in wanted], total
        if listing.descending:
            wanted = range(total - wanted.start - 1, total - wanted.stop - 1, -1)
        return [self._render(row) for row in _merged(seeded, kept, wanted)], total

    def _sorted(self, listing: Listing, seeded: Visible, kept: list[Kept]) -> list[int | Kept]:
        keyed: list[tuple[float, int, int | Kept]] = [
            (row.number(listing.sort_by), row.serial, row) for row in kept
        ]
        indexes = [seeded[n] for n in range(seeded.count)]
        keyed += [(self.rows.number(i, listing.sort_by), i, i) for i in indexes]
        keyed.sort(key=lambda entry: entry[:2], reverse=listing.descending)
        return [row for *_, row in keyed]

    def _render(self, row: int | Kept) -> bytes:
        return self._made(row) if isinstance(row, int) else dump(row.payload)


def _merged(seeded: Visible, kept: list[Kept], wanted: range) -> Iterable[int | Kept]:
    """Rows at the wanted positions of the order in which kept rows stand among the seeded ones."""
    ranks = {seeded.below(row.position) + number: row for number, row in enumerate(kept)}
    places = sorted(ranks)
    for position in wanted:
        if position in ranks:
            yield ranks[position]
        else:
            yield seeded[position - bisect_left(places, position)]


def _contains(ordered: list[int], index: int) -> bool:
    place = bisect_left(ordered, index)
    return place < len(ordered) and ordered[place] == index


def _matches(id_: str, row: Kept, listing: Listing) -> bool:
    return (
        (listing.ids is None or id_ in listing.ids)
        and row.created_us in listing.created
        and row.updated_us in listing.updated
        and all(row.value(name) in values for name, values in listing.filters)
    )


def load_row(text: bytes) -> Payload:
    """A row's JSON as an object."""
    try:
        loaded: Payload = orjson.loads(text)
    except orjson.JSONDecodeError:  # lone surrogates, which orjson refuses
        loaded = json.loads(text)
    return loaded
