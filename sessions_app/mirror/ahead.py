"""Does beside each other, in threads of their own, what need not wait for each other: the next thing is got while
the last one is worked on, and things are worked on several at once and given in their order."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from queue import SimpleQueue
from typing import Generic, TypeVar

from django.db import connection

_Item = TypeVar("_Item")
_Done = TypeVar("_Done")
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


@contextmanager
def side_by_side(
    work: Callable[[_Item], _Done], items: Iterator[_Item], at_once: int
) -> Iterator[Iterator[_Done]]:
    """Give what `work` makes of the items, in their order, with so many of them worked on at once.

    What `items` or `work` raises is raised in its place in the order; what came before it is given. As `ahead`, no
    thread in a transaction of the caller's.
    """
    if at_once == 1 or connection.in_atomic_block:
        yield map(work, items)
        return
    workers = _SideBySide(work, items, at_once)
    try:
        yield workers.results()
    finally:
        workers.stop()


@dataclass(frozen=True)
class _End:
    """Nothing comes after this: it was the last one, or there was a problem."""

    problem: BaseException | None = None


class _SideBySide(Generic[_Item, _Done]):
    def __init__(self, work: Callable[[_Item], _Done], items: Iterator[_Item], at_once: int) -> None:
        self._work, self._items = work, items
        # While one result is dealt with, as many more are worked on, and none beyond.
        self._wanted = threading.Semaphore(at_once + 1)
        # Held by the one who waits for the next item, which has this place in the order.
        self._next, self._place = threading.Lock(), 0
        # Nobody wants any more; no item is taken any more, but those in hand are worked on.
        self._stopped, self._ended = threading.Event(), threading.Event()
        self._ready: SimpleQueue[tuple[int, _Done | _End]] = SimpleQueue()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(at_once)]
        for thread in self._threads:
            thread.start()

    def results(self) -> Iterator[_Done]:
        early: dict[int, _Done | _End] = {}
        for place in count():
            while place not in early:
                done, result = self._ready.get()
                early[done] = result
            result = early.pop(place)
            if not isinstance(result, _End):
                yield result
                self._wanted.release()
            elif result.problem is not None:
                raise result.problem
            else:
                return

    def stop(self) -> None:
        self._stopped.set()
        self._wanted.release(len(self._threads))
        for thread in self._threads:
            thread.join(_LAST_WORDS_SECONDS)

    def _run(self) -> None:
        try:
            while self._do_next():
                pass
        finally:
            # Of this thread.
            connection.close()

    def _do_next(self) -> bool:
        self._wanted.acquire()
        with self._next:
            if self._stopped.is_set() or self._ended.is_set():
                return False
            place, self._place = self._place, self._place + 1
            try:
                item = next(self._items)
            except BaseException as problem:  # Whatever it is belongs to the one who waits.
                return self._end(place, None if isinstance(problem, StopIteration) else problem)
        if self._stopped.is_set():
            return False
        try:
            self._ready.put((place, self._work(item)))
        except BaseException as problem:  # Likewise.
            return self._end(place, problem)
        return True

    def _end(self, place: int, problem: BaseException | None) -> bool:
        self._ended.set()
        self._wanted.release(len(self._threads))
        self._ready.put((place, _End(problem)))
        return False
