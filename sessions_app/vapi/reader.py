"""Owns a process that reads records for another one: answers are parsed there while this one stores what came before.

Python works on one thing at a time, so that two threads of one process take as long as one after the other. The
process is told bodies and nothing else: no key, no address, no database. It ends with the one that started it, however
that one ends, because its input does.
"""

import gc
import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import msgspec

from sessions_app.vapi.errors import describe_fault
from sessions_app.vapi.heads import Head
from sessions_app.vapi.json import JsonObject
from sessions_app.vapi.payloads import Record, prepared_values
from sessions_app.vapi.reading import RECORDS, BadResult, parse_results, prepare_bodies

Parsed = tuple[list[Any], list[BadResult]]

# Fewer are read sooner here than they are there and back; for fewer than these no process is started.
FEW, MANY = 50, 500
_ROOT = Path(__file__).resolve().parents[2]
_END_SECONDS = 5.0
# Answers between two looks of the garbage collector.
_COLLECTED_TOGETHER = 20
# glibc gives memory back page by page and asks for it again: one answer after another needs about the same.
_KEPT_MEMORY = {"MALLOC_MMAP_THRESHOLD_": "32000000", "MALLOC_TRIM_THRESHOLD_": "256000000"}


class Reader:
    """Reads records; the process is started when there are many to read for the first time. Not for several threads.

    `workers` is how many processes of this machine read beside each other. Where each processor has one, they read
    for themselves: another process would only take turns with them.
    """

    def __init__(self, workers: int = 1) -> None:
        self._is_apart = workers < processors()
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _place: TracebackType | None
    ) -> None:
        self.close()

    @property
    def pid(self) -> int | None:
        """That of the process; None where there is none."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Start the process ahead of its first work: by then it is up."""
        if self._is_apart:
            self._process = self._process or _start()

    def parse(self, path: str, results: Sequence[JsonObject], text_replaced: Sequence[bool]) -> Parsed:
        """As `reading.parse_results`; of many heads all that storing them takes is made as well."""
        heads = [result for result in results if isinstance(result, Head)]
        if len(heads) < (MANY if self._process is None else FEW):
            return parse_results(path, results, text_replaced)
        rest = [place for place, result in enumerate(results) if not isinstance(result, Head)]
        records, bad = self._ask(path, [bytes(head.body) for head in heads])
        more, more_bad = parse_results(
            path, [results[place] for place in rest], [text_replaced[place] for place in rest]
        )
        return [*records, *more], [*bad, *more_bad]

    def _ask(self, path: str, bodies: list[bytes]) -> Parsed:
        self.start()
        if self._process is None:
            return prepare_bodies(path, bodies)
        try:
            _send(self._process.stdin, _encode((path, bodies)))
            return _FORMS[path].read(_receive(self._process.stdout))
        except (OSError, EOFError):
            # It was ended from outside: what it was told is still here.
            self.close()
            return prepare_bodies(path, bodies)

    def close(self) -> None:
        """End the process, if there is one."""
        process, self._process = self._process, None
        if process is None:
            return
        with process:
            # What was not sent to one that is gone is nobody's loss.
            with suppress(OSError):
                process.stdin.close()  # type: ignore[union-attr]  # it was started with pipes
            try:
                process.wait(_END_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()


def processors() -> int:
    """Return how many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _start() -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-m", "sessions_app.vapi.reader"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        # Nothing of our own environment, which tells secrets.
        env={**_KEPT_MEMORY, "PYTHONPATH": str(_ROOT)},
        # Ctrl-C is for the one who started it.
        process_group=0,
    )


_encode = msgspec.msgpack.Encoder().encode
_REQUEST = msgspec.msgpack.Decoder(tuple[str, list[bytes]])
_SIZE_BYTES = 8


class _Form:
    """How records of one kind go from one process to the other: the values of each by their places."""

    def __init__(self, kind: type[Record]) -> None:
        values = prepared_values(kind)
        self._kind, self._names = kind, tuple(values)
        # With their types, so that money and moments stay what they are.
        types = tuple.__class_getitem__(tuple(values.values()))
        self._decode = msgspec.msgpack.Decoder(tuple[list[types], list[BadResult]]).decode  # type: ignore[valid-type]  # made here

    def read(self, content: bytes) -> Parsed:
        rows, bad = self._decode(content)
        return [self._kind(dict(zip(self._names, row, strict=True))) for row in rows], bad

    def write(self, parsed: Parsed) -> bytes:
        records, bad = parsed
        return _encode(([tuple(map(vars(record).__getitem__, self._names)) for record in records], bad))


_FORMS = {path: _Form(kind) for path, kind in RECORDS.items()}


def _send(pipe: IO[bytes] | None, content: bytes) -> None:
    assert pipe is not None  # noqa: S101 - it was started with pipes
    pipe.write(len(content).to_bytes(_SIZE_BYTES))
    pipe.write(content)
    pipe.flush()


def _receive(pipe: IO[bytes] | None) -> bytes:
    """Return one message. Raises EOFError where the other end was closed."""
    assert pipe is not None  # noqa: S101 - it was started with pipes
    head = pipe.read(_SIZE_BYTES)
    size = int.from_bytes(head)
    content = pipe.read(size) if len(head) == _SIZE_BYTES else b""
    if not content or len(content) < size:
        raise EOFError
    return content


def _answer(requests: IO[bytes], answers: IO[bytes]) -> None:
    """Read what is asked for until nobody asks any more."""
    gc.freeze()
    gc.disable()
    for number in range(1, sys.maxsize):
        try:
            path, bodies = _REQUEST.decode(_receive(requests))
        except EOFError:
            return
        _send(answers, _FORMS[path].write(prepare_bodies(path, bodies)))
        if number % _COLLECTED_TOGETHER == 0:
            gc.collect(1)


if __name__ == "__main__":
    try:
        _answer(sys.stdin.buffer, sys.stdout.buffer)
    except (
        Exception
    ) as problem:  # Whoever asked reads for itself then; a traceback could quote what was said.
        raise SystemExit(f"reader: {describe_fault(problem)}") from None
