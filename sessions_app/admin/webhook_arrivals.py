"""What messages told against what polling found: which assistants send none, and what share never came."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.contrib import admin
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.core.exceptions import PermissionDenied
from django.db.models import Count, Exists, Min, OuterRef, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone

from sessions_app.admin.names import Names, read_names
from sessions_app.mirror.connection import DEFAULT_SLUG
from sessions_app.models import Chat, Organization, Session, WebhookEvent, WebhookSecret

PERIODS = ((1, "24 hours"), (7, "7 days"), (30, "30 days"))
# What is younger may still be on its way.
_ON_ITS_WAY = timedelta(minutes=2)


@dataclass(frozen=True)
class Arrivals:
    """How many of an assistant's new sessions or chats were told of by a message."""

    organization: str
    what: str
    assistant_id: str
    squad_id: str
    assistant: str
    found: int
    told: int

    @property
    def never_came(self) -> int:
        return self.found - self.told

    @property
    def share(self) -> str:
        if not self.never_came or not self.told:
            return "100 %" if self.never_came else "0 %"
        return f"{min(max(100 * self.never_came / self.found, 0.1), 99.9):.1f} %"


def arrivals_view(request: HttpRequest) -> HttpResponse:
    if not request.user.has_perm("sessions_app.view_webhookevent"):
        raise PermissionDenied
    asked = request.GET.get("days", "")
    days = int(asked) if asked in {str(known) for known, _ in PERIODS} else PERIODS[0][0]
    rows = read_arrivals(request.user, timezone.now() - timedelta(days=days))
    context = {
        **admin.site.each_context(request),
        "title": "Messages that never came",
        "rows": rows,
        "days": days,
        "periods": PERIODS,
        "silent": sum(1 for row in rows if not row.told),
        "many_organizations": len({row.organization for row in rows}) > 1,
        "deaf": _deaf_organizations(request.user),
    }
    return TemplateResponse(request, "admin/webhooks/arrivals.html", context)


def read_arrivals(who: AbstractBaseUser | AnonymousUser, since: datetime) -> list[Arrivals]:
    """Count rows created at Vapi since then, or since the organization first took messages. Worst first."""
    counted = list(_count(who, since))
    names = read_names(who, [remote_id for row in counted for remote_id in row[2:4]])
    rows = [
        Arrivals(organization, what, assistant, squad, _name(names, assistant, squad), found, told)
        for organization, what, assistant, squad, found, told in counted
    ]
    return sorted(rows, key=lambda row: (row.told / row.found, -row.found, row.assistant))


def _count(
    who: AbstractBaseUser | AnonymousUser, since: datetime
) -> Iterator[tuple[str, str, str, str, int, int]]:
    now = timezone.now()
    for organization, first in _listening(who):
        # Of messages that were pruned nobody can say that they never came.
        kept_days = organization.event_retention_days
        kept_since = since if kept_days is None else now - timedelta(days=kept_days)
        for model, what in ((Session, "session"), (Chat, "chat")):
            told = WebhookEvent.objects.filter(
                organization=organization, remote_id=OuterRef("pk"), kind=f"{what}.created"
            )
            rows = model.objects.visible_to(who).filter(
                organization=organization,
                created_at__gte=max(since, first or since, kept_since),
                created_at__lt=now - _ON_ITS_WAY,
            )
            # Two statements: a condition of the rows is joined at once, one of the count is looked up row by row.
            count_told = _by_assistant(rows.filter(Exists(told)))
            for key, found in _by_assistant(rows).items():
                yield str(organization), what, *key, found, count_told.get(key, 0)


def _by_assistant(rows: QuerySet[Any]) -> dict[tuple[str, str], int]:
    groups = rows.order_by().values_list("assistant_id", "squad_id").annotate(found=Count("pk"))
    return {(assistant, squad): found for assistant, squad, found in groups}


def _listening(who: AbstractBaseUser | AnonymousUser) -> list[tuple[Organization, datetime | None]]:
    """Organizations that take messages, and since when; None where it is not known (the environment's secret)."""
    visible = Organization.objects.visible_to(who).active()
    firsts = dict(
        WebhookSecret.objects.values_list("organization").annotate(first=Min("created_at")).order_by()
    )
    return [(each, firsts.get(each.pk)) for each in visible if each.pk in firsts or _has_environment(each)]


def _deaf_organizations(who: AbstractBaseUser | AnonymousUser) -> list[Organization]:
    accepted = WebhookSecret.objects.filter(organization=OuterRef("pk"), retired_at=None)
    visible = Organization.objects.visible_to(who).active().filter(~Exists(accepted))
    return [each for each in visible if not _has_environment(each)]


def _has_environment(organization: Organization) -> bool:
    return organization.slug == DEFAULT_SLUG and bool(settings.VAPI_WEBHOOK_SECRET)


def _name(names: Names, assistant_id: str, squad_id: str) -> str:
    return names.assistant(assistant_id) or names.squad(squad_id) or "Without an assistant"
