"""Asks again when Vapi could not answer: a few times, longer apart each time, or as long as Vapi says.

Where Vapi asks to wait for longer than a minute nobody sleeps: the run ends, and the stored cool-down holds the next.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from sessions_app.vapi.errors import Unavailable

TRIES = 6
_FIRST_WAIT_SECONDS = 0.5
LONGEST_WAIT_SECONDS = 60.0
_Answer = TypeVar("_Answer")


def patiently(
    ask: Callable[[], _Answer],
    *,
    after_failure: Callable[[Unavailable], None] | None = None,
    tries: int = TRIES,
) -> _Answer:
    """Return what `ask` answers; after `tries` failures in a row raise the last Unavailable.

    `after_failure` may change what is asked next, for example to a smaller page.
    """
    for attempt in range(tries - 1):
        try:
            return ask()
        except Unavailable as problem:
            if must_wait_long(problem):
                raise
            if after_failure:
                after_failure(problem)
            wait = _FIRST_WAIT_SECONDS * 2**attempt if problem.retry_after is None else problem.retry_after
            time.sleep(wait)
    return ask()


def must_wait_long(problem: Unavailable) -> bool:
    """Say whether Vapi asks to wait for longer than a run may sleep."""
    return (problem.retry_after or 0) > LONGEST_WAIT_SECONDS
