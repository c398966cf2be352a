"""`manage.py prune`: let go now of what is past its age limit, as every night does."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from sessions_app.management.exits import demand_migrated
from sessions_app.mirror import forgetting, pruning


class Command(BaseCommand):
    help = (
        "Let go of what is past its age: history, server messages, quarantine, runs, notices, and, where an "
        "organization has a retention of its own, payloads and rows. What a legal hold keeps stays."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        demand_migrated()
        records, kept = pruning.prune(), forgetting.prune_retained()
        self.stdout.write(
            f"{records.changes} changes, {records.bodies} message bodies, {records.events} messages, "
            f"{records.quarantined} quarantined records, {records.runs} runs, {records.notices} notices, "
            f"{kept.payloads} payloads and {kept.rows} rows let go."
        )
