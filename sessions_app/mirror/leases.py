"""Leases: one worker at a time pulls a stream, and one that lost its lease can write no checkpoint.

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

from django.db import Error as DatabaseError
from django.db import connection, transaction
from django.db.models import F, Q
from django.db.models.functions import Now

from sessions_app.models import Lease, Organization
from sessions_app.models.runs import RunKind, Stream

log = logging.getLogger(__name__)

LEASE = timedelta(seconds=60)
RENEW_EVERY_SECONDS = 15.0


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
    pk: int
    number: int

    def renew(self) -> None:
        """Prolong the lease. Raises LeaseLost. In a transaction it guards what follows until the commit."""
        held = Lease.objects.filter(pk=self.pk, number=self.number)
        if not held.update(expires_at=Now() + LEASE):
            raise LeaseLost

    @contextmanager
    def guarding(self) -> Iterator[None]:
        """A transaction whose writes happen only while the lease is held. Raises LeaseLost before them."""
        with transaction.atomic():
            self.renew()
            yield

    def release(self) -> None:
        Lease.objects.filter(pk=self.pk, number=self.number).update(expires_at=None, holder="")


@contextmanager
def hold_lease(organization: Organization, stream: Stream, kind: RunKind) -> Iterator[HeldLease]:
    """Take the lease, keep it renewed, and release it. Raises LeaseTaken."""
    lease = _take(organization, stream, kind)
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


def _take(organization: Organization, stream: Stream, kind: RunKind) -> HeldLease:
    lease, _ = Lease.objects.get_or_create(organization=organization, stream=stream, kind=kind)
    free = Lease.objects.filter(Q(expires_at__isnull=True) | Q(expires_at__lt=Now()), pk=lease.pk)
    with transaction.atomic():
        taken = free.update(number=F("number") + 1, holder=holder_name(), expires_at=Now() + LEASE)
        lease.refresh_from_db()
    if not taken:
        raise LeaseTaken(stream, kind, lease.holder, lease.expires_at)
    return HeldLease(lease.pk, lease.number)


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
