"""Progress bars of a pull, on a terminal only."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self, TextIO

from tqdm import tqdm

from sessions_app.models import SyncRun


class Bars:
    """Call it with the run as it grows. Shows nothing where `stream` is no terminal."""

    def __init__(self, title: str, stream: TextIO) -> None:
        self._bar: tqdm[Any] = tqdm(
            desc=title, unit=" rows", file=stream, disable=not stream.isatty(), leave=False
        )

    def __call__(self, run: SyncRun) -> None:
        self._bar.total = run.total
        self._bar.update(run.seen - self._bar.n)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.close()
