"""Leases: one worker at a time pulls a stream or walks a window, and one that lost its lease writes no checkpoint.

Times are the database's own. A lease lasts 60 s and is renewed every 15 s by a thread beside the work.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import Error as DatabaseError
from django.db import connection, transaction
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Now

from sessions_app.models import Lease, Organization, SyncWindow
from sessions_app.models.runs import RunKind, Stream

log = logging.getLogger(__name__)

LEASE = timedelta(seconds=60)
RENEW_EVERY_SECONDS = 15.0
_IS_FREE = Q(expires_at__isnull=True) | Q(expires_at__lt=Now())


class LeaseTaken(Exception):
    """Another run pulls this stream."""

    def __init__(self, stream: str, kind: str, holder: str, until: datetime | None) -> None:
        self.holder = holder
        super().__init__(
            f"{stream}: a {RunKind(kind).label} run of {holder or 'somebody'} holds the lease"
            + (f" until {until:%H:%M:%S} UTC." if until else ".")
        )


class LeaseLost(Exception):
    """The lease ran out and somebody else took it: nothing more may be written under it."""


@dataclass(frozen=True)
class HeldLease:
    """A stream or a window that we hold under a number of our own."""

    model: type[Lease | SyncWindow]
    pk: int
    number: int

    def renew(self) -> None:
        """Prolong the lease. Raises LeaseLost. In a transaction it guards what follows until the commit."""
        if not self._held().update(expires_at=Now() + LEASE):
            raise LeaseLost

    @contextmanager
    def guarding(self) -> Iterator[None]:
        """A transaction whose writes happen only while the lease is held. Raises LeaseLost before them."""
        with transaction.atomic():
            self.renew()
            yield

    def release(self) -> None:
        self._held().update(expires_at=None, holder="")

    def _held(self) -> QuerySet[Any]:
        return self.model._base_manager.filter(pk=self.pk, number=self.number)


@contextmanager
def hold_lease(organization: Organization, stream: Stream, kind: RunKind) -> Iterator[HeldLease]:
    """Take the lease of a stream, keep it renewed, and release it. Raises LeaseTaken."""
    with kept(_take_stream(organization, stream, kind)) as lease:
        yield lease


@contextmanager
def kept(lease: HeldLease) -> Iterator[HeldLease]:
    """Keep a lease that was taken renewed, and release it in the end."""
    stop = threading.Event()
    # In a transaction of the caller's nobody could see a renewal, and a second connection would wait for it.
    alone = connection.in_atomic_block
    keeper = None if alone else threading.Thread(target=_keep, args=(lease, stop), daemon=True)
    if keeper:
        keeper.start()
    try:
        yield lease
    finally:
        stop.set()
        if keeper:
            keeper.join()
        _let_go(lease)


def take(free: QuerySet[Any], pk: int) -> HeldLease | None:
    """Take a row, unless it is not among `free` any more or somebody holds it."""
    model = free.model
    with transaction.atomic():
        taken = (
            free.filter(_IS_FREE, pk=pk)
            .order_by()
            .update(number=F("number") + 1, holder=holder_name(), expires_at=Now() + LEASE)
        )
        number = model._base_manager.values_list("number", flat=True).get(pk=pk) if taken else 0
    return HeldLease(model, pk, number) if taken else None


def unheld(rows: QuerySet[Any]) -> QuerySet[Any]:
    """Return those that nobody holds."""
    return rows.filter(_IS_FREE)


def holders(rows: QuerySet[Any]) -> int:
    """Return how many hold some of them; one may hold several."""
    return rows.order_by().exclude(_IS_FREE).values("holder").distinct().count()


def is_held(organization: Organization, stream: Stream, kind: RunKind) -> bool:
    """Say whether a living lease exists."""
    return Lease.objects.filter(
        organization=organization, stream=stream, kind=kind, expires_at__gte=Now()
    ).exists()


def holder_name() -> str:
    """Return who we are: host, process and thread."""
    return f"{socket.gethostname()}:{os.getpid()}:{threading.get_ident() % 10_000}"


def with_new_connection(write: Callable[[], None]) -> None:
    """Do a last write, on a new connection where the present one broke. Raises DatabaseError."""
    try:
        write()
    except DatabaseError:
        if connection.in_atomic_block:
            raise
        connection.close()
        write()


def _let_go(lease: HeldLease) -> None:
    try:
        with_new_connection(lease.release)
    except DatabaseError:
        # It expires of itself. What happened before matters more than this.
        log.exception("lease not released: the database is away")


def _take_stream(organization: Organization, stream: Stream, kind: RunKind) -> HeldLease:
    lease, _ = Lease.objects.get_or_create(organization=organization, stream=stream, kind=kind)
    taken = take(Lease.objects.all(), lease.pk)
    if taken is None:
        lease.refresh_from_db()
        raise LeaseTaken(stream, kind, lease.holder, lease.expires_at)
    return taken


def _keep(lease: HeldLease, stop: threading.Event) -> None:
    try:
        while not stop.wait(RENEW_EVERY_SECONDS):
            try:
                lease.renew()
            except LeaseLost:
                return
            except DatabaseError:
                # Away for a moment: the next renewal, or the guard of a write, will tell.
                connection.close()
    finally:
        connection.close()
