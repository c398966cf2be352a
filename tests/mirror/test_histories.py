"""Random histories of what can happen at Vapi and on the way: each ends with a mirror that equals the truth.

HISTORIES says how many are tried, HISTORY which one alone. A failing test's name is the seed that repeats it.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from sessions_app.mirror.leases import LeaseTaken
from sessions_app.mirror.refetch import refetch_session
from sessions_app.mirror.sync import sync_stream
from sessions_app.models import Lease, Organization, Session, SyncRun, SyncWindow
from sessions_app.models.runs import RunState, Stream
from sessions_app.vapi.errors import VapiError
from tests.mirror.truth import assert_mirror_equals
from tests.sandbox_process import SandboxProcess

pytestmark = pytest.mark.django_db

_ONE = os.environ.get("HISTORY")
SEEDS = [int(_ONE)] if _ONE else range(int(os.environ.get("HISTORIES", "15")))
FAULTS = (
    "429:count=2,retry_after=0",
    "429:p=0.2,retry_after=0",
    "500:count=7",
    "503:p=0.3",
    "html200:count=2",
    "html:p=0.2",
    "truncated:count=1",
    "truncated:p=0.3",
    "reset:p=0.2",
    "lost:count=1",
    "capped:limit=3",
    "capped:limit=2,skip=4",
    "401:count=1",
)
KINDS = {Stream.SESSIONS: "sessions", Stream.CHATS: "chats"}
Fields = dict[str, Any]


class Stopped(BaseException):
    """The worker is stopped from outside."""


class History:
    """One history: what happened so far at Vapi, and which ids cannot be compared any more."""

    def __init__(self, seed: int, sandbox: SandboxProcess, organization: Organization) -> None:
        self.chance = random.Random(seed)
        self.sandbox, self.organization = sandbox, organization
        self.apart: set[str] = set()
        self.ids: dict[str, list[str]] = {
            kind: [row["id"] for row in sandbox.truth(kind)] for kind in KINDS.values()
        }
        self.times = [row["createdAt"] for row in sandbox.truth("sessions")]

    def event(self) -> None:
        happenings: list[Callable[[str], None]] = [
            self.create,
            self.update,
            self.delete,
            self.silent,
            self.tie,
        ]
        weights = [4, 6, 3, 3, 1]
        if self.chance.random() < 0.06:
            self.spoil(self.chance.choice(list(KINDS.values())))
        else:
            [happens] = self.chance.choices(happenings, weights)
            happens(self.chance.choice(list(KINDS.values())))

    def create(self, kind: str) -> None:
        row = self.sandbox.change(kind, "", self.fields(kind))
        self.ids[kind].append(row["id"])

    def update(self, kind: str) -> None:
        self.sandbox.change(kind, self.any_id(kind), self.fields(kind))

    def delete(self, kind: str) -> None:
        gone = self.any_id(kind)
        self.sandbox.change(kind, gone, delete=True)
        self.ids[kind].remove(gone)
        self.apart.add(gone)

    def silent(self, kind: str) -> None:
        """A change that no updatedAt tells: only a full sync sees it."""
        self.sandbox.change(
            kind, self.any_id(kind), {"name": self.word(), "cost": self.amount()}, touch=False
        )

    def tie(self, kind: str) -> None:
        """More rows of one createdAt than a page holds."""
        at = self.chance.choice(self.times)
        rows = [
            {"fields": {**self.fields(kind), "createdAt": at}} for _ in range(self.chance.randrange(2, 12))
        ]
        self.ids[kind] += [row["id"] for row in self.sandbox.change_many(kind, rows)]

    def spoil(self, kind: str) -> None:
        """A record that cannot be read, now and from now on."""
        bad = self.any_id(kind)
        field, value = self.chance.choice([("updatedAt", "yesterday"), ("createdAt", 12), ("orgId", [])])
        self.sandbox.change(kind, bad, {field: value}, touch=False)
        self.ids[kind].remove(bad)
        self.apart.add(bad)

    def any_id(self, kind: str) -> str:
        return self.chance.choice(self.ids[kind])

    def word(self) -> str:
        return "".join(self.chance.choices("abcäß 😀ع", k=6))

    def amount(self) -> float | int | None:
        return self.chance.choice([None, 0, -0.25, 1e-07, 1e-12, 0.1, 12, self.chance.random()])

    def fields(self, kind: str) -> Fields:
        count = self.chance.randrange(4)
        costs = [
            {
                "type": self.chance.choice(["model", "analysis", "session", "brand new"]),
                "model": {"provider": "openai", "model": self.chance.choice(["gpt-4.1", "gpt-5"])},
                "promptTokens": self.chance.randrange(1000),
                "cost": self.amount(),
            }
            for _ in range(count)
        ]
        said = [{"role": "user", "content": self.word()} for _ in range(self.chance.randrange(1, 4))]
        given: Fields = {"name": self.word(), "cost": self.amount(), "costs": costs}
        if kind == "sessions":
            return given | {"messages": said, "status": self.chance.choice(["active", "completed", "odd"])}
        return given | {"input": said, "sessionId": self.any_id("sessions")}

    def sync(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """One pull of some kind, with faults, while rows change, perhaps stopped or robbed of its lease."""
        monkeypatch.setattr("sessions_app.mirror.walk.MAX_LIMIT", self.chance.choice([2, 3, 5, 9, 1000]))
        monkeypatch.setattr("sessions_app.mirror.windows.ROWS_PER_WINDOW", self.chance.choice([5, 20, 5000]))
        self.sandbox.fault(self.chance.choice(FAULTS) if self.chance.random() < 0.5 else "")
        steps_left = self.chance.randrange(1, 60)

        def meanwhile(run: SyncRun) -> None:
            nonlocal steps_left
            steps_left -= 1
            if self.chance.random() < 0.15:
                self.event()
            if steps_left == 0 and self.chance.random() < 0.5:
                raise self.chance.choice([Stopped, KeyboardInterrupt, MemoryError, ValueError])
            if steps_left == 0 and self.chance.random() < 0.3:
                Lease.objects.update(number=Lease.objects.get(stream=run.stream, kind=run.kind).number + 1)

        stream = self.chance.choice(list(KINDS))
        with suppress(Stopped, KeyboardInterrupt, MemoryError, ValueError, LeaseTaken):
            sync_stream(self.organization, stream, full=self.chance.random() < 0.3, progress=meanwhile)
        assert not SyncRun.objects.filter(state=RunState.RUNNING).exists()
        Lease.objects.update(expires_at=None)

    def refetch(self) -> None:
        with suppress(VapiError):
            refetch_session(self.organization, self.any_id("sessions"))

    def end(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The faults are over: one full pull of each stream (two where an interrupted one is to be ended first)."""
        monkeypatch.setattr("sessions_app.mirror.walk.MAX_LIMIT", self.chance.choice([4, 1000]))
        self.sandbox.fault("")
        for stream in KINDS:
            if SyncWindow.objects.filter(stream=stream, finished_at__isnull=True).exists():
                sync_stream(self.organization, stream, full=True)
            run = sync_stream(self.organization, stream, full=True)
            assert run.state in {RunState.SUCCEEDED, RunState.PARTIAL}, run.error
            assert (run.state == RunState.PARTIAL) == (run.quarantined > 0)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_history_ends_with_the_truth(
    seed: int, sandbox: SandboxProcess, organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "sleep", lambda _: None)
    history = History(seed, sandbox, organization)
    for _ in range(history.chance.randrange(2, 6)):
        for _ in range(history.chance.randrange(8)):
            history.event()
        history.sync(monkeypatch)
        if history.chance.random() < 0.3:
            history.refetch()

    history.end(monkeypatch)

    assert_mirror_equals(sandbox, organization, apart=history.apart)
    assert Session.objects.filter(missing_since__isnull=False).count() == 0
