"""Registers every page of ours. Imported once all applications are ready: registering makes the admin site, which
this package holds, so its `__init__` cannot do it."""

from __future__ import annotations

from axes.models import AccessAttempt, AccessFailureLog, AccessLog
from django.contrib import admin
from django_celery_beat import models as beat

from sessions_app.admin import (
    audit,
    bulk,
    chats,
    costlines,
    deliveries,
    drift,
    edits,
    holds,
    organizations,
    people,
    quarantine,
    runs,
    sessions,
    tokens,
    webhooks,
)

__all__ = [
    "audit",
    "bulk",
    "chats",
    "costlines",
    "deliveries",
    "drift",
    "edits",
    "holds",
    "organizations",
    "people",
    "quarantine",
    "runs",
    "sessions",
    "tokens",
    "webhooks",
]

# Their pages are Django's own, unstyled, and change what the code sets at every start.
_NOT_OURS = (
    AccessAttempt,
    AccessFailureLog,
    AccessLog,
    beat.PeriodicTask,
    beat.ClockedSchedule,
    beat.CrontabSchedule,
    beat.SolarSchedule,
    beat.IntervalSchedule,
)
admin.site.unregister([model for model in _NOT_OURS if admin.site.is_registered(model)])
