"""The address that Vapi's server messages are sent to: checked, stored, answered; nothing else happens in it."""

from __future__ import annotations

import logging

from django.conf import settings
from django.http import HttpRequest, JsonResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from sessions_app.webhooks.checks import Delivery, matching_secret
from sessions_app.webhooks.inbox import digest_of, store_message
from sessions_app.webhooks.messages import BadMessage, read_message
from sessions_app.webhooks.nudge import nudge
from sessions_app.webhooks.receivers import find_receiver

log = logging.getLogger(__name__)

MOST_BYTES = 8_000_000


@csrf_exempt
@require_POST
def receive(request: HttpRequest, organization: str) -> JsonResponse:
    """Take one server message: 200 once it is stored; 401, 404, 413 or 400 and nothing stored otherwise."""
    receiver = find_receiver(organization)
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
