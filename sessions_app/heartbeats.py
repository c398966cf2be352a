"""Tells whether a worker and a beat are at work: each stamps a row, pages and /readyz read them."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

from celery.signals import heartbeat_sent, worker_ready
from django.db import DatabaseError
from django.utils import timezone
from django_celery_beat.schedulers import DatabaseScheduler

from sessions_app.models import Heartbeat

STAMP_EVERY_SECONDS = 15
SILENT_AFTER = timedelta(minutes=2)
KINDS = ("worker", "beat")
# Stamped while somebody is signed in.
PERSON = "person"
PERSON_AWAY_AFTER = timedelta(minutes=1)
_OF_A_PERIOD = 0.75
# What runs by the calendar runs once a day at most.
_BY_CALENDAR = timedelta(hours=1)


def stamp(kind: str) -> None:
    """Note that a process of this kind is alive. A database that is away is no reason to die."""
    try:
        Heartbeat.objects.update_or_create(kind=kind, defaults={"seen_at": timezone.now()})
    except DatabaseError:
        return


def silent_kinds() -> list[str]:
    """Return which of worker and beat were not seen for two minutes. One query."""
    seen = dict(Heartbeat.objects.values_list("kind", "seen_at"))
    oldest = timezone.now() - SILENT_AFTER
    return [kind for kind in KINDS if kind not in seen or seen[kind] < oldest]


def person_is_here() -> bool:
    """Say whether somebody who is signed in asked for a page in the last minute."""
    return Heartbeat.objects.filter(kind=PERSON, seen_at__gte=timezone.now() - PERSON_AWAY_AFTER).exists()


class Stamper:
    """Stamps at most once in STAMP_EVERY_SECONDS, however often it is called."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.last = -STAMP_EVERY_SECONDS * 1.0

    @property
    def is_due(self) -> bool:
        return time.monotonic() - self.last >= STAMP_EVERY_SECONDS

    def __call__(self) -> None:
        if self.is_due:
            self.last = time.monotonic()
            stamp(self.kind)


def claim_sending(name: str, every: timedelta) -> bool:
    """Say whether this beat is to send a task that runs so often, and note it: of two beats, one does.

    A little before its time counts as its time, so that clocks that differ by less lose no turn.
    """
    now, kind = timezone.now(), f"sent:{name}"
    try:
        known = Heartbeat.objects.filter(kind=kind)
        if known.filter(seen_at__lte=now - every * _OF_A_PERIOD).update(seen_at=now):
            return True
        return Heartbeat.objects.get_or_create(kind=kind, defaults={"seen_at": now})[1]
    except DatabaseError:
        # A task too many is harmless.
        return True


class BeatingScheduler(DatabaseScheduler):
    """django-celery-beat's scheduler, stamping as it ticks. Two of them send each task once."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._stamper = Stamper("beat")
        super().__init__(*args, **kwargs)

    def tick(self, *args: Any, **kwargs: Any) -> Any:
        self._stamper()
        return min(super().tick(*args, **kwargs), STAMP_EVERY_SECONDS)

    def apply_entry(self, entry: Any, producer: Any = None) -> None:
        """Send a task, unless another beat just did."""
        if claim_sending(entry.name, getattr(entry.schedule, "run_every", _BY_CALENDAR)):
            super().apply_entry(entry, producer=producer)


_worker_stamper = Stamper("worker")


@worker_ready.connect
@heartbeat_sent.connect
def _stamp_worker(**kwargs: Any) -> None:
    _worker_stamper()
