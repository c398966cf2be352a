"""What lists do wrong on purpose beside being refused: caps, repeated rows, odd metadata, cursors, unreadable rows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import count
from urllib.parse import parse_qsl, urlencode

from sessions_app.sandbox.clock import parse_us
from sessions_app.sandbox.faults import Fault
from sessions_app.sandbox.listing import Listing, Span
from sessions_app.sandbox.store import Payload, Stream, load_row

_numbers = count(1)
_MOST_TIED = 2000


class Poisoned(Exception):
    """The answer would hold a row that Vapi cannot write."""

    def __init__(self, status: int) -> None:
        self.status = status


@dataclass(frozen=True, slots=True)
class Shape:
    """How lists and rows come out of order. The plain one changes nothing."""

    cap: int = 0
    repeated: int = 0
    metadata: str = ""
    cursor: str = ""
    # id: the status that answers in its place, 0 for a NaN in it.
    poison: tuple[tuple[str, int], ...] = ()

    def split_cursor(self, query: str) -> tuple[str, str]:
        """The query without its cursor, and the cursor; where none is taken it stays, and is refused."""
        if self.cursor in ("", "refused"):
            return query, ""
        given = parse_qsl(query, keep_blank_values=True)
        rest = [(name, value) for name, value in given if name != "cursor"]
        return urlencode(rest), dict(given).get("cursor", "")

    def narrowed(self, listing: Listing) -> Listing:
        return replace(listing, limit=min(listing.limit, self.cap)) if self.cap else listing

    def rows(self, stream: Stream, listing: Listing, cursor: str) -> tuple[list[bytes], int]:
        """The rows of a page, and how many match in all."""
        rows, total = stream.page(listing)
        if cursor and self.cursor != "ignored":
            rows = self._after(stream, listing, cursor)
        if self.repeated and rows:
            before = stream.page(replace(listing, page=listing.page - 1))[0] if listing.page > 1 else []
            rows = [*before[-self.repeated :], *rows, rows[-1]]
        return self.spoiled(rows), total

    def _after(self, stream: Stream, listing: Listing, cursor: str) -> list[bytes]:
        """The rows that follow the one that the cursor names."""
        moment, _, id_ = cursor.partition("~")
        if not moment.isdigit():
            return []
        at = int(moment)
        own = listing.created
        span = (
            Span(own.start, min(own.end, at + 1)) if listing.descending else Span(max(own.start, at), own.end)
        )
        most = listing.limit + _MOST_TIED
        found, _ = stream.page(replace(listing, created=span, page=1, limit=most))
        ids = [load_row(row)["id"] for row in found]
        first = ids.index(id_) + 1 if id_ in ids else 0
        first += self.cursor == "skips"
        return found[first : first + listing.limit]

    def spoiled(self, rows: list[bytes]) -> list[bytes]:
        """Raises Poisoned, or writes a NaN into rows that were named."""
        for id_, status in self.poison:
            name = b'"id":"%s"' % id_.encode()
            for place, row in enumerate(rows):
                if name in row:
                    if status:
                        raise Poisoned(status)
                    rows[place] = row.replace(name, name + b',"oddity":NaN', 1)
        return rows

    def told(self, plain: Payload, rows: list[bytes], cursor: str) -> Payload | None:
        """What the list says of itself; None: nothing."""
        if self.metadata == "wrong":
            return {"itemsPerPage": "many", "totalItems": -3, "hasNextPage": "no", "nextCursor": 7}
        if self.metadata == "endless":
            beyond: Payload = {"totalItems": 40_000, "totalPages": 10**9, "hasNextPage": True}
            return {**plain, **beyond, "nextCursor": f"endless-{next(_numbers)}"}
        if self.metadata:
            return None
        following = self._next_cursor(bool(plain["hasNextPage"]), rows, cursor)
        return {**plain, "nextCursor": following} if following else plain

    def _next_cursor(self, has_more: bool, rows: list[bytes], cursor: str) -> str:
        if self.cursor == "stuck" and cursor:
            return cursor
        if not rows:
            return f"endless-{next(_numbers)}" if self.cursor == "endless" else ""
        if not self.cursor or not (has_more or cursor or self.cursor == "endless"):
            return ""
        last = load_row(rows[-1])
        return f"{parse_us(last['createdAt']) or 0}~{last['id']}"


PLAIN = Shape()


def shape_of(faults: Iterable[Fault]) -> Shape:
    """What the faults that hit a request make of its answer."""
    shape = PLAIN
    for fault in faults:
        if fault.kind == "capped":
            shape = replace(shape, cap=int(fault.number("limit", 100)))
        elif fault.kind == "repeated":
            shape = replace(shape, repeated=int(fault.number("rows", 1)))
        elif fault.kind == "metadata":
            shape = replace(shape, metadata=fault.word("how", "missing"))
        elif fault.kind == "cursor":
            shape = replace(shape, cursor=fault.word("how", "keyset"))
        elif fault.kind == "poison":
            status = 0 if fault.word("how") == "nan" else int(fault.number("status", 500))
            shape = replace(shape, poison=(*shape.poison, (fault.word("id"), status)))
    return shape
