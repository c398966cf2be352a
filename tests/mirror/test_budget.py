"""One budget for all processes: never above the rate by more than a burst, the urgent first, cool-downs shared."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from sessions_app.edits.push import push_edit
from sessions_app.edits.queue import queue_edit, shown_values
from sessions_app.management.databases import database_url
from sessions_app.mirror import bucket, tallies
from sessions_app.mirror.bucket import Refusal
from sessions_app.mirror.budget import FLOORS, SLOT, Gate, OverBudget
from sessions_app.mirror.connection import open_client
from sessions_app.mirror.refetch import refetch_session
from sessions_app.models import Organization
from sessions_app.models.organizations import WriteMode
from sessions_app.models.requests import Budget, Purpose, RequestSlot, RequestTally
from sessions_app.vapi.errors import WritesOff
from tests.sandbox_process import SandboxProcess
from tests.worker_process import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

ROOT = Path(__file__).parents[2]
Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start_host() -> Iterator[Start]:
    """start_host("backfill", 5): a process that asks for five seconds once `go` let it."""
    started: list[subprocess.Popen[str]] = []

    def start(purpose: str, seconds: float, *more: object) -> subprocess.Popen[str]:
        arguments = [sys.executable, "-m", "tests.mirror.budget_host", purpose, str(seconds)]
        process = subprocess.Popen(
            [*arguments, *map(str, more)],
            cwd=ROOT,
            env={**os.environ, "DATABASE_URL": database_url()},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def go(*hosts: subprocess.Popen[str]) -> None:
    for host in hosts:
        assert host.stdout is not None
        assert host.stdout.readline() == "ready\n"
    for host in hosts:
        assert host.stdin is not None
        host.stdin.write("go\n")
        host.stdin.flush()


def allow(organization: Organization, requests_per_second: float, concurrent_requests: int = 4) -> None:
    Organization.objects.filter(pk=organization.pk).update(
        requests_per_second=requests_per_second, concurrent_requests=concurrent_requests
    )


def moments(sandbox: SandboxProcess) -> list[float]:
    return [datetime.fromisoformat(entry["at"]).timestamp() for entry in sandbox.journal()]


def take(organization: Organization, purpose: Purpose, *, slot: timedelta = SLOT) -> int | Refusal:
    spare = 0 if FLOORS[purpose] == 0 else 1
    return bucket.take(organization.pk, purpose, FLOORS[purpose], spare, slot)


def counted() -> dict[tuple[str, str], int]:
    tallies.TALLIES.flush()
    rows = RequestTally.objects.values_list("purpose", "outcome", "count")
    found: dict[tuple[str, str], int] = {}
    for purpose, outcome, count in rows:
        found[purpose, outcome] = found.get((purpose, outcome), 0) + count
    return found


def test_each_request_is_counted_repeated_ones_too(
    sandbox: SandboxProcess, organization: Organization
) -> None:
    sandbox.fault("503:count=1;404:path=/chat")
    with open_client(organization, Purpose.WEBHOOK) as client:
        client.get_session(sandbox.truth()[0]["id"])

    assert counted() == {("webhook", "5xx"): 1, ("webhook", "2xx"): 1}
    assert not RequestSlot.objects.exists()


def test_six_processes_never_exceed_the_rate_by_more_than_one_burst(
    sandbox: SandboxProcess, organization: Organization, start_host: Start
) -> None:
    """As three hosts with two processes each: none knows of another but through the database."""
    rate, seconds = 20.0, 5.0
    allow(organization, rate)
    purposes = ("backfill", "backfill", "reconcile", "incremental", "webhook", "push")
    hosts = [start_host(purpose, seconds) for purpose in purposes]
    go(*hosts)
    for host in hosts:
        assert host.wait(60) == 0

    times = moments(sandbox)
    surplus = max(
        later - earlier + 1 - rate * (times[later] - times[earlier])
        for earlier in range(len(times))
        for later in range(earlier, len(times))
    )
    assert surplus <= rate, "one burst is one second's worth"
    assert len(times) >= 0.7 * rate * seconds, "the budget is there to be used"
    assert sum(counted().values()) == len(times)


def test_a_push_during_a_full_backfill_waits_less_than_a_second(
    sandbox: SandboxProcess, organization: Organization, start_host: Start
) -> None:
    session = refetch_session(organization, sandbox.truth()[0]["id"])
    assert session is not None
    allow(organization, 5)
    hosts = [start_host("backfill", 20) for _ in range(4)]
    go(*hosts)
    wait_until(lambda: len(sandbox.journal()) > 8)

    waits = []
    for number in range(4):
        before = _waited(Purpose.PUSH)
        base = shown_values(session)
        edit = queue_edit(session=session, base=base, fields={"name": f"After {number}"}, source="admin")
        assert push_edit(edit.pk) == "applied"
        session.refresh_from_db()
        waits.append(_waited(Purpose.PUSH) - before)

    assert max(waits) < 1000
    assert any(host.poll() is None for host in hosts)


def _waited(purpose: Purpose) -> int:
    tallies.TALLIES.flush()
    return sum(RequestTally.objects.filter(purpose=purpose).values_list("waited_milliseconds", flat=True))


@pytest.mark.parametrize("form", ["", ",date=1"])
def test_a_cool_down_is_everybodys(
    sandbox: SandboxProcess, organization: Organization, start_host: Start, form: str
) -> None:
    """A date has whole seconds: one of three seconds is at least two away."""
    allow(organization, 20)
    sandbox.fault(f"429:skip=10,count=1,retry_after={3 if form else 2}{form}")
    hosts = [start_host(purpose, 6) for purpose in ("backfill", "incremental", "push")]
    go(*hosts)
    for host in hosts:
        assert host.wait(60) == 0

    journal = sandbox.journal()
    (refused,) = [
        datetime.fromisoformat(entry["at"]).timestamp() for entry in journal if entry["status"] == 429
    ]
    # What was on its way then had been allowed before.
    after = [at - refused for at in moments(sandbox) if at > refused + 0.25]
    assert min(after) >= 1.9
    assert counted()["push", "2xx"] > 0


def test_the_last_tokens_are_for_people_and_edits(organization: Organization) -> None:
    allow(organization, 0.5, 100)
    assert isinstance(take(organization, Purpose.BACKFILL), Refusal), "the first look opens the bucket"

    assert not isinstance(take(organization, Purpose.BACKFILL), Refusal)
    for purpose in (Purpose.BACKFILL, Purpose.RECONCILE):
        assert isinstance(take(organization, purpose), Refusal), purpose
    assert not isinstance(take(organization, Purpose.WEBHOOK), Refusal)
    assert isinstance(take(organization, Purpose.WEBHOOK), Refusal)
    assert not isinstance(take(organization, Purpose.PUSH), Refusal)
    assert not RequestSlot.objects.exclude(purpose__in=["backfill", "webhook", "push"]).exists()


def test_the_last_slot_is_for_people_and_edits(organization: Organization) -> None:
    allow(organization, 10, 3)
    bucket.look(organization.pk)

    taken = [take(organization, Purpose.BACKFILL) for _ in range(3)]

    assert [isinstance(each, Refusal) for each in taken] == [False, False, True]
    assert not isinstance(take(organization, Purpose.PERSON), Refusal)
    assert isinstance(take(organization, Purpose.PERSON), Refusal)
    level = bucket.look(organization.pk)
    assert level.slots_in_use == 3
    # Two were refused for want of a slot, and took no token.
    assert level.tokens >= level.capacity - 3


def test_a_killed_process_gives_its_slot_back(
    sandbox: SandboxProcess, organization: Organization, start_host: Start
) -> None:
    allow(organization, 100, 1)
    sandbox.fault("timeout:seconds=60")
    host = start_host("backfill", 60, 2)
    go(host)
    wait_until(sandbox.journal)
    host.kill()
    host.wait()
    assert RequestSlot.objects.count() == 1

    gate = Gate(organization, Purpose.BACKFILL)
    began = time.monotonic()
    gate.enter("GET")

    assert time.monotonic() - began < 4
    gate.leave(200, None)
    gate.close()


def test_a_person_waits_five_seconds_at_most_and_is_told(
    organization: Organization, editor: User, sign_in: Callable[[User], Client]
) -> None:
    bucket.look(organization.pk)
    bucket.cool_down(organization.pk, 60)
    gate = Gate(organization, Purpose.PERSON)
    began = time.monotonic()

    with pytest.raises(OverBudget) as caught:
        gate.enter("GET")

    assert time.monotonic() - began < 1, "waiting in vain helps nobody"
    assert caught.value.kind == "rate_limited"
    assert caught.value.retry_after == pytest.approx(60, abs=2)
    page = sign_in(editor).post(reverse("admin:sessions_app_session_adopt", args=["no-such-session"]))
    assert "Vapi asked us to wait, and everybody does." in page.content.decode()
    assert counted() == {("person", "unsent"): 2}


def test_a_person_gives_up_where_others_hold_every_slot(organization: Organization) -> None:
    allow(organization, 100, 1)
    bucket.look(organization.pk)
    assert not isinstance(take(organization, Purpose.BACKFILL), Refusal)
    began = time.monotonic()

    with pytest.raises(OverBudget, match="not sent, over the request budget"):
        Gate(organization, Purpose.PERSON).enter("GET")

    assert 4.5 < time.monotonic() - began < 6


def test_a_shorter_cool_down_does_not_end_a_longer_one(organization: Organization) -> None:
    bucket.look(organization.pk)
    bucket.cool_down(organization.pk, 60)
    bucket.cool_down(organization.pk, 1)

    assert bucket.look(organization.pk).cool_down_seconds == pytest.approx(60, abs=2)


def test_a_write_that_is_off_costs_nothing(sandbox: SandboxProcess, organization: Organization) -> None:
    Organization.objects.filter(pk=organization.pk).update(write_mode=WriteMode.OFF)
    with open_client(organization, Purpose.PUSH) as client, pytest.raises(WritesOff):
        client.patch_session("s1", {"name": "x"})

    assert sandbox.journal() == []
    assert counted() == {}
    assert not Budget.objects.exists()


def test_a_changed_rate_holds_at_once(organization: Organization) -> None:
    bucket.look(organization.pk)
    allow(organization, 2)

    assert bucket.look(organization.pk).tokens == pytest.approx(3.8, abs=0.01)
