"""A walk over a shelf of rows that behaves as badly as a listing can: nothing is lost, nothing comes twice."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sessions_app.mirror import walk
from sessions_app.mirror.walk import Step, Walk
from sessions_app.vapi.answers import BrokenResult, Fetched, Page
from sessions_app.vapi.client import Listing
from sessions_app.vapi.errors import Gone, Refused, Unavailable

NOON = datetime(2026, 1, 10, 12, tzinfo=UTC)
Row = dict[str, Any]


@dataclass
class Shelf:
    """Answers a listing from memory. `before` is called with the number of each request."""

    rows: list[Row]
    cap: int = 1000
    before: Callable[[int], None] | None = None
    ignores: tuple[str, ...] = ()
    asked: list[Listing] = field(default_factory=list)
    broken: list[BrokenResult] = field(default_factory=list)
    # Answers that would hold one of these fail; `lost` ones cannot be had by id either.
    poison: set[str] = field(default_factory=set)
    lost: set[str] = field(default_factory=set)
    # Says what the page names as its cursor, and may change the page.
    cursor: Callable[[Listing, list[Row]], str | None] = lambda listing, results: None
    known: list[str] = field(default_factory=list)

    def list_page(self, listing: Listing) -> Page:
        self.asked.append(listing)
        if self.before:
            self.before(len(self.asked))
        start = listing.created_at_ge
        found = [
            row for row in self.rows if start is None or not row.get("createdAt") or moment(row) >= start
        ]
        found.sort(key=lambda row: row.get("createdAt", ""), reverse="sort_order" in self.ignores)
        size = min(listing.limit, self.cap)
        first = 0 if "page" in self.ignores else (listing.page - 1) * size
        if listing.cursor:
            first = next((place for place, row in enumerate(found) if row["id"] == listing.cursor), -1) + 1
        if listing.id_any:
            found = [row for row in self.rows if row.get("id") in listing.id_any]
        results = found[first : first + size]
        if self.poison & {str(row.get("id")) for row in results}:
            raise Unavailable("GET", "/session", 500, kind="server")
        following = self.cursor(listing, results)
        broken = self.broken if first == 0 else []
        return Page(
            results, None, None, None, None, NOON, 100 * len(results), frozenset(), broken, following
        )  # fmt: skip

    def lookup(self, remote_id: str) -> Fetched:
        if remote_id in self.lost:
            raise Unavailable("GET", "/session/{id}", 500, kind="server")
        found = next((row for row in self.rows if row.get("id") == remote_id), None)
        if found is None:
            raise Gone("GET", "/session/{id}", 404)
        return Fetched(found, None, NOON, False)

    def steps(self) -> Iterator[Step]:
        return Walk(self.list_page, Listing(), self.lookup, lambda start, end: self.known).steps()

    def walk(self) -> list[str]:
        return [str(result.get("id")) for step in self.steps() for result in step.results]

    def unreadable(self) -> list[tuple[str, str]]:
        return [(entry.remote_id, entry.reason) for step in self.steps() for entry in step.broken]


def moment(row: Row) -> datetime:
    return datetime.fromisoformat(row["createdAt"])


def rows(count: int, *, minutes: int = 1, prefix: str = "r", start: datetime = NOON) -> list[Row]:
    return [
        {"id": f"{prefix}{place:04}", "createdAt": (start + timedelta(minutes=place * minutes)).isoformat()}
        for place in range(count)
    ]


def ids(found: list[Row]) -> list[str]:
    return [str(row.get("id")) for row in found]


@pytest.fixture(autouse=True)
def small_pages_and_no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walk, "MAX_LIMIT", 8)
    monkeypatch.setattr(time, "sleep", lambda _: None)


def test_every_row_comes_once() -> None:
    tie = rows(30, minutes=0, prefix="tie", start=NOON + timedelta(hours=1))
    shelf = Shelf([*rows(30), *tie, *rows(3, prefix="z", start=NOON + timedelta(days=1))])
    assert sorted(shelf.walk()) == sorted(ids(shelf.rows))


def test_a_tie_is_read_whole_though_the_page_size_grows_back() -> None:
    shelf = Shelf(rows(40, minutes=0))

    def fail_twice(request: int) -> None:
        if request <= 2:
            raise Unavailable("GET", "/session", 500, kind="server")

    shelf.before = fail_twice
    assert sorted(shelf.walk()) == ids(shelf.rows)


@pytest.mark.parametrize("request_number", range(2, 8))
def test_a_deletion_in_a_tie_hides_no_other_row(request_number: int) -> None:
    shelf = Shelf([*rows(20, minutes=0), *rows(5, prefix="z", start=NOON + timedelta(days=1))])

    def delete(request: int) -> None:
        if request == request_number:
            shelf.rows = shelf.rows[3:]

    shelf.before = delete
    assert set(ids(shelf.rows)) - set(shelf.walk()) == set()


@pytest.mark.parametrize("request_number", range(2, 8))
def test_a_silent_cap_that_begins_half_way_ends_no_walk(request_number: int) -> None:
    shelf = Shelf([*rows(6), *rows(30, minutes=0, prefix="tie", start=NOON + timedelta(hours=1))])

    def cap(request: int) -> None:
        if request == request_number:
            shelf.cap = 3

    shelf.before = cap
    assert sorted(shelf.walk()) == sorted(ids(shelf.rows))


def test_a_page_of_a_tie_that_cannot_be_had_is_asked_for_in_smaller_ones() -> None:
    shelf = Shelf(rows(30, minutes=0))

    def refuse_large(request: int) -> None:
        if shelf.asked[-1].page > 1 and shelf.asked[-1].limit > 2:
            raise Unavailable("GET", "/session", None, kind="timeout")

    shelf.before = refuse_large
    assert sorted(shelf.walk()) == ids(shelf.rows)


def test_a_later_page_that_never_comes_ends_the_walk_as_unavailable() -> None:
    shelf = Shelf(rows(30, minutes=0))

    def refuse(request: int) -> None:
        if shelf.asked[-1].page > 1:
            raise Unavailable("GET", "/session", None, kind="timeout")

    shelf.before = refuse
    with pytest.raises(Unavailable):
        shelf.walk()


def test_a_listing_in_the_wrong_order_is_not_taken_for_a_short_one() -> None:
    with pytest.raises(Unavailable):
        Shelf(rows(30), ignores=("sort_order",)).walk()


def test_a_listing_that_ignores_page_numbers_ends() -> None:
    assert Shelf(rows(20), ignores=("page",)).walk() == ids(rows(20))
    with pytest.raises(Unavailable):
        Shelf(rows(20, minutes=0), ignores=("page",)).walk()


def test_a_row_whose_time_is_of_the_future_hides_no_other() -> None:
    shelf = Shelf(rows(20))
    shelf.rows[4]["createdAt"] = "2199-01-01T00:00:00+00:00"
    original = shelf.list_page

    def in_the_servers_own_order(listing: Listing) -> Page:
        page = original(listing)
        page.results.sort(key=lambda row: str(row["id"]))
        return page

    found = Walk(in_the_servers_own_order, Listing(), shelf.lookup).steps()
    assert {row["id"] for step in found for row in step.results} == set(ids(shelf.rows))


def test_rows_without_a_time_or_an_id_come_along() -> None:
    odd: list[Row] = [{"id": f"undated{place}"} for place in range(20)]
    shelf = Shelf([*odd, {"createdAt": NOON.isoformat(), "name": "no id"}, *rows(10)])
    assert sorted(shelf.walk()) == sorted(ids(shelf.rows))


def test_what_is_no_object_is_told_once() -> None:
    shelf = Shelf(rows(20), broken=[BrokenResult(0, "null", 4, "abc")])
    steps = list(Walk(shelf.list_page, Listing(), shelf.lookup).steps())
    [entry] = [entry for step in steps for entry in step.broken]
    assert entry.reason.startswith("no object but null")


def test_an_answer_without_the_last_row_is_looked_at_again() -> None:
    shelf = Shelf(rows(20))

    def hide(request: int) -> None:
        shelf.cap = 0 if request == 2 else 1000

    shelf.before = hide
    assert sorted(shelf.walk()) == ids(shelf.rows)


def test_a_listing_that_hides_what_exists_ends_the_walk_as_unavailable() -> None:
    shelf = Shelf(rows(20))

    def hide(request: int) -> None:
        shelf.cap = 0 if request >= 2 else 1000

    shelf.before = hide
    with pytest.raises(Unavailable):
        shelf.walk()


def test_a_huge_answer_makes_the_next_ones_smaller(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walk, "MOST_BYTES", 500)
    shelf = Shelf(rows(40))

    assert shelf.walk() == ids(shelf.rows)
    assert min(listing.limit for listing in shelf.asked) == 4


PLACES = [0, 1, 7, 8, 9, 19]


@pytest.mark.parametrize("place", PLACES)
def test_a_row_that_no_answer_can_hold_is_passed_over(place: int) -> None:
    shelf = Shelf(rows(20), poison={f"r{place:04}"}, lost={f"r{place:04}"})

    assert set(shelf.walk()) == set(ids(shelf.rows)) - shelf.poison
    [(remote_id, reason)] = shelf.unreadable()
    assert remote_id == ""
    assert reason.startswith("cannot be had (server, 500): createdAt")


@pytest.mark.parametrize("place", PLACES)
def test_its_id_is_learnt_where_it_is_one_of_ours(place: int) -> None:
    shelf = Shelf(rows(20), poison={f"r{place:04}"}, lost={f"r{place:04}"})
    shelf.known = ids(shelf.rows)

    assert shelf.unreadable() == [(f"r{place:04}", "cannot be had (server, 500)")]
    assert len(shelf.walk()) == 19


def test_what_can_be_had_by_id_alone_is_had() -> None:
    shelf = Shelf(rows(20), poison={"r0005"}, known=ids(rows(20)))

    assert sorted(shelf.walk()) == ids(shelf.rows)
    assert shelf.unreadable() == []


@pytest.mark.parametrize("place", [0, 4, 11, 23])
def test_in_a_tie_too(place: int) -> None:
    tie = rows(24, minutes=0, prefix="tie", start=NOON + timedelta(hours=1))
    bad = f"tie{place:04}"
    shelf = Shelf([*rows(5), *tie, *rows(3, prefix="z", start=NOON + timedelta(days=1))], poison={bad})
    shelf.lost = {bad}

    found = shelf.walk()
    assert sorted(found) == sorted(set(ids(shelf.rows)) - {bad})
    assert len(shelf.unreadable()) == 1


def test_two_beside_each_other_are_two() -> None:
    shelf = Shelf(rows(20), poison={"r0005", "r0006"}, lost={"r0005", "r0006"})

    assert len(shelf.walk()) == 18
    reasons = {reason for _, reason in shelf.unreadable()}
    assert len(reasons) == 2


def test_where_everything_fails_no_row_is_blamed() -> None:
    shelf = Shelf(rows(20))

    def fail(request: int) -> None:
        if request > 3:
            raise Unavailable("GET", "/session", 503, kind="server")

    shelf.before = fail
    seen = []
    with pytest.raises(Unavailable):
        seen += [step.broken for step in shelf.steps()]
    assert not any(seen)


def keyset_cursor(listing: Listing, results: list[Row]) -> str | None:
    return str(results[-1]["id"]) if len(results) == listing.limit else None


def test_a_tie_is_paged_by_the_listings_own_cursor_and_proven_by_number() -> None:
    tie = rows(40, minutes=0, prefix="tie", start=NOON + timedelta(hours=1))
    shelf = Shelf(
        [*rows(5), *tie, *rows(3, prefix="z", start=NOON + timedelta(days=1))], cursor=keyset_cursor
    )

    assert sorted(shelf.walk()) == sorted(ids(shelf.rows))
    followed = [listing.cursor for listing in shelf.asked if listing.cursor]
    assert len(followed) == len(set(followed)) >= 4
    assert max(listing.page for listing in shelf.asked) >= 5


@pytest.mark.parametrize(
    "cursor",
    [
        pytest.param(lambda listing, results: "r0000", id="names the beginning for ever"),
        pytest.param(lambda listing, results: f"new {random.random()}", id="another one for ever"),
        pytest.param(lambda listing, results: listing.cursor or "tie0007", id="names itself"),
        pytest.param(lambda listing, results: "tie0030", id="leaves rows out"),
    ],
)
def test_a_cursor_that_goes_wrong_costs_no_row_and_ends(
    cursor: Callable[[Listing, list[Row]], str | None],
) -> None:
    tie = rows(40, minutes=0, prefix="tie", start=NOON + timedelta(hours=1))
    shelf = Shelf([*rows(5), *tie, *rows(30, prefix="z", start=NOON + timedelta(days=1))], cursor=cursor)

    assert sorted(shelf.walk()) == sorted(ids(shelf.rows))
    assert len(shelf.asked) < 80


def test_a_cursor_that_is_refused_is_not_sent_again() -> None:
    shelf = Shelf(rows(40, minutes=0), cursor=keyset_cursor)
    original = shelf.list_page

    def refuse(listing: Listing) -> Page:
        if listing.cursor:
            shelf.asked.append(listing)
            raise Refused("GET", "/session", 400, ("property cursor should not exist",))
        return original(listing)

    found = [row["id"] for step in Walk(refuse, Listing(), shelf.lookup).steps() for row in step.results]
    assert sorted(found) == ids(shelf.rows)
    assert sum(1 for listing in shelf.asked if listing.cursor) == 1


def test_a_wait_of_more_than_a_minute_is_not_slept_through(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    shelf = Shelf(rows(5))

    def refuse(request: int) -> None:
        raise Unavailable(
            "GET", "/session", 429, kind="rate_limited", retry_after=3600 if request > 1 else 59
        )

    shelf.before = refuse
    with pytest.raises(Unavailable):
        shelf.walk()
    assert slept == [59]
