"""The budget of requests to Vapi: one token bucket for each organization, shared by every worker and host.

It stands in the database and runs on the database's clock. A request needs a token and a slot, taken in one short
transaction; whoever gets none waits outside of any. Knows nothing of what is asked for.

The bucket fills at the organization's rate and its burst is one second's worth, four tokens at least; a tenth of a
second's worth is set aside for requests that are on their way. The last 40 % of the burst and one slot are kept for
people and edits; below them the purposes stand in line, each with a floor of its own.
"""

from __future__ import annotations

import logging
import random
import time
from datetime import timedelta

from django.db import DatabaseError

from sessions_app.mirror import bucket
from sessions_app.mirror.bucket import Refusal
from sessions_app.mirror.tallies import TALLIES
from sessions_app.models.organizations import Organization
from sessions_app.models.requests import Purpose
from sessions_app.vapi.errors import Unavailable
from sessions_app.vapi.transport import LONGEST_SLEEP_SECONDS

log = logging.getLogger(__name__)

# Below this share of the burst a purpose takes no token.
FLOORS: dict[Purpose, float] = {
    Purpose.PERSON: 0.0,
    Purpose.PUSH: 0.0,
    Purpose.WEBHOOK: 0.40,
    Purpose.INCREMENTAL: 0.45,
    Purpose.NAMES: 0.50,
    Purpose.RECONCILE: 0.55,
    Purpose.BACKFILL: 0.60,
}
# Slots that a purpose leaves free.
_URGENT = (Purpose.PERSON, Purpose.PUSH)

# How long one client waits in all (a person), or one request (the others), before it gives up. Those that are not
# named have nothing better to do; only a cool-down longer than `_LONGEST_COOL_DOWN_SECONDS` sends them away.
_LONGEST_WAIT_SECONDS: dict[Purpose, float] = {Purpose.PERSON: 5.0, Purpose.PUSH: 15.0, Purpose.WEBHOOK: 30.0}
_LONGEST_COOL_DOWN_SECONDS = 60.0
# A 429 that does not say how long.
_UNSTATED_COOL_DOWN_SECONDS = 2.0
# A Retry-After beyond this is taken for a mistake.
MOST_COOL_DOWN_SECONDS = 3600.0
# Longer than a request with its time-outs takes; a dead process's slot is free again after it.
SLOT = timedelta(seconds=60)
# Slots are given back by others, so one looks again; tokens come by the clock, and one sleeps until then.
_LOOK_AGAIN_SECONDS = 0.03


class OverBudget(Unavailable):
    """The request was not sent: our own budget of requests, or Vapi's cool-down, does not allow it now."""

    def __init__(self, method: str, refusal: Refusal) -> None:
        words = (
            "Vapi asked us to wait, and everybody does."
            if refusal.cool_down_seconds > 0
            else "More is asked of Vapi than this organization's request budget allows."
        )
        seconds = max(1.0, refusal.wait_seconds)
        super().__init__(method, "(any)", None, (words,), kind="rate_limited", retry_after=seconds)

    def _outcome(self) -> str:
        return "not sent, over the request budget"


class Gate:
    """Lets the requests of one client pass, one at a time, and counts them. Not for several threads at once."""

    def __init__(self, organization: Organization, purpose: Purpose) -> None:
        self._organization_id = organization.pk
        self._purpose = purpose
        self._slot: int | None = None
        self._waited_seconds = 0.0
        self._began = 0.0
        self._waited_in_all = 0.0

    @property
    def longest_sleep_seconds(self) -> float:
        """How long the client may sleep before it tries again what failed for other reasons."""
        return min(LONGEST_SLEEP_SECONDS, _LONGEST_WAIT_SECONDS.get(self._purpose, LONGEST_SLEEP_SECONDS))

    def enter(self, method: str) -> None:
        """Wait for a token and a slot. Raises OverBudget."""
        self._give_back()
        start = time.monotonic()
        try:
            self._slot = self._wait(method, start)
        finally:
            self._waited_seconds = time.monotonic() - start
            self._waited_in_all += self._waited_seconds
        self._began = time.monotonic()

    def leave(self, status: int | None, retry_after: float | None) -> None:
        """Give the slot back and note how the request ended; a second call for the same request does nothing."""
        if self._slot is None:
            return
        if status == 429:
            asked = _UNSTATED_COOL_DOWN_SECONDS if retry_after is None else retry_after
            bucket.cool_down(self._organization_id, min(asked, MOST_COOL_DOWN_SECONDS))
        self._give_back()
        took = time.monotonic() - self._began
        self._count(outcome_of(status), took)

    def close(self) -> None:
        self._give_back()
        TALLIES.flush()

    def _wait(self, method: str, start: float) -> int:
        floor, spare = FLOORS[self._purpose], 0 if self._purpose in _URGENT else 1
        while True:
            found = bucket.take(self._organization_id, self._purpose, floor, spare, SLOT)
            if not isinstance(found, Refusal):
                return found
            if self._must_give_up(found, time.monotonic() - start):
                self._waited_seconds = time.monotonic() - start
                self._count("unsent", 0)
                raise OverBudget(method, found)
            time.sleep(_pause(found))

    def _must_give_up(self, refusal: Refusal, waited: float) -> bool:
        longest = _LONGEST_WAIT_SECONDS.get(self._purpose)
        if longest is None:
            return refusal.cool_down_seconds > _LONGEST_COOL_DOWN_SECONDS
        if self._purpose == Purpose.PERSON:
            waited += self._waited_in_all
        return waited + refusal.wait_seconds > longest

    def _give_back(self) -> None:
        if self._slot is None:
            return
        slot, self._slot = self._slot, None
        try:
            bucket.give_back(slot)
        except DatabaseError:
            # It runs out by itself.
            log.warning("a request's slot was not given back: the database is away")

    def _count(self, outcome: str, took_seconds: float) -> None:
        TALLIES.add(
            self._organization_id, self._purpose, outcome, self._waited_seconds * 1000, took_seconds * 1000
        )


def must_wait(organization: Organization) -> bool:
    """Say whether Vapi asked to wait for longer than a run would: it need not begin."""
    return bucket.look(organization.pk).cool_down_seconds > _LONGEST_COOL_DOWN_SECONDS


def outcome_of(status: int | None) -> str:
    """Return "2xx", "4xx", ..., "429", or "none" where no answer came."""
    if status is None:
        return "none"
    return "429" if status == 429 else f"{status // 100}xx"


def _pause(refusal: Refusal) -> float:
    """Sleep until there is what was lacking. Not all at the same moment, where many wait for the same."""
    wait = refusal.wait_seconds if refusal.wait_seconds > 0 else _LOOK_AGAIN_SECONDS
    return min(wait, 1.0) + random.uniform(0, 0.005)  # noqa: S311 - spreads sleepers, guards nothing
