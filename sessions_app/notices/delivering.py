"""Owns the way of a delivery: due, claimed, sent, tried again later, given up. The row is the queue.

At least once: a worker that dies after sending and before noting it leaves a claim that runs out, and the notice is
sent once more under the same id. A channel whose receiver is out of order rests as a whole, so that a dead receiver
costs one request at a time and no worker more than one time-out.
"""

from __future__ import annotations

import logging
from datetime import timedelta

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Exists, F, Min, OuterRef, Q
from django.db.models.functions import Now

from sessions_app.models import Channel, Delivery
from sessions_app.models.notices import WAITING_STATES, Cause, DeliveryState
from sessions_app.notices.outgoing import GONE, NotSent, send

log = logging.getLogger(__name__)

# Longer than all time-outs of one attempt together.
CLAIM = timedelta(seconds=60)
FIRST_WAIT = timedelta(seconds=30)
LONGEST_WAIT = timedelta(hours=1)
# With these waits, five hours without success.
MOST_ATTEMPTS = 12

_IS_FREE = Q(claimed_until=None) | Q(claimed_until__lt=Now())
_IS_DUE = Q(state__in=WAITING_STATES) & (Q(next_attempt_at=None) | Q(next_attempt_at__lte=Now())) & _IS_FREE
_IS_AWAKE = Q(channel__rests_until=None) | Q(channel__rests_until__lte=Now()) | Q(notice__cause=Cause.TEST)


def due_deliveries(channel_id: int | None = None) -> list[int]:
    """Return the id of each channel's oldest due delivery, of channels that nobody is at and that do not rest."""
    busy = Delivery.objects.filter(
        channel=OuterRef("channel"), state__in=WAITING_STATES, claimed_until__gte=Now()
    )
    due = Delivery.objects.filter(_IS_DUE, _IS_AWAKE, ~Exists(busy))
    if channel_id is not None:
        due = due.filter(channel=channel_id)
    first = due.order_by().values("channel").annotate(first=Min("pk"))
    return sorted(first.values_list("first", flat=True))


def deliver(delivery_id: int) -> Delivery | None:
    """Try a due delivery once; None where it is not due or somebody else is at it. Raises nothing of its outcome."""
    if not _claim(delivery_id):
        return None
    # Channel and organization hold secrets that may not be readable: they are read where that counts as a failure.
    delivery = Delivery.objects.select_related("notice").get(pk=delivery_id)
    try:
        why_not = _why_not(delivery.channel)
        if why_not:
            _end(delivery, DeliveryState.GAVE_UP, error=why_not)
        else:
            _sent(delivery, send(delivery))
    except NotSent as problem:
        _not_sent(delivery, problem)
    except ValidationError as problem:
        _end(delivery, DeliveryState.GAVE_UP, error=problem.messages[0])
    except Exception as problem:  # Its words may quote an address or a secret.
        kind = type(problem).__name__
        log.error("notice not tried", extra={"delivery": delivery.pk, "kind": kind})
        _not_sent(delivery, NotSent(f"Could not be tried ({kind}).", is_receivers=False))
    delivery.refresh_from_db(fields=["state", "error", "http_status", "next_attempt_at"])
    log.info("notice tried", extra={"delivery": delivery.pk, "state": delivery.state})
    return delivery


def try_again(delivery: Delivery) -> bool:
    """Queue anew what was given up. False where it is not given up any more."""
    with transaction.atomic():
        Channel.objects.filter(pk=delivery.channel_id).update(rests_until=None)
        return bool(
            Delivery.objects.filter(pk=delivery.pk, state=DeliveryState.GAVE_UP).update(
                state=DeliveryState.QUEUED, attempts=0, next_attempt_at=None, error=""
            )
        )


def _claim(delivery_id: int) -> int:
    due = Delivery.objects.filter(_IS_DUE, pk=delivery_id)
    return due.update(
        claimed_until=Now() + CLAIM, claim_number=F("claim_number") + 1, attempts=F("attempts") + 1
    )


def _why_not(channel: Channel) -> str:
    """What has changed about a channel since a notice was queued for it; '' for nothing."""
    if channel.removed_at is not None:
        return "The channel was removed."
    if not channel.is_enabled:
        return "The channel is switched off."
    owner = channel.owner
    if owner is not None and not owner.has_perm("sessions_app.own_channel"):
        return "Its owner may have no channels any more."
    return ""


def _sent(delivery: Delivery, status: int | None) -> None:
    _end(delivery, DeliveryState.SENT, http_status=status, error="", sent_at=Now())
    Channel.objects.filter(pk=delivery.channel_id).exclude(rests_until=None).update(rests_until=None)


def _not_sent(delivery: Delivery, problem: NotSent) -> None:
    is_over = problem.status == GONE or delivery.notice.cause == Cause.TEST
    if is_over or delivery.attempts >= MOST_ATTEMPTS:
        tried = f" Given up after {delivery.attempts} attempts." if not is_over else ""
        _end(delivery, DeliveryState.GAVE_UP, http_status=problem.status, error=f"{problem}{tried}")
        return
    wait = min(FIRST_WAIT * 2 ** min(delivery.attempts - 1, 10), LONGEST_WAIT)
    if problem.retry_after is not None:
        wait = max(wait, min(timedelta(seconds=problem.retry_after), LONGEST_WAIT))
    _end(
        delivery,
        DeliveryState.FAILED,
        http_status=problem.status,
        error=str(problem),
        next_attempt_at=Now() + wait,
    )
    if problem.is_receivers:
        Channel.objects.filter(pk=delivery.channel_id).update(rests_until=Now() + wait)


def _end(delivery: Delivery, state: DeliveryState, **columns: object) -> None:
    """Write the outcome of a claim, unless it ran out and another worker has the delivery now."""
    mine = Delivery.objects.filter(
        pk=delivery.pk, claim_number=delivery.claim_number, state__in=WAITING_STATES
    )
    mine.update(state=state, claimed_until=None, **columns)
