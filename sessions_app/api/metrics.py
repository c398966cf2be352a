"""/metrics in Prometheus' text format: for a token that may read sync runs, and for programs on this machine.

Numbers only: no id, name or word of a customer. Counters only ever grow; they come from the database, so it does not
matter which web process answers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Max, Q, Sum
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from sessions_app.api.authentication import TokenAuthentication
from sessions_app.edits.claims import due_edits
from sessions_app.mirror import bucket
from sessions_app.models import (
    ApiToken,
    Edit,
    Heartbeat,
    Organization,
    RequestTally,
    SyncRun,
    SyncWindow,
    Watermark,
    WebhookEvent,
)
from sessions_app.models.access import Scope
from sessions_app.models.runs import RunState, Stream
from sessions_app.models.webhooks import EventState

_LOOPBACK = ("127.0.0.1", "::1")
# Where one of these stands, a proxy on this machine speaks for somebody else.
_FORWARDED = ("X-Forwarded-For", "X-Real-Ip", "Forwarded")
_MOST_DUE = 10_000
_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Labels = dict[str, str]


@dataclass(frozen=True)
class Metric:
    name: str
    kind: str
    about: str
    samples: list[tuple[Labels, float]]

    def lines(self) -> Iterator[str]:
        yield f"# HELP vapiadmin_{self.name} {self.about}"
        yield f"# TYPE vapiadmin_{self.name} {self.kind}"
        for labels, value in self.samples:
            inside = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels.items())
            yield f"vapiadmin_{self.name}{{{inside}}} {value:.12g}"


@never_cache
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Answer the figures; 401 to an unknown token, 403 to whoever has none and is not on this machine."""
    try:
        found = TokenAuthentication().authenticate(Request(request))
    except AuthenticationFailed as problem:
        return HttpResponse(f"{problem.detail}\n", status=401, content_type="text/plain")
    token = found[1] if found else None
    if token is None and not _is_local(request):
        return HttpResponse("A token is needed.\n", status=403, content_type="text/plain")
    if token is not None and Scope.RUNS_READ not in token.scopes:
        return HttpResponse(
            f"The scope {Scope.RUNS_READ} is needed.\n", status=403, content_type="text/plain"
        )
    lines = [line for metric in _read(_organizations(token)) for line in metric.lines()]
    return HttpResponse("\n".join(lines) + "\n", content_type=_TYPE)


def _is_local(request: HttpRequest) -> bool:
    forwarded = any(name in request.headers for name in _FORWARDED)
    return request.META.get("REMOTE_ADDR") in _LOOPBACK and not forwarded


def _organizations(token: ApiToken | None) -> dict[int, str]:
    rows = Organization.objects.all() if token is None else Organization.objects.visible_to(token)
    return dict(rows.values_list("pk", "slug"))


def _read(slugs: dict[int, str]) -> Iterable[Metric]:
    now = timezone.now()
    yield from _requests(slugs)
    yield from _buckets(slugs)
    yield from _queues(slugs)
    yield from _ages(slugs, now)
    seen = Heartbeat.objects.values_list("kind", "seen_at")
    yield Metric(
        "seen_seconds_ago",
        "gauge",
        "Seconds since a worker and a beat were last seen.",
        [({"kind": kind}, (now - at).total_seconds()) for kind, at in seen],
    )


def _requests(slugs: dict[int, str]) -> Iterator[Metric]:
    rows = list(
        RequestTally.objects.filter(organization__in=slugs)
        .values_list("organization_id", "purpose", "outcome")
        .annotate(Sum("count"), Sum("waited_milliseconds"), Sum("took_milliseconds"))
        .order_by("organization_id", "purpose", "outcome")
    )
    keyed = [
        ({"organization": slugs[pk], "purpose": purpose, "outcome": outcome}, sums)
        for pk, purpose, outcome, *sums in rows
    ]
    yield Metric(
        "requests_total",
        "counter",
        "Requests to Vapi; outcome unsent: given up for want of budget.",
        [(labels, sums[0]) for labels, sums in keyed],
    )
    yield Metric(
        "request_wait_seconds_total",
        "counter",
        "Seconds that requests waited for the budget.",
        [(labels, sums[1] / 1000) for labels, sums in keyed],
    )
    yield Metric(
        "request_seconds_total",
        "counter",
        "Seconds from sending to the answer.",
        [(labels, sums[2] / 1000) for labels, sums in keyed],
    )


def _buckets(slugs: dict[int, str]) -> Iterator[Metric]:
    levels = {slug: bucket.look(pk) for pk, slug in slugs.items()}
    for name, about in (
        ("tokens", "Requests that may be sent at once."),
        ("slots_in_use", "Requests under way."),
        ("cool_down_seconds", "Seconds until anybody may ask again after a 429."),
    ):
        samples = [
            ({"organization": slug}, float(getattr(level, name) or 0)) for slug, level in levels.items()
        ]
        yield Metric(f"budget_{name}", "gauge", about, samples)


def _queues(slugs: dict[int, str]) -> Iterator[Metric]:
    yield Metric("edits_due", "gauge", "Edits whose turn it is.", [({}, len(due_edits(limit=_MOST_DUE)))])
    edits = Edit.objects.filter(organization__in=slugs, state__in=("queued", "sending", "conflict"))
    by_state = edits.values_list("organization_id", "state").annotate(Count("pk")).order_by()
    yield Metric(
        "edits",
        "gauge",
        "Edits that are not settled.",
        [({"organization": slugs[pk], "state": state}, count) for pk, state, count in by_state],
    )
    waiting = WebhookEvent.objects.filter(organization__in=slugs, state=EventState.RECEIVED)
    counts = dict(waiting.values_list("organization_id").annotate(Count("pk")).order_by())
    yield Metric(
        "webhook_events_waiting",
        "gauge",
        "Server messages that wait to be processed.",
        [({"organization": slug}, counts.get(pk, 0)) for pk, slug in slugs.items()],
    )
    windows = SyncWindow.objects.filter(organization__in=slugs).values_list("organization_id", "stream")
    unfinished = windows.annotate(left=Count("pk", filter=Q(finished_at=None))).order_by()
    yield Metric(
        "windows_open",
        "gauge",
        "Windows of a full sync that are not read yet.",
        [({"organization": slugs[pk], "stream": stream}, count) for pk, stream, count in unfinished],
    )


def _ages(slugs: dict[int, str], now: datetime) -> Iterator[Metric]:
    marks = Watermark.objects.filter(organization__in=slugs, backfilled_at__isnull=False)
    reached = {
        (pk, stream): at
        for pk, stream, at in marks.values_list("organization_id", "stream", "updated_at")
        if at is not None
    }
    names = SyncRun.objects.filter(
        organization__in=slugs, stream=Stream.NAMES, state__in=(RunState.SUCCEEDED, RunState.PARTIAL)
    )
    for pk, at in names.values_list("organization_id").annotate(Max("started_at")).order_by():
        reached[pk, Stream.NAMES.value] = at
    yield Metric(
        "data_age_seconds",
        "gauge",
        "Seconds since the moment up to which a stream has been read whole; absent before the first full sync.",
        [
            ({"organization": slugs[pk], "stream": stream}, max(0.0, (now - at).total_seconds()))
            for (pk, stream), at in sorted(reached.items())
        ],
    )


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
