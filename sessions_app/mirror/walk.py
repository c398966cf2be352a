"""A walk: every row of a listing, by createdAt ascending, though rows come, change and go while it is read.

It never turns pages by number but asks again from the last createdAt seen, inclusive, and skips what it saw. Only
rows that share one createdAt are paged by number. What a listing says about itself (a short page, hasNextPage,
totalItems) proves nothing: the walk ends when a request from the last createdAt brings no unseen id.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial

from sessions_app.mirror.patience import patiently
from sessions_app.vapi.answers import BrokenResult, Page
from sessions_app.vapi.client import Listing
from sessions_app.vapi.errors import Gone, Unavailable
from sessions_app.vapi.json import JsonObject, dump_payload
from sessions_app.vapi.times import parse_time

MAX_LIMIT = 1000
# Rows that share one createdAt and fill more pages than this: a listing that never ends.
_MOST_TIE_PAGES = 1000

ListPage = Callable[[Listing], Page]
Lookup = Callable[[str], object]


@dataclass(frozen=True)
class Step:
    """The unseen rows of one answer, and the createdAt from which the walk can go on after them."""

    results: list[JsonObject]
    text_replaced: list[bool]
    broken: list[BrokenResult]
    page: Page
    reached_at: datetime | None


@dataclass
class Walk:
    """One walk over the rows that `listing` selects. `lookup` asks for one id, and raises Gone."""

    list_page: ListPage
    listing: Listing
    lookup: Lookup
    limit: int = field(default_factory=lambda: MAX_LIMIT)
    _seen: dict[str, datetime | None] = field(default_factory=dict)
    _last: tuple[str, datetime] | None = None
    _capacity: int = 1

    def steps(self) -> Iterator[Step]:
        """Yield the unseen rows, answer by answer."""
        number = 1
        while True:
            page = self._ask(number)
            if number == 1 and self._is_suspect(page):
                page = self._ask_again()
            step = self._unseen(page)
            self._capacity = max(self._capacity, len(page.results))
            moved = self._move(page)
            if step.results or step.broken:
                yield step
            if moved:
                number = 1
            elif not page.results or (not step.results and len(page.results) < self._capacity):
                return
            elif number >= _MOST_TIE_PAGES:
                raise Unavailable("GET", "listing", None, kind="bad_body")
            else:
                number += 1

    def _ask(self, number: int) -> Page:
        """Ask for a page; smaller ones after a failure that a smaller answer may avoid."""
        asked_limit = self.limit
        page = patiently(
            lambda: self.list_page(self._question(number)), after_failure=partial(self._shrink, number)
        )
        if number == 1 and self.limit == asked_limit:
            self.limit = min(MAX_LIMIT, self.limit * 2)
        return page

    def _question(self, number: int) -> Listing:
        start = self._last[1] if self._last else self.listing.created_at_ge
        return replace(self.listing, created_at_ge=start, page=number, limit=self.limit)

    def _shrink(self, number: int, problem: Unavailable) -> None:
        # Within a tie the page number counts pages of one size only.
        if problem.kind != "rate_limited" and number == 1:
            self.limit = max(1, self.limit // 2)

    def _is_suspect(self, page: Page) -> bool:
        """An answer from the last createdAt must hold the last row, unless that one has gone."""
        if self._last is None:
            return False
        ids = {result.get("id") for result in page.results}
        return self._last[0] not in ids and not self._is_tie(page)

    def _is_tie(self, page: Page) -> bool:
        """A full page of rows with the last createdAt: the last row may stand on the next page."""
        last = self._last
        return (
            last is not None
            and len(page.results) >= self._capacity
            and all(_created_at(result) == last[1] for result in page.results)
        )

    def _ask_again(self) -> Page:
        page = self._ask(1)
        if self._is_suspect(page) and self._last is not None:
            try:
                self.lookup(self._last[0])
            except Gone:
                return page
            if not page.results:
                # It exists, but the listing does not show it: the listing cannot be read to its end now.
                raise Unavailable("GET", "listing", None, kind="bad_body")
        return page

    def _unseen(self, page: Page) -> Step:
        places = []
        for place, result in enumerate(page.results):
            if (key := _key(result)) not in self._seen:
                self._seen[key] = _created_at(result)
                places.append(place)
        times = [moment for result in page.results if (moment := _created_at(result)) is not None]
        return Step(
            results=[page.results[place] for place in places],
            text_replaced=[place in page.text_replaced for place in places],
            broken=page.broken,
            page=page,
            reached_at=max(times, default=None),
        )

    def _move(self, page: Page) -> bool:
        """Go to the last createdAt of the page; forget ids that can no longer come again."""
        dated = [
            (moment, remote_id)
            for result in page.results
            if (moment := _created_at(result)) is not None and isinstance(remote_id := result.get("id"), str)
        ]
        if not dated:
            return False
        moment, remote_id = max(dated)
        moved = self._last is None or moment > self._last[1]
        if moved:
            self._last = (remote_id, moment)
            self._seen = {key: seen for key, seen in self._seen.items() if seen is None or seen >= moment}
        return moved


def _key(result: JsonObject) -> str:
    """Return the id, or, for a record that has none, its whole content."""
    remote_id = result.get("id")
    return remote_id if isinstance(remote_id, str) else dump_payload(result)


def _created_at(result: JsonObject) -> datetime | None:
    return parse_time(result.get("createdAt"))
