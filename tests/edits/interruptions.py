"""Lets something happen in the middle of a push, at any point where it turns to the database: a death, another worker.

A push turns to the database before and after everything that it does, the asking of Vapi included, so that by the
number of a statement every boundary between two of its steps can be named.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any

from django.db import connection


class Died(BaseException):
    """The worker is dead: nothing catches this, and nothing of its own is written after it."""


class Interruption:
    """`happen` runs once, ahead of the `ahead_of`-th statement or of the first after it outside a transaction.

    Without `happen` the worker dies there, inside a transaction too, which is rolled back as its server would.
    """

    def __init__(self, ahead_of: int, happen: Callable[[], object] | None) -> None:
        self._left, self._happen = ahead_of, happen
        self._has_happened = self._is_happening = False
        self._wrapper: AbstractContextManager[None] = connection.execute_wrapper(self)

    def __enter__(self) -> None:
        self._wrapper.__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        self._wrapper.__exit__(kind, error, trace)
        return kind is Died

    def __call__(self, execute: Callable[..., Any], *statement: Any) -> Any:
        if not self._is_happening:
            self._left -= 1
            if self._left <= 0:
                self._interrupt()
        return execute(*statement)

    def _interrupt(self) -> None:
        if self._happen is None:
            raise Died
        if not self._has_happened and not connection.in_atomic_block:
            self._has_happened = self._is_happening = True
            self._happen()
            self._is_happening = False
