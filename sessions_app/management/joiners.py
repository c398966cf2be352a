"""Processes of this machine that join full syncs, stream after stream, as long as the one who forked them lives."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

from django.db import connections

from sessions_app.mirror.backfill import Invite, help_backfill
from sessions_app.models import Organization
from sessions_app.models.runs import Stream

# A joiner is in the middle of a page at most.
_LAST_PAGE_SECONDS = 60


class Joiners:
    """Processes that wait to be told which full sync to join. What was not forked is nobody."""

    def __init__(self, count: int) -> None:
        self._orders: list[Connection] = []
        self._processes: list[BaseProcess] = []
        # They and the one who forked them.
        self._workers = count + 1
        # A fork would share what the parent's connections say.
        if count:
            connections.close_all()
        for _ in range(count):
            self._fork()

    def invite(self, organization: Organization, stream: Stream) -> Invite:
        """Return what calls as many of them as there are windows beside the caller's own."""

        def call(windows: int) -> None:
            for orders in self._orders[: windows - 1]:
                with suppress(OSError):
                    orders.send((organization.pk, stream.value))

        return call

    def end(self) -> None:
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            process.join(_LAST_PAGE_SECONDS)

    def _fork(self) -> None:
        fork = multiprocessing.get_context("fork")
        heard, orders = fork.Pipe(duplex=False)
        self._orders.append(orders)
        process = fork.Process(target=_join, args=(heard, tuple(self._orders), self._workers), daemon=True)
        process.start()
        heard.close()
        self._processes.append(process)


@contextmanager
def joiners(count: int) -> Iterator[Joiners]:
    """Fork `count` of them, which spares each the start of a program, and end them afterwards.

    Only for a process in which nothing else is under way yet: no thread, no transaction.
    """
    forked = Joiners(count)
    try:
        yield forked
    finally:
        forked.end()


def _join(heard: Connection, others: tuple[Connection, ...], workers: int) -> None:
    # Ctrl-C reaches the one who forked us, which ends us. Where it is killed, its ends of the pipes are the last.
    os.setpgid(0, 0)
    for orders in others:
        orders.close()
    with suppress(EOFError):
        while True:
            organization_id, stream = heard.recv()
            organization = Organization.objects.get(pk=organization_id)
            help_backfill(organization, Stream(stream), workers=workers)
