"""Lets people wait a moment for what is asked of Vapi, and no longer: the work goes on in a thread of its own.

In one process there is one thread for one thing at a time; whoever wants the same waits for the same. Knows nothing
of what is asked for.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Hashable

from django.db import connections

from sessions_app.mirror.connection import NoKey
from sessions_app.vapi.errors import VapiError

log = logging.getLogger(__name__)

MOMENT_SECONDS = 2.0

_lock = threading.Lock()
_under_way: dict[Hashable, Work] = {}


class Work:
    """Something under way. `problem` is why it failed, once it has ended."""

    def __init__(self, key: Hashable, ask: Callable[[], object]) -> None:
        self.problem: Exception | None = None
        self._key, self._ask = key, ask
        self._over_at = time.monotonic() + MOMENT_SECONDS
        self._thread = threading.Thread(target=self._run, name="moment", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def has_ended(self) -> bool:
        """Wait until the moment, counted from its start, is over; say whether it ended by then."""
        self._thread.join(max(0.0, self._over_at - time.monotonic()))
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            self._ask()
        except (VapiError, NoKey) as problem:
            self.problem = problem
        except (
            Exception
        ) as problem:  # Nobody is above this thread, and the interpreter would print what it quotes.
            self.problem = problem
            log.warning("not asked of Vapi", exc_info=True)
        finally:
            with _lock:
                _under_way.pop(self._key, None)
            connections.close_all()


def begin(key: Hashable, ask: Callable[[], object]) -> Work:
    """Begin `ask` in a thread, or join whoever is at it already."""
    with _lock:
        work = _under_way.get(key)
        if work is None:
            work = _under_way[key] = Work(key, ask)
            work.start()
    return work
