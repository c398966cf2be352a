"""A walk: every row of a listing, by createdAt ascending, though rows come, change and go while it is read.

It never turns pages by number but asks again from the last createdAt seen, inclusive, and skips what it saw. Only
rows that share one createdAt are paged, by the listing's own cursor where it names one, else by number, again and
again until a pass over them by number brings none unseen, because a deletion among them hides others. What a listing
says about itself (a short page, hasNextPage, totalItems, nextCursor) proves nothing: the walk ends when a request
from the last createdAt brings no unseen id. A row that no answer can hold is passed over and told of.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial

from sessions_app.mirror.pages import (
    Dated,
    ListingUnreadable,
    created_at,
    first_dated,
    key_of,
    key_of_broken,
    last_dated,
    moments,
    refuse_backwards,
    told_at,
)
from sessions_app.mirror.patience import TRIES, must_wait_long, patiently
from sessions_app.mirror.unreadable import Around, Gap, KnownBetween, Lookup, look_around, nothing_known
from sessions_app.vapi.answers import BrokenResult, Page, UnreadableResult
from sessions_app.vapi.client import Listing
from sessions_app.vapi.errors import Gone, Refused, Unavailable
from sessions_app.vapi.json import JsonObject

MAX_LIMIT = 1000
# An answer above this is asked for in smaller portions from then on.
MOST_BYTES = 32_000_000
# Rows that share one createdAt and fill more pages than this: a listing that never ends.
MOST_TIE_PAGES = 1000
# So many rows in a row that cannot be had are no rows' fault: Vapi is away.
_MOST_UNREADABLE_IN_A_ROW = 3
# After a failure one row at a time is asked for, with fewer tries, until an answer holds as many as this.
_WELL_AGAIN = 100
_CAREFUL_TRIES = 2

ListPage = Callable[[Listing], Page]


def first_of(list_page: ListPage, listing: Listing) -> tuple[Page, bool]:
    """Return the first row of a listing as a page of its own, and whether it is surely that one.

    Where it cannot be had it is the next one that can: what the page says of the whole listing holds as well. Raises
    Unavailable where that is no single row's fault.
    """
    question = replace(listing, limit=1)
    try:
        return patiently(partial(list_page, question)), True
    except Unavailable as problem:
        if problem.kind == "rate_limited" or must_wait_long(problem):
            raise
        return _first_readable(lambda number: list_page(replace(question, page=number)), 2, problem)[1], False


def _first_readable(ask: Callable[[int], Page], number: int, problem: Unavailable) -> tuple[int, Page]:
    """Ask for pages of one row from this number on. Raises the problem where so many cannot be had either."""
    for later in range(number, number + _MOST_UNREADABLE_IN_A_ROW):
        try:
            return later, ask(later)
        except Unavailable:
            continue
    raise problem


@dataclass(frozen=True)
class Step:
    """The unseen rows of one answer, and the createdAt from which the walk can go on after them."""

    results: list[JsonObject]
    text_replaced: list[bool]
    broken: list[BrokenResult | UnreadableResult]
    page: Page
    reached_at: datetime | None


@dataclass
class _Pass:
    """One pass over the rows that share a createdAt: where it is, and whether a later page brought unseen ones."""

    number: int = 1
    # Goes on after the page before, in place of the number.
    cursor: str = ""
    rows: int = 0
    found_late: bool = False
    previous: list[str] = field(default_factory=list)
    # The last row of the page before.
    before: Dated | None = None

    def turn_to(self, cursor: str) -> None:
        self.number += 1
        self.cursor = cursor


@dataclass
class Walk:
    """One walk over the rows that `listing` selects. `lookup` asks for one id, and raises Gone."""

    list_page: ListPage
    listing: Listing
    lookup: Lookup
    known_between: KnownBetween = nothing_known
    limit: int = field(default_factory=lambda: MAX_LIMIT)
    # Vapi's own time at the first answer, where it was told.
    began_at: datetime | None = None
    _began: bool = False
    _seen: dict[str, datetime | None] = field(default_factory=dict)
    _last: Dated | None = None
    _capacity: int = 1
    # Within a tie the page number counts pages of one size only.
    _asked_limit: int = 0
    _is_careful: bool = False
    # Cursors are followed until one was refused, came twice, or led nowhere.
    _follows_cursors: bool = True
    _cursors: set[str] = field(default_factory=set)
    _cursor_tie: Dated | None = None

    def steps(self) -> Iterator[Step]:
        """Yield the unseen rows, answer by answer. Raises VapiError."""
        tie = _Pass()
        while True:
            try:
                page = self._ask(tie)
            except Unavailable as problem:
                passed = self._after_failure(tie, problem)
                if passed is None:
                    tie = _Pass()
                elif passed.results or passed.broken:
                    yield passed
                continue
            if page is None:
                tie = _Pass()
                continue
            step = self._unseen(page, tie)
            if step.results or step.broken:
                yield step
            if tie.number == 1 and self._move(page):
                tie = _Pass()
            elif not self._ends(tie, page, step):
                tie.turn_to(self._cursor_after(tie, page))
            elif tie.found_late or self._move(page):
                tie = _Pass()
            else:
                return

    # Asking ----------------------------------------------------------------------------------------

    def _ask(self, tie: _Pass) -> Page | None:
        """Ask for a page, smaller ones after a failure that a smaller answer may avoid; look twice at a suspect one.

        None where a cursor leads nowhere: the rows that share the createdAt are paged by number then.
        """
        if tie.cursor:
            return self._follow(tie)
        page = self._patiently(tie.number)
        if page.bytes > MOST_BYTES:
            self.limit = max(1, self._asked_limit // 2)
        if len(page.results) >= _WELL_AGAIN:
            self._is_careful = False
        if not self._began:
            self._began, self.began_at = True, told_at(page)
        return self._ask_again(page) if tie.number == 1 and self._is_suspect(page) else page

    def _patiently(self, number: int) -> Page:
        return patiently(
            lambda: self.list_page(self._question(number)),
            after_failure=partial(self._shrink, number),
            tries=_CAREFUL_TRIES if self._is_careful else TRIES,
        )

    def _question(self, number: int) -> Listing:
        if number == 1:
            self._asked_limit = self.limit
        start = self._last[1] if self._last else self.listing.created_at_ge
        return replace(self.listing, created_at_ge=start, page=number, limit=self._asked_limit)

    def _shrink(self, number: int, problem: Unavailable) -> None:
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
            and len(page.results) >= min(self._capacity, self._asked_limit)
            and all(created_at(result) == last[1] for result in page.results)
        )

    def _ask_again(self, suspect: Page) -> Page:
        page = self._patiently(1)
        if self._last is None or not self._is_suspect(page):
            return page
        try:
            patiently(partial(self.lookup, self._last[0]))
        except Gone:
            return page
        if not page.results:
            # It exists, but the listing does not show it: the listing cannot be read to its end now.
            raise ListingUnreadable
        return page

    # A cursor of the listing's own -----------------------------------------------------------------

    def _cursor_after(self, tie: _Pass, page: Page) -> str:
        """Return the cursor to go on with among rows that share a createdAt; '' where they are paged by number."""
        cursor = page.next_cursor or ""
        if tie.number == 1:
            # Once for each tie: the pass that proves it whole goes by number.
            self._cursors = set() if self._cursor_tie != self._last else {cursor}
            self._cursor_tie = self._last
        elif not tie.cursor:
            return ""
        if not self._follows_cursors or cursor in self._cursors:
            return ""
        self._cursors.add(cursor)
        return cursor

    def _follow(self, tie: _Pass) -> Page | None:
        """Ask for what a cursor points to. It has to move: to rows unseen, and none before the last ones."""
        question = replace(self._question(tie.number), page=1, cursor=tie.cursor)
        page = None
        try:
            page = patiently(lambda: self.list_page(question), tries=_CAREFUL_TRIES)
        except Refused as refusal:
            if refusal.status != 400:
                raise
        except Unavailable as problem:
            if problem.kind == "rate_limited":
                raise
        if page is None or not self._moves(page):
            self._follows_cursors = False
            return None
        # Whatever it brought, a pass by number looks whether it left something out.
        tie.found_late = True
        return page

    def _moves(self, page: Page) -> bool:
        start = self._last[1] if self._last else None
        is_behind = start is not None and any(moment < start for moment in moments(page))
        return not is_behind and any(key_of(result) not in self._seen for result in page.results)

    # Rows that cannot be had -----------------------------------------------------------------------

    def _after_failure(self, tie: _Pass, problem: Unavailable) -> Step | None:
        """A page could not be had. None: begin anew with one row at a time; a step: go on after a row passed over.

        Raises the problem where it is no single row's fault.
        """
        if problem.kind == "rate_limited" or isinstance(problem, ListingUnreadable):
            raise problem
        if self._asked_limit > 1:
            self.limit, self._is_careful = 1, True
            return None
        return self._pass_over(tie, problem)

    def _pass_over(self, tie: _Pass, problem: Unavailable) -> Step:
        """A row cannot be had, where one after it can: find out which one it is, and go on after it."""
        number, page = _first_readable(
            lambda later: self.list_page(self._question(later)), tie.number + 1, problem
        )
        nothing = self._passed(page, Around())
        if self._can_be_had(lambda: self.list_page(self._question(tie.number))):
            return nothing
        gap = Gap(tie.before or self._last, first_dated(page), number - tie.number)
        # Where the first row fails, it may be the one that was the last before.
        known = [gap.after[0]] if gap.after and tie.number == 1 else []
        tie.number, key = number, f"unreadable {gap.key}"
        if key in self._seen:
            return nothing
        self._seen[key] = None
        known += [each for each in self.known_between(gap.starts_at, gap.ends_at) if each not in self._seen]
        around = look_around(gap, known, self._can_be_listed, self.lookup, problem)
        self._seen.update((key_of(fetched.payload), gap.starts_at) for fetched in around.fetched)
        return self._passed(page, around)

    def _can_be_listed(self, ids: Sequence[str]) -> bool:
        question = replace(self.listing, id_any=tuple(ids), limit=len(ids))
        return self._can_be_had(lambda: self.list_page(question))

    @staticmethod
    def _can_be_had(ask: Callable[[], Page]) -> bool:
        try:
            ask()
        except Unavailable:
            return False
        return True

    def _passed(self, page: Page, around: Around) -> Step:
        return Step(
            results=[fetched.payload for fetched in around.fetched],
            text_replaced=[fetched.text_replaced for fetched in around.fetched],
            broken=list(around.unreadable),
            page=page,
            reached_at=self._last[1] if self._last else None,
        )

    # Moving on -------------------------------------------------------------------------------------

    def _unseen(self, page: Page, tie: _Pass) -> Step:
        """Sort out what this walk has seen already, and remember the rest."""
        refuse_backwards(page)
        self._capacity = max(self._capacity, len(page.results))
        tie.rows += len(page.results) + len(page.broken)
        tie.before = last_dated(page) or tie.before
        places = []
        for place, result in enumerate(page.results):
            if (key := key_of(result)) not in self._seen:
                self._seen[key] = at = created_at(result)
                places.append(place)
                tie.found_late |= tie.number > 1 and (at is None or self._last is None or at <= self._last[1])
        broken = [entry for entry in page.broken if key_of_broken(entry) not in self._seen]
        self._seen.update((key_of_broken(entry), None) for entry in broken)
        last = last_dated(page) if tie.number == 1 else self._last
        return Step(
            results=[page.results[place] for place in places],
            text_replaced=[place in page.text_replaced for place in places],
            broken=list(broken),
            page=page,
            reached_at=last[1] if last else None,
        )

    def _ends(self, tie: _Pass, page: Page, step: Step) -> bool:
        """Say whether this page is the last one of the rows that share the last createdAt."""
        if not page.results and not page.broken:
            return True
        last = last_dated(page)
        if last and (self._last is None or last[1] > self._last[1]):
            return True
        ids = [key_of(result) for result in page.results]
        is_full = len(page.results) >= min(self._capacity, self._asked_limit)
        repeated, tie.previous = ids == tie.previous, ids
        if tie.number >= MOST_TIE_PAGES or (repeated and is_full and tie.number > 1):
            raise ListingUnreadable
        # What a listing says of itself may ask for one more look, never spare one: a cap that began meanwhile looks
        # like a short page.
        says_more = page.has_next_page or page.next_cursor is not None
        may_hide_more = is_full or says_more or page.total_items is None or page.total_items > tie.rows
        return repeated or not (step.results or step.broken or may_hide_more)

    def _move(self, page: Page) -> bool:
        """Go to the last createdAt of the page; forget ids that can no longer come again."""
        last = last_dated(page)
        if last is None or (self._last is not None and last[1] <= self._last[1]):
            return False
        self._last = last
        self._seen = {key: at for key, at in self._seen.items() if at is None or at >= last[1]}
        if page.bytes <= MOST_BYTES // 2:
            self.limit = min(MAX_LIMIT, self.limit * 2)
        return True
