"""Our own retention: what goes, what stays, and that no later sync brings back what was let go."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.models import Q, Sum
from django.utils import timezone

from sessions_app.mirror import forgetting
from sessions_app.mirror.forgetting import digest_of, forget_rows, forgotten_among, prune_retained
from sessions_app.mirror.holds import set_hold
from sessions_app.mirror.quarantine import quarantine
from sessions_app.mirror.reconcile import reconcile_stream
from sessions_app.mirror.sync import sync_organization
from sessions_app.mirror.tables import CHATS, SESSIONS, MirrorTable
from sessions_app.mirror.writer import mirror_sessions
from sessions_app.models import (
    Chat,
    CostLine,
    CostRollup,
    Coverage,
    FieldChange,
    ForgottenId,
    NumberSuffix,
    Organization,
    QuarantinedRecord,
    Session,
    SessionPayload,
)
from sessions_app.models.forgetting import ForgottenReason
from sessions_app.models.runs import Stream
from sessions_app.search.box import search_sessions
from sessions_app.search.words import matching_session_ids
from sessions_app.vapi.payloads import SessionRecord
from tests.admin.rows import mirror_chat, mirror_session
from tests.mirror.conftest import NOON
from tests.mirror.locks import beside_the_next_write, wait_until_it_waits
from tests.sandbox_process import SandboxProcess

pytestmark = pytest.mark.django_db
Record = Callable[..., SessionRecord]


def keep(organization: Organization, **days: int) -> None:
    Organization.objects.filter(pk=organization.pk).update(**days)
    organization.refresh_from_db()


def write(organization: Organization, *records: SessionRecord) -> None:
    mirror_sessions(organization, records, asked_at=NOON)


def test_payloads_go_and_names_stay(organization: Organization, record: Record) -> None:
    keep(organization, payload_retention_days=10)
    customer = {"number": "+4915112345678", "name": "Jörg"}
    write(organization, record("old", customer=customer), record("held"))
    write(organization, record("young", updatedAt=timezone.now().isoformat()))
    set_hold(organization, "session", "held", "a case", "Ada")

    assert prune_retained().payloads == 1

    assert set(SessionPayload.objects.values_list("pk", flat=True)) == {"held", "young"}
    assert Session.objects.count() == 3
    assert set(matching_session_ids("words")) == {"held", "young"}
    assert set(matching_session_ids("jorg", names_too=True)) == {"old"}
    assert prune_retained().payloads == 0


def test_whole_rows_go_and_their_sums_stay(organization: Organization, record: Record) -> None:
    keep(organization, row_retention_days=10)
    costs = [{"type": "model", "cost": 0.25}, {"type": "voice", "cost": 0.5}]
    customer = {"number": "+4915112345678"}
    write(organization, record("old", cost=0.75, costs=costs, customer=customer), record("held"))
    set_hold(organization, "session", "held", "a case", "Ada")

    assert prune_retained().rows == 1

    assert list(Session.objects.values_list("pk", flat=True)) == ["held"]
    assert not NumberSuffix.objects.exists()
    assert not FieldChange.objects.exists()
    assert set(matching_session_ids("words")) == {"held"}
    lines = CostLine.objects.filter(parent_id__contains="forgotten-")
    total = lines.aggregate(total=Sum("cost_usd"))["total"]
    rolled = CostRollup.objects.filter(is_itemized=True).aggregate(total=Sum("cost_usd"))["total"]
    assert total == rolled
    assert total * 4 == 3
    assert not CostLine.objects.filter(session_id="old").exists()


@pytest.mark.parametrize("table", [CHATS, SESSIONS], ids=["chats", "sessions"])
def test_the_cost_lines_of_what_goes_are_found_by_index(
    organization: Organization, table: MirrorTable
) -> None:
    mirror_session(organization, "old", costs=[{"type": "model", "cost": 0.25}])
    mirror_chat(organization, "of-old", sessionId="old", costs=[{"type": "model", "cost": 0.5}])
    CostLine.objects.bulk_create(
        CostLine(
            id=f"session:s{i}:0", organization=organization, source="session", parent_id=f"s{i}",
            session_id=f"s{i}", position=0, occurred_at=NOON,
        )
        for i in range(5000)
    )  # fmt: skip
    asked: list[tuple[str, Any]] = []

    def note(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if CostLine._meta.db_table in sql:
            asked.append((sql, params))
        return execute(sql, params, many, context)

    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
        with connection.execute_wrapper(note):
            gone = {CHATS: "of-old", SESSIONS: "old"}[table]
            assert forget_rows(organization, table, [gone], ForgottenReason.PRUNED) == 1
        word = "EXPLAIN" if connection.vendor == "postgresql" else "EXPLAIN QUERY PLAN"
        for sql, params in asked:
            cursor.execute(f"{word} {sql}", params)
            plan = "\n".join(str(row[-1]) for row in cursor.fetchall())
            assert "SCAN sessions_app_costline" not in plan
            assert "Seq Scan on sessions_app_costline" not in plan
    column = "chat_id" if table is CHATS else "session_id"
    named = CostLine.objects.filter(**{f"{column}__startswith": "forgotten-"})
    assert {line.source for line in named} == ({"chat"} if table is CHATS else {"session", "chat"})
    assert not CostLine.objects.filter(Q(parent_id=gone) | Q(**{column: gone})).exists()


def test_a_session_that_goes_on_while_old_ones_are_pruned_stays(
    organization: Organization, record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(organization, row_retention_days=10)
    write(organization, record("goes on"), record("old"))

    def go_on_meanwhile(*args: Any, **options: Any) -> int:
        write(organization, record("goes on", updatedAt=timezone.now().isoformat()))
        return forget_rows(*args, **options)

    monkeypatch.setattr(forgetting, "forget_rows", go_on_meanwhile)

    assert prune_retained().rows == 1
    assert list(Session.objects.values_list("pk", flat=True)) == ["goes on"]
    assert forgotten_among(organization, Stream.SESSIONS, ["goes on", "old"]) == {"old"}


def test_the_words_of_a_session_that_goes_on_while_old_ones_are_pruned_stay(
    organization: Organization, record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(organization, payload_retention_days=10)
    write(organization, record("goes on"), record("old"))
    atomic = transaction.atomic

    def go_on_meanwhile() -> Any:
        monkeypatch.undo()
        write(organization, record("goes on", updatedAt=timezone.now().isoformat()))
        return atomic()

    monkeypatch.setattr(transaction, "atomic", go_on_meanwhile)

    assert prune_retained().payloads == 1
    assert set(SessionPayload.objects.values_list("pk", flat=True)) == {"goes on"}
    assert set(matching_session_ids("words")) == {"goes on"}


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor == "sqlite", reason="one writer at a time")
@pytest.mark.parametrize("age", ["row_retention_days", "payload_retention_days"])
def test_a_session_that_is_being_written_when_pruning_comes_to_it_stays(
    organization: Organization, record: Record, monkeypatch: pytest.MonkeyPatch, age: str
) -> None:
    """Pruning waits for the row, and finds it young."""
    keep(organization, **{age: 10})
    write(organization, record("goes on"))
    beside = beside_the_next_write(monkeypatch, prune_retained)
    write(organization, record("goes on", updatedAt=timezone.now().isoformat()))
    beside.join()

    assert Session.objects.filter(pk="goes on", stored_payload__isnull=False).exists()
    assert set(matching_session_ids("words")) == {"goes on"}


ANN = {"number": "+4915199988877"}


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor == "sqlite", reason="one writer at a time")
def test_a_number_is_found_whose_old_session_is_pruned_while_a_new_one_is_written(
    organization: Organization, record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(organization, record("old", customer=ANN))
    beside = beside_the_next_write(
        monkeypatch, lambda: forget_rows(organization, SESSIONS, ["old"], ForgottenReason.PRUNED)
    )
    write(organization, record("new", customer=ANN))
    beside.join()

    assert [found.pk for found in search_sessions(Session.objects.all(), "99988877")] == ["new"]


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor == "sqlite", reason="one writer at a time")
def test_a_number_is_found_whose_new_session_is_written_while_an_old_one_is_pruned(
    organization: Organization, record: Record
) -> None:
    write(organization, record("old", customer=ANN))

    def write_new() -> None:
        write(organization, record("new", customer=ANN))
        connection.close()

    writing = threading.Thread(target=write_new)
    with transaction.atomic():
        forget_rows(organization, SESSIONS, ["old"], ForgottenReason.PRUNED)
        writing.start()
        wait_until_it_waits(writing)
    writing.join()

    assert [found.pk for found in search_sessions(Session.objects.all(), "99988877")] == ["new"]


def test_what_was_let_go_does_not_come_back(organization: Organization, record: Record) -> None:
    keep(organization, row_retention_days=10)
    write(organization, record("old"))
    prune_retained()
    changed = record("old", updatedAt=(NOON + timedelta(days=1)).isoformat())

    result = mirror_sessions(organization, [changed, record("new")], asked_at=timezone.now())
    quarantine(organization, Stream.SESSIONS, remote_id="old", reason="odd", payload_json="{}")

    assert (result.created, result.unchanged) == (1, 1)
    assert list(Session.objects.values_list("pk", flat=True)) == ["new"]
    assert not QuarantinedRecord.objects.exists()


def test_a_digest_is_keyed_and_outlives_a_rotation(
    organization: Organization, record: Record, settings: pytest.FixtureRequest
) -> None:
    keep(organization, row_retention_days=10)
    write(organization, record("old"))
    prune_retained()
    was, settings.SECRET_KEY = settings.SECRET_KEY, "another-key-of-some-length"  # type: ignore[attr-defined]  # pytest-django's settings
    assert forgotten_among(organization, Stream.SESSIONS, ["old"]) == set()
    settings.SECRET_KEY_FALLBACKS = [was]  # type: ignore[attr-defined]  # as above
    assert forgotten_among(organization, Stream.SESSIONS, ["old", "other"]) == {"old"}
    assert ForgottenId.objects.get().digest == digest_of(organization.pk, Stream.SESSIONS, "old", was)


def test_a_day_is_proven_without_what_was_let_go(sandbox: SandboxProcess, organization: Organization) -> None:
    keep(organization, requests_per_second=10_000, concurrent_requests=100)
    sync_organization(organization)
    oldest = Session.objects.order_by("updated_at").first()
    assert oldest is not None
    keep(organization, row_retention_days=(timezone.now() - oldest.updated_at).days)
    let_go = prune_retained().rows
    assert let_go
    chats = Chat.objects.count()

    sync_organization(organization, full=True)
    for stream in (Stream.SESSIONS, Stream.CHATS):
        reconcile_stream(organization, stream, whole=True)

    assert not Session.objects.filter(pk=oldest.pk).exists()
    assert Chat.objects.count() == chats
    assert set(Coverage.objects.values_list("state", flat=True)) == {"proven"}
    assert Coverage.objects.aggregate(total=Sum("forgotten_count"))["total"] == let_go
