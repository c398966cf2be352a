"""Listings by arithmetic give what sorting and filtering everything would give."""

import json
import random
from typing import Any

import pytest

from sessions_app.sandbox.clock import HOUR, SECOND, parse_us, write_us
from sessions_app.sandbox.listing import FOREVER, Listing, Span
from sessions_app.sandbox.organizations import Organization
from sessions_app.sandbox.store import Stream
from tests.sandbox.test_rows import organization

Row = dict[str, Any]


def listed(stream: Stream, listing: Listing) -> tuple[list[Row], int]:
    rows, total = stream.page(listing)
    return [json.loads(row) for row in rows], total


def everything(stream: Stream) -> list[Row]:
    return listed(stream, Listing(limit=100_000, descending=False))[0]


def us(row: Row, name: str) -> int:
    moment = parse_us(row[name])
    assert moment is not None
    return moment


def slow(rows: list[Row], listing: Listing) -> list[Row]:
    found = [
        row
        for row in rows
        if us(row, "createdAt") in listing.created
        and us(row, "updatedAt") in listing.updated
        and all(row.get(name) in values for name, values in listing.filters)
        and (listing.ids is None or row["id"] in listing.ids)
    ]
    return list(reversed(found)) if listing.descending else found


def disturbed(seed: int, kind: str) -> tuple[Organization, Stream]:
    """An organization in which rows were changed, deleted and created, some at the same moment."""
    of, chance = organization(60), random.Random(seed)
    stream = of.stream(kind)
    ids = [row["id"] for row in everything(stream)]
    for id_ in chance.sample(ids, 12):
        stream.update(id_, {"name": "changed"}, touch=chance.random() < 0.7)
    for id_ in chance.sample(ids, 8):
        stream.delete(id_)
    for _ in range(8):
        moment = stream.rows.created_us(chance.randrange(stream.rows.size)) + chance.choice((0, 0, 1000, 123))
        of.new_row(stream, {"name": "new", "createdAt": write_us(moment), "updatedAt": write_us(moment)})
    for id_ in chance.sample(ids, 3):
        stream.update(id_, {"createdAt": "2026-01-15T00:00:00.000Z"})
    return of, stream


def some_listing(chance: random.Random, rows: list[Row]) -> Listing:
    def span(name: str) -> Span:
        first, last = us(chance.choice(rows), name), us(chance.choice(rows), name)
        choices = (Span(), Span(first), Span(first, last), Span(end=last), Span(first - HOUR, first + SECOND))
        return chance.choice(choices)

    row = chance.choice(rows)
    filters = chance.choice(((), (), (("assistantId", frozenset([row.get("assistantId", "")])),)))
    ids = None if chance.random() < 0.8 else frozenset([row["id"], rows[0]["id"], "nobody"])
    return Listing(
        filters, ids, span("createdAt"), span("updatedAt"), chance.randint(1, 4), chance.choice((1, 7, 100)),
        "createdAt", chance.random() < 0.5,
    )  # fmt: skip


@pytest.mark.parametrize("kind", ["session", "chat"])
@pytest.mark.parametrize("seed", range(6))
def test_listings_equal_sorting_and_filtering_everything(seed: int, kind: str) -> None:
    _, stream = disturbed(seed, kind)
    rows = everything(stream)
    assert [us(row, "createdAt") for row in rows] == sorted(us(row, "createdAt") for row in rows)
    assert len({row["id"] for row in rows}) == len(rows)
    chance = random.Random(seed)
    for _ in range(60):
        listing = some_listing(chance, rows)
        wanted = slow(rows, listing)
        first = (listing.page - 1) * listing.limit
        found, total = listed(stream, listing)
        assert total == len(wanted), listing
        assert [r["id"] for r in found] == [r["id"] for r in wanted[first : first + listing.limit]], listing


def test_pages_neither_repeat_nor_lose_rows_of_one_moment() -> None:
    of = organization(10)
    for number in range(25):
        of.new_row(of.sessions, {"name": str(number), "createdAt": "2026-01-20T00:00:00.000Z"})
    pages = [listed(of.sessions, Listing(page=page, limit=4))[0] for page in range(1, 11)]
    ids = [row["id"] for page in pages for row in page]
    assert len(ids) == len(set(ids)) == 35


@pytest.mark.parametrize("field", ["number", "email", "externalId", "sipUri", "assistantId", "squadId"])
def test_filters_find_seeded_and_changed_rows(field: str) -> None:
    of = organization(120)

    def value(row: Row) -> str | None:
        found = row.get(field, row.get("customer", {}).get(field))
        return None if found is None else str(found)

    rows = everything(of.sessions)
    wanted = next(value(row) for row in rows if value(row))
    assert wanted is not None
    of.sessions.update(next(row["id"] for row in rows if value(row) == wanted), {"name": "changed"})
    found, total = listed(of.sessions, Listing(((field, frozenset([wanted])),), descending=False))
    assert [r["id"] for r in found] == [r["id"] for r in everything(of.sessions) if value(r) == wanted]
    assert total == len(found)


def test_chats_of_a_session_are_found_without_a_scan() -> None:
    of = organization(200_000)
    chats = of.chats.rows
    session = json.loads(chats.render(150_001)).get("sessionId")
    found, _ = listed(of.chats, Listing((("sessionId", frozenset([session])),)))
    assert {row["sessionId"] for row in found} == {session}
    assert chats.id_of(150_001) in {row["id"] for row in found}


def test_sorting_by_cost() -> None:
    costs = [row.get("cost", 0) for row in listed(organization().sessions, Listing(sort_by="cost"))[0]]
    assert costs == sorted(costs, reverse=True)


def test_beyond_every_bound_there_is_nothing() -> None:
    stream = organization().sessions
    assert listed(stream, Listing(created=Span(FOREVER - 1)))[1] == 0
    assert listed(stream, Listing(created=Span(end=-FOREVER + 1)))[1] == 0
    assert listed(stream, Listing(page=9999)) == ([], 40)
    assert listed(stream, Listing(limit=0)) == ([], 40)
