"""A walk: every row of a listing, by createdAt ascending, though rows come, change and go while it is read.

It never turns pages by number but asks again from the last createdAt seen, inclusive, and skips what it saw. Only
rows that share one createdAt are paged by number, again and again until a pass over them brings none unseen, because
a deletion among them hides others. What a listing says about itself (a short page, hasNextPage, totalItems) proves
nothing: the walk ends when a request from the last createdAt brings no unseen id.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from itertools import pairwise

from sessions_app.mirror.patience import patiently
from sessions_app.vapi.answers import BrokenResult, Page
from sessions_app.vapi.client import Listing
from sessions_app.vapi.errors import Gone, Unavailable
from sessions_app.vapi.json import JsonObject, dump_payload
from sessions_app.vapi.times import parse_time

MAX_LIMIT = 1000
# An answer above this is asked for in smaller portions from then on.
MOST_BYTES = 32_000_000
# Rows that share one createdAt and fill more pages than this: a listing that never ends.
MOST_TIE_PAGES = 1000

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
class _Pass:
    """One pass over the rows that share a createdAt: where it is, and whether a later page brought unseen ones."""

    number: int = 1
    rows: int = 0
    found_late: bool = False
    previous: list[str] = field(default_factory=list)


@dataclass
class Walk:
    """One walk over the rows that `listing` selects. `lookup` asks for one id, and raises Gone."""

    list_page: ListPage
    listing: Listing
    lookup: Lookup
    limit: int = field(default_factory=lambda: MAX_LIMIT)
    # Vapi's own time at the first answer, where it was told.
    began_at: datetime | None = None
    _began: bool = False
    _seen: dict[str, datetime | None] = field(default_factory=dict)
    _last: tuple[str, datetime] | None = None
    _capacity: int = 1
    # Within a tie the page number counts pages of one size only.
    _asked_limit: int = 0

    def steps(self) -> Iterator[Step]:
        """Yield the unseen rows, answer by answer. Raises VapiError."""
        tie = _Pass()
        while True:
            try:
                page = self._ask(tie.number)
            except Unavailable as problem:
                self._restart_smaller(tie, problem)
                tie = _Pass()
                continue
            step = self._unseen(page, tie)
            if step.results or step.broken:
                yield step
            if tie.number == 1 and self._move(page):
                continue
            if not self._ends(tie, page, step):
                tie.number += 1
            elif tie.found_late or self._move(page):
                tie = _Pass()
            else:
                return

    def _ask(self, number: int) -> Page:
        """Ask for a page, smaller ones after a failure that a smaller answer may avoid; look twice at a suspect one."""
        page = patiently(
            lambda: self.list_page(self._question(number)), after_failure=partial(self._shrink, number)
        )
        if page.bytes > MOST_BYTES:
            self.limit = max(1, self._asked_limit // 2)
        if not self._began:
            self._began, self.began_at = True, page.date
        return self._ask_again(page) if number == 1 and self._is_suspect(page) else page

    def _question(self, number: int) -> Listing:
        if number == 1:
            self._asked_limit = self.limit
        start = self._last[1] if self._last else self.listing.created_at_ge
        return replace(self.listing, created_at_ge=start, page=number, limit=self._asked_limit)

    def _shrink(self, number: int, problem: Unavailable) -> None:
        if problem.kind != "rate_limited" and number == 1:
            self.limit = max(1, self.limit // 2)

    def _restart_smaller(self, tie: _Pass, problem: Unavailable) -> None:
        """A later page of a tie could not be had: begin the tie anew with smaller pages, or give up."""
        if tie.number == 1 or self._asked_limit == 1 or problem.kind == "rate_limited":
            raise problem
        self.limit = self._asked_limit // 2

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
            and len(page.results) >= min(self._capacity, self._asked_limit)
            and all(_created_at(result) == last[1] for result in page.results)
        )

    def _ask_again(self, suspect: Page) -> Page:
        page = patiently(lambda: self.list_page(self._question(1)), after_failure=partial(self._shrink, 1))
        if self._last is None or not self._is_suspect(page):
            return page
        try:
            patiently(partial(self.lookup, self._last[0]))
        except Gone:
            return page
        if not page.results:
            # It exists, but the listing does not show it: the listing cannot be read to its end now.
            raise _unreadable()
        return page

    def _unseen(self, page: Page, tie: _Pass) -> Step:
        """Sort out what this walk has seen already, and remember the rest."""
        _refuse_backwards(page)
        self._capacity = max(self._capacity, len(page.results))
        tie.rows += len(page.results) + len(page.broken)
        places = []
        for place, result in enumerate(page.results):
            if (key := _key(result)) not in self._seen:
                self._seen[key] = at = _created_at(result)
                places.append(place)
                tie.found_late |= tie.number > 1 and (at is None or self._last is None or at <= self._last[1])
        broken = [entry for entry in page.broken if _key_of_broken(entry) not in self._seen]
        self._seen.update((_key_of_broken(entry), None) for entry in broken)
        last = _last_dated(page) if tie.number == 1 else self._last
        return Step(
            results=[page.results[place] for place in places],
            text_replaced=[place in page.text_replaced for place in places],
            broken=broken,
            page=page,
            reached_at=last[1] if last else None,
        )

    def _ends(self, tie: _Pass, page: Page, step: Step) -> bool:
        """Say whether this page is the last one of the rows that share the last createdAt."""
        if not page.results and not page.broken:
            return True
        last = _last_dated(page)
        if last and (self._last is None or last[1] > self._last[1]):
            return True
        ids = [_key(result) for result in page.results]
        is_full = len(page.results) >= min(self._capacity, self._asked_limit)
        repeated, tie.previous = ids == tie.previous, ids
        if tie.number >= MOST_TIE_PAGES or (repeated and is_full and tie.number > 1):
            raise _unreadable()
        # A number may ask for one more look, never spare one: a cap that began meanwhile looks like a short page.
        may_hide_more = (
            is_full or page.has_next_page or page.total_items is None or page.total_items > tie.rows
        )
        return repeated or not (step.results or step.broken or may_hide_more)

    def _move(self, page: Page) -> bool:
        """Go to the last createdAt of the page; forget ids that can no longer come again."""
        last = _last_dated(page)
        if last is None or (self._last is not None and last[1] <= self._last[1]):
            return False
        self._last = last
        self._seen = {key: at for key, at in self._seen.items() if at is None or at >= last[1]}
        if page.bytes <= MOST_BYTES // 2:
            self.limit = min(MAX_LIMIT, self.limit * 2)
        return True


def _unreadable() -> Unavailable:
    return Unavailable("GET", "listing", None, kind="bad_body")


def _refuse_backwards(page: Page) -> None:
    """Raise Unavailable for a page in descending order: walked as if ascending, it would seem to be the last one."""
    times = [moment for result in page.results if (moment := _created_at(result)) is not None]
    falls = sum(later < earlier for earlier, later in pairwise(times))
    if falls * 2 > len(times):
        raise _unreadable()


def _last_dated(page: Page) -> tuple[str, datetime] | None:
    """Return id and createdAt of the page's last row that has both. Not the greatest: a wrong one would hide rows."""
    for result in reversed(page.results):
        remote_id, moment = result.get("id"), _created_at(result)
        if isinstance(remote_id, str) and moment is not None:
            return remote_id, moment
    return None


def _key(result: JsonObject) -> str:
    """Return the id, or, for a record that has none, its whole content."""
    remote_id = result.get("id")
    return remote_id if isinstance(remote_id, str) else dump_payload(result)


def _key_of_broken(entry: BrokenResult) -> str:
    return f"{entry.type} {entry.length} {entry.sha256}"


def _created_at(result: JsonObject) -> datetime | None:
    return parse_time(result.get("createdAt"))
