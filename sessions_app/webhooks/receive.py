"""The address that Vapi's server messages are sent to: checked, stored, answered; nothing else happens in it."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from django.conf import settings
from django.db.models import FilteredRelation, Q
from django.http import HttpRequest, JsonResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from sessions_app.mirror.connection import DEFAULT_SLUG
from sessions_app.models import Organization
from sessions_app.webhooks.checks import Delivery, Secret, every_form_of, matching_secret
from sessions_app.webhooks.inbox import digest_of, store_message
from sessions_app.webhooks.messages import BadMessage, read_message
from sessions_app.webhooks.nudge import nudge

log = logging.getLogger(__name__)

MOST_BYTES = 8_000_000


@dataclass(frozen=True)
class _Receiver:
    organization_id: int
    secrets: tuple[Secret, ...]


@csrf_exempt
@require_POST
def receive(request: HttpRequest, organization: str) -> JsonResponse:
    """Take one server message: 200 once it is stored; 401, 404, 413 or 400 and nothing stored otherwise."""
    receiver = _find_receiver(organization)
    if receiver is None:
        return _answer(404, "No such organization.")
    body = _read_body(request)
    if body is None:
        return _answer(413, f"A message may have {MOST_BYTES} bytes.")
    delivery = Delivery(request.method or "", _signed_url(request), request.headers, body, timezone.now())
    secret = matching_secret(delivery, receiver.secrets)
    if secret is None:
        log.warning("server message refused", extra={"organization": receiver.organization_id})
        return _answer(401, "The message does not carry this organization's secret.")
    try:
        message = read_message(body)
    except BadMessage as problem:
        return _answer(400, f"No server message: {problem}.")
    digest = digest_of(body, delivery.header(secret.id_header) if secret.id_header else "")
    store_message(receiver.organization_id, digest, message)
    nudge()
    return JsonResponse({})


def _find_receiver(slug: str) -> _Receiver | None:
    """The organization and its accepted secrets, in one query; None for one that is unknown or not active."""
    accepted = FilteredRelation("webhook_secrets", condition=Q(webhook_secrets__retired_at=None))
    rows = list(
        Organization.objects.active()
        .filter(slug=slug)
        .annotate(accepted=accepted)
        .order_by()
        .values_list("pk", "accepted__kind", "accepted__secret", "accepted__options")
    )
    if not rows:
        return None
    secrets = [Secret(kind, secret, options or {}) for _, kind, secret, options in rows if kind]
    if slug == DEFAULT_SLUG:
        secrets += every_form_of(settings.VAPI_WEBHOOK_SECRET)
    return _Receiver(rows[0][0], tuple(secrets))


def _read_body(request: HttpRequest) -> bytes | None:
    """None where it is too long: Django's own limit for forms does not fit."""
    try:
        announced = int(request.META.get("CONTENT_LENGTH") or 0)
    except ValueError:
        announced = 0
    return None if announced > MOST_BYTES else request.read(MOST_BYTES)


def _signed_url(request: HttpRequest) -> str:
    """The address as Vapi knows it, which a proxy may have changed."""
    return f"{settings.PUBLIC_URL}{request.get_full_path()}"


def _answer(status: int, words: str) -> JsonResponse:
    return JsonResponse({"detail": words}, status=status)
