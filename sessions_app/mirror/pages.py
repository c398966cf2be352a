"""What a page of a listing tells of its rows and of Vapi's time, also where some of it is odd. Asks nothing."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise

from django.utils import timezone

from sessions_app.vapi.answers import BrokenResult, Page
from sessions_app.vapi.errors import Unavailable
from sessions_app.vapi.json import JsonObject, dump_payload
from sessions_app.vapi.times import parse_time

# The id and createdAt of a row that has both.
Dated = tuple[str, datetime]
# No two clocks differ by more.
_MOST_AHEAD = timedelta(hours=1)


class ListingUnreadable(Unavailable):
    """The answers of a listing contradict each other: it cannot be read to its end now."""

    def __init__(self) -> None:
        super().__init__("GET", "listing", None, kind="bad_body")


def told_at(page: Page) -> datetime | None:
    """Return Vapi's own time at an answer, where it was told and can be believed."""
    return page.date if page.date is not None and page.date <= latest_believed() else None


def latest_believed() -> datetime:
    """Return up to which moment Vapi's clock is believed: it may be ahead of ours."""
    return timezone.now() + _MOST_AHEAD


def refuse_backwards(page: Page) -> None:
    """Raise Unavailable for a page in descending order: walked as if ascending, it would seem to be the last one."""
    times = moments(page)
    falls = sum(later < earlier for earlier, later in pairwise(times))
    if falls * 2 > len(times):
        raise ListingUnreadable


def moments(page: Page) -> list[datetime]:
    """Return every createdAt that is one."""
    return [moment for result in page.results if (moment := created_at(result)) is not None]


def first_dated(page: Page) -> Dated | None:
    return next((dated for result in page.results if (dated := _dated(result))), None)


def last_dated(page: Page) -> Dated | None:
    """Return the page's last row that has both. Not the greatest: a wrong one would hide rows."""
    return next((dated for result in reversed(page.results) if (dated := _dated(result))), None)


def _dated(result: JsonObject) -> Dated | None:
    remote_id, moment = result.get("id"), created_at(result)
    return (remote_id, moment) if isinstance(remote_id, str) and moment is not None else None


def key_of(result: JsonObject) -> str:
    """Return the id, or, for a record that has none, its whole content."""
    remote_id = result.get("id")
    return remote_id if isinstance(remote_id, str) else dump_payload(result)


def key_of_broken(entry: BrokenResult) -> str:
    return f"{entry.type} {entry.length} {entry.sha256}"


def created_at(result: JsonObject) -> datetime | None:
    return parse_time(result.get("createdAt"))
