"""Celery's entry points. A task carries ids and says "look now"; losing or doubling one is harmless."""

from __future__ import annotations

import logging
from typing import Any

from celery import Task, shared_task
from kombu.exceptions import OperationalError

from sessions_app.mirror import sync
from sessions_app.models import Organization
from sessions_app.models.runs import Stream

log = logging.getLogger(__name__)


def enqueue(task: Task[Any, Any], *args: object) -> None:
    """Say "look now" to a worker. A broker that is away is logged, never shown: beat's sweep will look anyway."""
    try:
        task.apply_async(args=args, retry=False, ignore_result=True)
    except OperationalError:
        log.warning("task not enqueued: the broker is away", extra={"task": task.name})


@shared_task
def sync_all() -> None:
    """Let every active organization's sessions and chats be pulled."""
    for organization in Organization.objects.filter(is_active=True):
        for stream in (Stream.SESSIONS, Stream.CHATS):
            enqueue(sync_stream, organization.pk, stream)


@shared_task
def sync_names() -> None:
    """Let every active organization's names be pulled."""
    for organization in Organization.objects.filter(is_active=True):
        enqueue(sync_stream, organization.pk, Stream.NAMES)


@shared_task
def sync_stream(
    organization_id: int, stream: str, full: bool = False, started_by_id: int | None = None
) -> None:
    """Pull one stream, unless another run does or the organization has gone."""
    organization = Organization.objects.filter(pk=organization_id, is_active=True).first()
    if organization is None:
        return
    try:
        sync.sync_stream(organization, Stream(stream), full=full, started_by_id=started_by_id)
    except sync.LeaseTaken:
        log.info("another run holds the lease", extra={"organization": organization_id, "stream": stream})
