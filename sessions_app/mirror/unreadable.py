"""Rows that a listing cannot show, because every answer that would hold them fails: finds out which ones they are.

What we hold of the rows around is asked for by id, many together and then in halves. Stores nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sessions_app.mirror.pages import Dated
from sessions_app.mirror.tables import MirrorTable
from sessions_app.models import Organization
from sessions_app.vapi.answers import Fetched, UnreadableResult
from sessions_app.vapi.errors import Gone, Unavailable
from sessions_app.vapi.times import format_time

# So many of ours are looked at, so many of them asked for at most, so many in one request.
_MOST_KNOWN, _MOST_ASKED, _AT_ONCE = 5000, 500, 50

# Asks for one id; raises Gone.
Lookup = Callable[[str], Fetched]
# Says whether an answer with these ids can be had.
CanBeListed = Callable[[Sequence[str]], bool]
# The ids that we hold of rows created between two moments, both included.
KnownBetween = Callable[[datetime | None, datetime | None], Sequence[str]]


def nothing_known(_start: datetime | None, _end: datetime | None) -> Sequence[str]:
    """What is known of a listing of which nothing is kept here."""
    return ()


def known_rows(organization: Organization, table: MirrorTable) -> KnownBetween:
    """What is known of an organization's stream."""

    def between(start: datetime | None, end: datetime | None) -> Sequence[str]:
        rows = table.model.objects.filter(organization=organization, missing_since__isnull=True)
        if start:
            rows = rows.filter(created_at__gte=start)
        if end:
            rows = rows.filter(created_at__lte=end)
        return list(rows.order_by("created_at", "id").values_list("id", flat=True)[:_MOST_KNOWN])

    return between


@dataclass(frozen=True)
class Gap:
    """Where `rows` rows stand that cannot be had: the ids and createdAt of the rows before and after them."""

    after: Dated | None
    before: Dated | None
    rows: int

    @property
    def key(self) -> str:
        """The same for the same place, wherever it was asked for from."""
        if self.before:
            return f"before {self.before[0]}"
        return f"after {self.after[0] if self.after else ''}"

    @property
    def starts_at(self) -> datetime | None:
        return self.after[1] if self.after else None

    @property
    def ends_at(self) -> datetime | None:
        return self.before[1] if self.before else None

    def words(self) -> str:
        """For people: between which moments."""
        bounds = [("from", self.starts_at), ("to", self.ends_at)]
        told = [f"{word} {format_time(moment)}" for word, moment in bounds if moment]
        return f"createdAt {' '.join(told)}" if told else "createdAt not known"


@dataclass
class Around:
    """What was found out: rows that can be had by id alone, and those that cannot be had at all."""

    fetched: list[Fetched] = field(default_factory=list)
    unreadable: list[UnreadableResult] = field(default_factory=list)


def look_around(
    gap: Gap, known: Sequence[str], can_be_listed: CanBeListed, lookup: Lookup, problem: Unavailable
) -> Around:
    """Tell the rows of a gap apart. `known` are ids of ours that may be among them."""
    found = Around()
    reason = f"cannot be had ({problem.kind}, {problem.status or 'no answer'})"
    for remote_id in _unlistable(known[:_MOST_ASKED], can_be_listed):
        try:
            found.fetched.append(lookup(remote_id))
        except Gone:
            continue
        except Unavailable:
            found.unreadable.append(UnreadableResult(remote_id, reason))
    lacking = gap.rows - len(found.fetched) - len(found.unreadable)
    for place in range(lacking):
        counted = f", {place + 1} of {gap.rows}" if gap.rows > 1 else ""
        found.unreadable.append(UnreadableResult("", f"{reason}: {gap.words()}{counted}"))
    return found


def _unlistable(known: Sequence[str], can_be_listed: CanBeListed) -> list[str]:
    parts = [known[start : start + _AT_ONCE] for start in range(0, len(known), _AT_ONCE)]
    found: list[str] = []
    while parts:
        part = parts.pop()
        if can_be_listed(part):
            continue
        if len(part) == 1:
            found += part
        else:
            middle = len(part) // 2
            parts += [part[:middle], part[middle:]]
    return found
