"""For whoever watches the processes: is this one alive, and is the whole ready to be used?

Both answer without a login and say nothing of what is stored.
"""

from __future__ import annotations

from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from sessions_app.heartbeats import silent_kinds
from sessions_app.models.schema import how_to_migrate, pending_migrations


@never_cache
@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    """200 while this process answers at all; asks neither the database nor the broker."""
    return HttpResponse("ok\n", content_type="text/plain")


@never_cache
@require_safe
def readyz(request: HttpRequest) -> JsonResponse:
    """200 when the database is there and up to date and worker and beat are at work; else 503 and what is not."""
    problems = _problems()
    return JsonResponse({"ready": not problems, "problems": problems}, status=503 if problems else 200)


def _problems() -> list[str]:
    try:
        pending = pending_migrations()
        if pending:
            return [f"{len(pending)} migrations are not applied: {how_to_migrate(pending)}."]
        return [f"No {kind} was seen for two minutes: nothing is synced or sent." for kind in silent_kinds()]
    except DatabaseError:
        return ["The database does not answer."]
