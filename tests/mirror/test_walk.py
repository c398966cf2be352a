"""A walk over a shelf of rows that behaves as badly as a listing can: nothing is lost, nothing comes twice."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sessions_app.mirror import walk
from sessions_app.mirror.walk import Walk
from sessions_app.vapi.answers import BrokenResult, Page
from sessions_app.vapi.client import Listing
from sessions_app.vapi.errors import Gone, Unavailable

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
        results = found[first : first + size]
        return Page(
            results, None, None, None, None, NOON, 100 * len(results), frozenset(), self.broken if first == 0 else []
        )  # fmt: skip

    def lookup(self, remote_id: str) -> object:
        if not any(row.get("id") == remote_id for row in self.rows):
            raise Gone("GET", "/session/{id}", 404)
        return remote_id

    def walk(self) -> list[str]:
        steps = Walk(self.list_page, Listing(), self.lookup).steps()
        return [str(result.get("id")) for step in steps for result in step.results]


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
    assert [entry.type for step in steps for entry in step.broken] == ["null"]


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
