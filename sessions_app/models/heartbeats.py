"""When a worker and a beat were last seen."""

from __future__ import annotations

from typing import ClassVar

from django.db import models


class Heartbeat(models.Model):
    # "worker" or "beat".
    kind = models.TextField(primary_key=True)
    seen_at = models.DateTimeField()

    objects: ClassVar[models.Manager[Heartbeat]] = models.Manager()

    def __str__(self) -> str:
        return self.kind
