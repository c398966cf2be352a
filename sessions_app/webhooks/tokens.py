"""The address where Vapi asks for an access token, as its OAuth2AuthenticationPlan lets it: client credentials alone.

RFC 6749, 4.4: the client proves itself by HTTP Basic or in the body; which of them Vapi uses is documented nowhere, so
both are taken. What it is given opens that organization's webhook address and nothing else.
"""

from __future__ import annotations

import base64
import logging
from urllib.parse import unquote_plus

from django.http import HttpRequest, JsonResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from sessions_app.webhooks.checks import TOKEN_LIFETIME, is_client, issue_token
from sessions_app.webhooks.receivers import find_receiver

log = logging.getLogger(__name__)


@csrf_exempt
@require_POST
def give_token(request: HttpRequest, organization: str) -> JsonResponse:
    """Answer an access token for one hour; 400 or 401 with an error of RFC 6749 otherwise."""
    if request.POST.get("grant_type") != "client_credentials":
        return _refuse(400, "unsupported_grant_type" if request.POST.get("grant_type") else "invalid_request")
    client_id, client_secret = _credentials(request)
    receiver = find_receiver(organization)
    clients = [
        secret
        for secret in (receiver.secrets if receiver else ())
        if is_client(secret, client_id, client_secret)
    ]
    if not clients:
        log.warning("access token refused")
        return _refuse(401, "invalid_client")
    token = {
        "access_token": issue_token(clients[0], timezone.now()),
        "token_type": "Bearer",
        "expires_in": int(TOKEN_LIFETIME.total_seconds()),
    }
    return JsonResponse(token, headers={"Cache-Control": "no-store"})


def _credentials(request: HttpRequest) -> tuple[str, str]:
    scheme, _, encoded = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return request.POST.get("client_id", ""), request.POST.get("client_secret", "")
    try:
        text = base64.b64decode(encoded.strip(), validate=True).decode()
    except ValueError:  # No base64, or no text.
        return "", ""
    client_id, _, client_secret = text.partition(":")
    # Both are form-encoded before they are joined.
    return unquote_plus(client_id), unquote_plus(client_secret)


def _refuse(status: int, error: str) -> JsonResponse:
    headers = {"Cache-Control": "no-store"} | ({"WWW-Authenticate": "Basic"} if status == 401 else {})
    return JsonResponse({"error": error}, status=status, headers=headers)
