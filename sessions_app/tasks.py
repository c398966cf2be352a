"""Celery's entry points. A task carries ids and says "look now"; losing or doubling one is harmless."""

from __future__ import annotations

import logging
import time
from contextlib import suppress
from functools import partial
from typing import Any

from celery import Task, shared_task
from django.db import transaction

from sessions_app.edits import bulk, claims, push
from sessions_app.heartbeats import person_is_here
from sessions_app.mirror import (
    backfill,
    budget,
    erasing,
    events,
    forgetting,
    freshness,
    pauses,
    pruning,
    reconcile,
    sync,
    tallies,
)
from sessions_app.mirror.connection import NoKey
from sessions_app.mirror.pinning import WrongOrganization
from sessions_app.models import Edit, Organization, Watermark
from sessions_app.models.edits import EditState
from sessions_app.models.runs import Stream
from sessions_app.notices import delivering
from sessions_app.vapi.errors import VapiError

log = logging.getLogger(__name__)


# What people may have chosen to be told of.
_TOLD = (EditState.CONFLICT, EditState.REJECTED, EditState.FAILED)
# Whoever saves a form does not wait for a broker that is away.
BROKER_SECONDS = 0.5
# A helper of a full sync gives its place to others after about this long, or a page. One that waited this long for a
# place finds the workers busy, and leaves: what people wait for must not stand behind it.
HELPER_SECONDS = 0.5
MOST_HELPER_WAIT_SECONDS = 1.0


def enqueue(task: Task[Any, Any], *args: object) -> None:
    """Say "look now" to a worker once the transaction is committed. A broker that is away is logged, never shown
    and not waited for: beat's sweep will look anyway."""
    transaction.on_commit(partial(send_now, task, *args))


def send_now(task: Task[Any, Any], *args: object) -> bool:
    """The same without a look at the database: for a thread that has nothing to commit. False where it failed."""
    in_time = {"socket_connect_timeout": BROKER_SECONDS, "socket_timeout": BROKER_SECONDS, "max_retries": 1}
    options = {**task.app.conf.broker_transport_options, **in_time, "interval_start": 0, "interval_max": 0}
    try:
        with task.app.connection_for_write(
            connect_timeout=BROKER_SECONDS, transport_options=options
        ) as broker:
            producer = task.app.amqp.Producer(broker, auto_declare=False)
            task.apply_async(args=args, producer=producer, retry=False, ignore_result=True)
    except Exception:  # Each transport has errors of its own, and none may be shown.
        log.warning("task not enqueued: the broker is away", extra={"task": task.name}, exc_info=True)
        return False
    return True


@shared_task
def sweep() -> None:
    """Look at what is due: edits whose turn it is, server messages that wait, notices to be sent, runs whose
    worker died."""
    for edit_id in claims.due_edits(only=bulk.NOT_IN_LANES):
        enqueue(push_edit, edit_id)
    for bulk_id in bulk.due_bulks():
        enqueue(advance_bulk, bulk_id)
    if events.due_events(limit=1):
        enqueue(process_events)
    for erasure_id in erasing.due_erasures():
        enqueue(erase_customer, erasure_id)
    deliver_due()
    sync.close_expired_runs()
    for organization, stream in backfill.running_backfills():
        _call_helpers(organization, stream, backfill.MOST_HELPERS)


@shared_task
def push_edit(edit_id: int) -> None:
    """Push an edit, then the next one of its session."""
    if Edit.objects.filter(pk=edit_id).exists():
        if push.push_edit(edit_id) in _TOLD:
            deliver_due()
        for following_id in claims.due_edits(Edit.objects.get(pk=edit_id).session_id, limit=1):
            enqueue(push_edit, following_id)


@shared_task
def deliver_due() -> None:
    """Let each channel's oldest due notice be sent."""
    for delivery_id in delivering.due_deliveries():
        enqueue(deliver_notice, delivery_id)


@shared_task
def deliver_notice(delivery_id: int) -> None:
    """Send a notice, then the next one of its channel."""
    delivery = delivering.deliver(delivery_id)
    for following_id in delivering.due_deliveries(delivery.channel_id) if delivery else ():
        enqueue(deliver_notice, following_id)


@shared_task
def advance_bulk(bulk_id: int, begins: bool = True) -> None:
    """Queue a portion of a bulk edit, let its lanes push, then queue the next."""
    goes_on = bulk.advance(bulk_id)
    for lane in range(bulk.LANES if begins else 0):
        enqueue(push_bulk, bulk_id, lane)
    if goes_on:
        enqueue(advance_bulk, bulk_id, False)


@shared_task
def push_bulk(bulk_id: int, lane: int) -> None:
    """Push a few edits of a bulk, then go to the end of the queue: people's edits come in between."""
    due = bulk.due_in_lane(bulk_id, lane)
    for edit_id in due:
        push_edit(edit_id)
    if bulk.came_forward(due):
        enqueue(push_bulk, bulk_id, lane)
    else:
        bulk.finish(bulk_id)


