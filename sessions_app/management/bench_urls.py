"""What webhooks are measured against: on the same server, the least that a view can do that keeps a message."""

from __future__ import annotations

from uuid import uuid4

from django.http import HttpRequest, JsonResponse
from django.urls import include, path
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt

from sessions_app.models import Organization, WebhookEvent

_organization_ids: list[int] = []


@csrf_exempt
def insert_one_row(request: HttpRequest) -> JsonResponse:
    if not _organization_ids:
        _organization_ids.extend(Organization.objects.values_list("pk", flat=True)[:1])
    WebhookEvent.objects.create(
        organization_id=_organization_ids[0],
        digest=uuid4().hex,
        body_json=request.body.decode(),
        received_at=timezone.now(),
    )
    return JsonResponse({})


urlpatterns = [path("minimal/", insert_one_row), path("", include("vapiadmin.urls"))]
