"""One listing over seeded and changed rows: filters, order and page; knows no HTTP and no rendering."""

from bisect import bisect_left, bisect_right
from collections import OrderedDict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Protocol

FOREVER = 1 << 62


class SeededRows(Protocol):
    """Rows that follow from the seed, numbered in order of createdAt."""

    size: int
    max_lag_us: int
    name: str
    org_id: str

    def id_of(self, index: int) -> str: ...
    def index_of(self, id_: str) -> int | None: ...
    def created_us(self, index: int) -> int: ...
    def updated_us(self, index: int) -> int: ...
    def index_at(self, moment_us: int) -> int: ...
    def value(self, index: int, field: str) -> str | None: ...
    def number(self, index: int, sort_by: str) -> float: ...
    def candidates(self, field: str, value: str, /) -> list[int] | None: ...
    def render(self, index: int) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Span:
    """Half-open bounds of a time, in microseconds."""

    start: int = -FOREVER
    end: int = FOREVER

    def __contains__(self, moment_us: int) -> bool:
        return self.start <= moment_us < self.end


@dataclass(frozen=True, slots=True)
class Listing:
    """What was asked for. `filters` maps a field to the values that it may have."""

    filters: tuple[tuple[str, frozenset[str]], ...] = ()
    ids: frozenset[str] | None = None
    created: Span = field(default_factory=Span)
    updated: Span = field(default_factory=Span)
    page: int = 1
    limit: int = 100
    sort_by: str = "createdAt"
    descending: bool = True


class Matches:
    """Which seeded rows match a listing, as ascending indexes; the last answers are kept (seeds never change)."""

    def __init__(self, rows: SeededRows, keep: int = 6) -> None:
        self._rows = rows
        self._keep = keep
        self._known: OrderedDict[object, Sequence[int]] = OrderedDict()

    def of(self, listing: Listing) -> Sequence[int]:
        if listing.ids is not None:
            return self._by_id(listing)
        key = (listing.filters, listing.created, listing.updated)
        found = self._known.get(key)
        if found is None:
            found = self._find(listing)
            self._known[key] = found
            while len(self._known) > self._keep:
                self._known.popitem(last=False)
        return found

    def _by_id(self, listing: Listing) -> list[int]:
        found = (self._rows.index_of(id_) for id_ in listing.ids or ())
        rows = [i for i in found if i is not None and self._rows.created_us(i) in listing.created]
        rows = [i for i in rows if self._rows.updated_us(i) in listing.updated]
        return sorted(self._filtered(rows, listing))

    def _find(self, listing: Listing) -> Sequence[int]:
        for name, values in listing.filters:
            lists = [self._rows.candidates(name, value) for value in values]
            if None not in lists:
                few = sorted({i for found in lists if found is not None for i in found})
                few = [i for i in few if self._rows.created_us(i) in listing.created]
                few = [i for i in few if self._rows.updated_us(i) in listing.updated]
                return self._filtered(few, listing)
        times = self._in_time(listing)
        return self._filtered(times, listing) if listing.filters else times

    def _filtered(self, indexes: Collection[int], listing: Listing) -> list[int]:
        value = self._rows.value
        found = list(indexes)
        for name, values in listing.filters:
            found = [i for i in found if value(i, name) in values]
        return found

    def _in_time(self, listing: Listing) -> Sequence[int]:
        """By bisection; only rows within the greatest lag of a bound of updatedAt are looked at."""
        rows, updated = self._rows, listing.updated
        at: Callable[[int], int] = rows.index_at
        low, high = at(listing.created.start), at(listing.created.end)
        low = max(low, at(updated.start - rows.max_lag_us))
        high = max(low, min(high, at(updated.end)))
        sure_low = min(max(low, at(updated.start)), high)
        sure_high = max(min(high, at(updated.end - rows.max_lag_us)), low)
        if sure_low >= sure_high:
            return [i for i in range(low, high) if rows.updated_us(i) in updated]
        head = [i for i in range(low, sure_low) if rows.updated_us(i) in updated]
        tail = [i for i in range(sure_high, high) if rows.updated_us(i) in updated]
        sure = range(sure_low, sure_high)
        return [*head, *sure, *tail] if head or tail else sure


class Visible:
    """Matching seeded rows without the hidden ones, by position."""

    def __init__(self, matches: Sequence[int], hidden: Sequence[int]) -> None:
        self._matches = matches
        self._gaps = [place for place in (_place(matches, index) for index in hidden) if place is not None]
        self.count = len(matches) - len(self._gaps)

    def __getitem__(self, position: int) -> int:
        gaps = self._gaps
        skipped = bisect_right(range(len(gaps)), position, key=lambda n: gaps[n] - n)
        return self._matches[position + skipped]

    def below(self, index: int) -> int:
        """How many visible rows have a smaller index."""
        place = bisect_left(self._matches, index)
        return place - bisect_left(self._gaps, place)


def _place(matches: Sequence[int], index: int) -> int | None:
    place = bisect_left(matches, index)
    return place if place < len(matches) and matches[place] == index else None