@shared_task
def process_events() -> None:
    """Process the server messages that wait."""
    events.process_due()


@shared_task
def prune() -> None:
    """Let go of history, message bodies, quarantine, runs and notices past their age; add up old counts of requests."""
    pruning.prune()
    forgetting.prune_retained()
    tallies.fold_old()


@shared_task
def erase_customer(erasure_id: int) -> None:
    """Go on with an erasure, unless it is done or somebody is at it."""
    erasing.run_erasure(erasure_id)


@shared_task
def sync_all() -> None:
    """Let every active organization's sessions and chats be pulled."""
    for organization in Organization.objects.reachable():
        for stream in (Stream.SESSIONS, Stream.CHATS):
            enqueue(sync_stream, organization.pk, stream)


@shared_task
def sync_names() -> None:
    """Let every active organization's names be pulled."""
    for organization in Organization.objects.reachable():
        enqueue(sync_stream, organization.pk, Stream.NAMES)


@shared_task
def sync_stream(
    organization_id: int, stream: str, full: bool = False, started_by_id: int | None = None
) -> None:
    """Pull one stream, unless another run does, Vapi asked to wait, or the organization has gone or is paused."""
    organization = Organization.objects.reachable().filter(pk=organization_id).first()
    if organization is None or budget.must_wait(organization):
        return
    invite = partial(_call_helpers, organization, stream)
    try:
        sync.sync_stream(organization, Stream(stream), full=full, started_by_id=started_by_id, invite=invite)
    except sync.LeaseTaken:
        log.info("another run holds the lease", extra={"organization": organization_id, "stream": stream})


def _call_helpers(organization: Organization, stream: str, windows: int) -> None:
    for _ in range(min(windows, backfill.helpers_wanted(organization, Stream(stream)))):
        enqueue(help_backfill, organization.pk, stream, time.time())


@shared_task
def help_backfill(organization_id: int, stream: str, called_at: float) -> None:
    """Walk a part of a full sync that runs elsewhere, then go to the end of the queue: people come in between.

    `called_at` is the Unix time of the call. Beat calls new helpers for those that left.
    """
    if time.time() - called_at > MOST_HELPER_WAIT_SECONDS:
        return
    organization = Organization.objects.reachable().filter(pk=organization_id).first()
    if organization is None or not backfill.helpers_wanted(organization, Stream(stream)):
        return
    if backfill.help_backfill(organization, Stream(stream), seconds=HELPER_SECONDS):
        enqueue(help_backfill, organization_id, stream, time.time())


@shared_task
def reconcile_all() -> None:
    """Let every active organization's streams be proven that have been read whole once."""
    ready = Watermark.objects.filter(organization__is_active=True, backfilled_at__isnull=False)
    for organization_id, stream in ready.exclude(stream=Stream.NAMES).values_list("organization", "stream"):
        enqueue(reconcile_stream, organization_id, stream)


@shared_task
def reconcile_stream(
    organization_id: int, stream: str, stamp_anyway: bool = False, started_by_id: int | None = None
) -> None:
    """Prove one stream, unless another run does or the organization has gone."""
    organization = Organization.objects.filter(pk=organization_id, is_active=True).first()
    if organization is None or budget.must_wait(organization):
        return
    try:
        reconcile.reconcile_stream(
            organization, Stream(stream), stamp_anyway=stamp_anyway, started_by_id=started_by_id
        )
    except reconcile.LeaseTaken:
        log.info("another run holds the lease", extra={"organization": organization_id, "stream": stream})


@shared_task
def sweep_heads() -> None:
    """While somebody is signed in, let the newest rows of every organization be asked for."""
    if person_is_here():
        for organization in Organization.objects.reachable():
            enqueue(sweep_head, organization.pk)


@shared_task
def sweep_head(organization_id: int) -> None:
    """Ask for an organization's newest rows, unless somebody just did. What fails is left to the sync."""
    organization = Organization.objects.reachable().filter(pk=organization_id).first()
    if organization is not None:
        with suppress(VapiError, NoKey):
            freshness.sweep_head(organization)


@shared_task
def take_up(organization_id: int) -> None:
    """Try an organization's key, end its pause where Vapi takes it, and pull, the newest sessions before all others."""
    organization = Organization.objects.active().filter(pk=organization_id).first()
    if organization is not None:
        with suppress(VapiError, NoKey):
            pauses.take_up_again(organization, "a changed organization")
            # What keeps these back is left to the sync to meet and to tell.
            with suppress(VapiError, WrongOrganization):
                freshness.read_newest(organization)
            for stream in (Stream.SESSIONS, Stream.CHATS, Stream.NAMES):
                enqueue(sync_stream, organization.pk, stream)
