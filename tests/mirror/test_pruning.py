"""Age limits: what is past them goes, what waits or is held stays."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.models import Model
from django.utils import timezone

from sessions_app.mirror.holds import set_hold
from sessions_app.mirror.pruning import prune
from sessions_app.models import (
    FieldChange,
    LegalHold,
    Organization,
    QuarantinedRecord,
    SyncRun,
    WebhookEvent,
)
from sessions_app.tasks import prune as prune_task
from tests.search.rows import make_session

pytestmark = pytest.mark.django_db
# As an organization has them at first.
BODY_DAYS, EVENT_DAYS, QUARANTINE_DAYS, RUN_DAYS = 30, 180, 180, 180


def ago(days: float) -> datetime:
    return timezone.now() - timedelta(days=days)


def change(organization: Organization, session_id: str, days: float) -> None:
    FieldChange.objects.create(
        organization=organization,
        session_id=session_id,
        source="sync",
        seen_at=ago(days),
        updated_at=ago(days),
    )


def test_history_has_the_age_limit_of_its_organization(organization: Organization) -> None:
    organization.history_retention_days = 10
    organization.save()
    make_session(organization, "held")
    set_hold(organization, "session", "held", "a case", "Ada")
    for session_id, days in (("old", 11), ("young", 9), ("held", 99)):
        change(organization, session_id, days)

    assert prune().changes == 1

    assert set(FieldChange.objects.values_list("session_id", flat=True)) == {"young", "held"}


@pytest.mark.parametrize("model", [FieldChange, WebhookEvent])
def test_a_hold_that_is_set_while_old_things_go_keeps_them(
    organization: Organization, monkeypatch: pytest.MonkeyPatch, model: type[Model]
) -> None:
    """It is set when what goes has been chosen, and before it is deleted or emptied."""
    Organization.objects.update(history_retention_days=10, event_retention_days=None)
    make_session(organization, "held")
    change(organization, "held", 99)
    WebhookEvent.objects.create(
        organization=organization, digest="a", remote_id="held", received_at=ago(99), state="processed",
        body_json="{}",
    )  # fmt: skip
    table = model._meta.db_table

    def hold_meanwhile(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        goes = sql.startswith(("DELETE", "UPDATE")) and table in sql
        if goes and not LegalHold.objects.exists():
            set_hold(organization, "session", "held", "a case", "Ada")
        return execute(sql, params, many, context)

    with connection.execute_wrapper(hold_meanwhile):
        prune()

    assert LegalHold.objects.exists()
    if model is FieldChange:
        assert FieldChange.objects.exists()
    assert WebhookEvent.objects.get().body_json == "{}"


def test_history_without_a_limit_stays(organization: Organization) -> None:
    organization.history_retention_days = None
    organization.save()
    change(organization, "old", 9999)
    assert prune().changes == 0


def test_bodies_go_first_and_events_later_but_never_what_waits(organization: Organization) -> None:
    def event(digest: str, days: float, state: str = "processed") -> None:
        WebhookEvent.objects.create(
            organization=organization, digest=digest, received_at=ago(days), state=state, body_json="{}"
        )

    event("young", BODY_DAYS - 1)
    event("old", BODY_DAYS + 1)
    event("oldest", EVENT_DAYS + 1)
    event("waits", EVENT_DAYS + 1, "received")

    pruned = prune()

    assert pruned.events == 1
    assert dict(WebhookEvent.objects.values_list("digest", "body_json")) == {
        "young": "{}",
        "old": "",
        "waits": "{}",
    }


def test_quarantine(organization: Organization) -> None:
    def record(remote_id: str, seen: float, **columns: Any) -> None:
        QuarantinedRecord.objects.create(
            organization=organization, stream="sessions", remote_id=remote_id, reason="odd",
            first_seen_at=ago(seen), last_seen_at=ago(seen), **columns,
        )  # fmt: skip

    record("comes again", 1)
    record("old", QUARANTINE_DAYS + 1)

    assert prune().quarantined == 1
    assert QuarantinedRecord.objects.get().remote_id == "comes again"


def test_of_runs_the_newest_that_succeeded_stays(organization: Organization) -> None:
    def run(state: str, days: float) -> int:
        created = SyncRun.objects.create(
            organization=organization, stream="sessions", kind="incremental", state=state,
            started_at=ago(days), finished_at=None if state == "running" else ago(days),
        )  # fmt: skip
        return created.pk

    older, newest = run("succeeded", RUN_DAYS + 3), run("succeeded", RUN_DAYS + 2)
    failed, running = run("failed", RUN_DAYS + 1), run("running", RUN_DAYS + 1)

    prune_task()

    assert set(SyncRun.objects.values_list("pk", flat=True)) == {newest, running}
    assert {older, failed}.isdisjoint(SyncRun.objects.values_list("pk", flat=True))
