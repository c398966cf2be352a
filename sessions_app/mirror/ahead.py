"""Gets the next thing while the last one is worked on: one ahead, in a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from typing import Generic, TypeVar

from django.db import connection

_Item = TypeVar("_Item")
# A thread that is in the middle of a request ends by its time-out; nobody waits longer for it.
_LAST_WORDS_SECONDS = 40.0


@contextmanager
def ahead(items: Iterator[_Item]) -> Iterator[Iterator[_Item]]:
    """Give the items with the next one always under way. What `items` raises is raised where it is waited for.

    In a transaction of the caller's, which another thread's connection could not see, there is no thread.
    """
    if connection.in_atomic_block:
        yield items
        return
    source = _Ahead(items)
    try:
        yield source.items()
    finally:
        source.stop()


class _Ahead(Generic[_Item]):
    def __init__(self, items: Iterator[_Item]) -> None:
        self._items = items
        self._wanted = threading.Semaphore(1)
        self._stopped = threading.Event()
        self._ready: SimpleQueue[_Item | BaseException | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._get, daemon=True)
        self._thread.start()

    def items(self) -> Iterator[_Item]:
        while (item := self._ready.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            self._wanted.release()
            yield item

    def stop(self) -> None:
        self._stopped.set()
        self._wanted.release()
        self._thread.join(_LAST_WORDS_SECONDS)

    def _get(self) -> None:
        last: BaseException | None = None
        try:
            while self._wanted.acquire() and not self._stopped.is_set():
                item = next(self._items, None)
                if item is None:
                    break
                self._ready.put(item)
        except BaseException as problem:  # Whatever it is belongs to the one who waits.
            last = problem
        finally:
            # Of this thread: the request budget was asked on it.
            connection.close()
            self._ready.put(last)
