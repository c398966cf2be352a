"""Commits that nobody waits for: of what is read from Vapi again where a database server goes down in that moment.

A commit that is not waited for stands as soon as it is made, whatever becomes of the worker. It is gone only where the
server itself dies within a second of it, and then whatever was committed after it is gone as well: no checkpoint and
no final state outlives the rows that it speaks of.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection, transaction


@contextmanager
def unhurried() -> Iterator[None]:
    """A transaction whose commit does not wait for the disk, where that can be asked for: on PostgreSQL."""
    with transaction.atomic():
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute("SET LOCAL synchronous_commit TO off")
        yield
