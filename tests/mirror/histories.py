"""One random history: what happens at Vapi and on the way while pulls of every kind run, and how it must end."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from sessions_app.mirror.connection import NoKey
from sessions_app.mirror.leases import LeaseTaken
from sessions_app.mirror.pauses import take_up_again
from sessions_app.mirror.reconcile import reconcile_stream
from sessions_app.mirror.refetch import refetch_session
from sessions_app.mirror.sync import sync_stream
from sessions_app.models import (
    Budget,
    Chat,
    Coverage,
    Lease,
    Organization,
    QuarantinedRecord,
    Session,
    SyncRun,
    SyncWindow,
)
from sessions_app.models.runs import RunState, Stream
from sessions_app.vapi.errors import VapiError
from tests.mirror.truth import assert_mirror_equals
from tests.sandbox_process import SandboxProcess

FAULTS = (
    *("429:count=2,retry_after=0", "429:p=0.2,retry_after=0", "429:skip=1,count=1,retry_after=3600"),
    *("500:count=7", "503:p=0.3", "502:skip=2,count=9", "503"),
    *("html200:count=2", "html:p=0.2", "truncated:count=1", "truncated:p=0.3"),
    *(
        "reset:p=0.2",
        "lost:count=1",
        "timeout:count=1,seconds=0.1",
        "401:count=1",
        "401:skip=2",
        "403:skip=1",
    ),
)
# Beside them, what listings do wrong.
SHAPES = (
    *("capped:limit=3", "capped:limit=2,skip=4", "repeated:rows=2", "repeated:p=0.5", "empty:p=0.2"),
    *("miscount:by=2", "miscount:by=-1,p=0.5"),
    *("metadata", "metadata:how=null", "metadata:how=wrong", "metadata:p=0.5"),
    *("cursor", "cursor:how=refused", "cursor:how=ignored", "cursor:how=stuck", "cursor:how=endless"),
    *("cursor:how=skips", "cursor:p=0.5"),
)
KINDS = {Stream.SESSIONS: "sessions", Stream.CHATS: "chats"}
WORDS = ["plain", "Grüße 😀", "مرحبا \u202eabc", "a\x00b", "half \ud83d of a pair", "", "e\u0301"]
Row = dict[str, Any]


class Stopped(BaseException):
    """The worker is stopped from outside."""


class History:
    """One history, on a simulated Vapi that was put back to its seed."""

    def __init__(self, seed: int, sandbox: SandboxProcess, organization: Organization) -> None:
        self.chance = random.Random(seed)
        self.sandbox, self.organization = sandbox, organization
        truth = {kind: sandbox.truth(kind) for kind in KINDS.values()}
        self.ids = {kind: [row["id"] for row in rows] for kind, rows in truth.items()}
        self.times = [row["createdAt"] for row in truth["sessions"]]
        self.org_id = truth["sessions"][0]["orgId"]
        # What a record held before it was spoilt.
        self.spoilt: dict[tuple[str, str], Row] = {}
        self.deleted: set[str] = set()

    # What happens at Vapi --------------------------------------------------------------------------

    def event(self) -> None:
        happenings: dict[Callable[[str], None], int] = {
            self.create: 8, self.update: 12, self.delete: 6, self.silence: 6, self.tie: 3,
            self.blank: 2, self.spoil: 2, self.heal: 1, self.turn_clock: 2, self.shrink: 1,
        }  # fmt: skip
        [happens] = self.chance.choices(list(happenings), list(happenings.values()))
        happens(self.chance.choice(list(KINDS.values())))

    def create(self, kind: str) -> None:
        self.ids[kind].append(self.sandbox.change(kind, "", self.fields(kind))["id"])

    def update(self, kind: str) -> None:
        self.change(kind, self.fields(kind))

    def delete(self, kind: str) -> None:
        if len(self.ids[kind]) > 2:
            gone = self.any_id(kind)
            self.sandbox.change(kind, gone, delete=True)
            self.ids[kind].remove(gone)
            self.spoilt.pop((kind, gone), None)
            self.deleted.add(gone)

    def silence(self, kind: str) -> None:
        """A change that no updatedAt tells: a full sync or the nightly proof sees it."""
        self.change(kind, {"name": self.word(), "cost": self.amount()}, touch=False)

    def blank(self, kind: str) -> None:
        """One in which nothing is said."""
        said = {"messages": [{"role": "user", "content": ""}]} if kind == "sessions" else {"input": ""}
        self.sandbox.change(kind, "", {"name": self.word(), **said})
        self.ids[kind] = [row["id"] for row in self.sandbox.truth(kind)]

    def tie(self, kind: str) -> None:
        """More rows of one createdAt than a page holds."""
        at = self.chance.choice(self.times)
        fields = [{**self.fields(kind), "createdAt": at} for _ in range(self.chance.randrange(2, 7))]
        made = self.sandbox.change_many(kind, [{"fields": each} for each in fields])
        self.ids[kind] += [row["id"] for row in made]

    def spoil(self, kind: str) -> None:
        """A record that cannot be read, until it is healed."""
        bad = self.any_id(kind)
        field, value = self.chance.choice(
            [("updatedAt", "yesterday"), ("createdAt", 12), ("orgId", []), ("orgId", "somebody else's")]
        )
        if (kind, bad) not in self.spoilt:
            self.spoilt[kind, bad] = next(row for row in self.sandbox.truth(kind) if row["id"] == bad)
            self.sandbox.change(kind, bad, {field: value}, touch=False)

    def heal(self, _kind: str = "") -> None:
        for (kind, bad), before in self.spoilt.items():
            self.sandbox.change(kind, bad, {name: before[name] for name in ("createdAt", "orgId")})
        self.spoilt.clear()

    def turn_clock(self, _kind: str) -> None:
        """Vapi's clock and ours differ by so much from now on."""
        self.sandbox.control("POST", "clock", {"ahead_seconds": self.chance.choice([-600, 60, 600])})

    def shrink(self, _kind: str) -> None:
        """Retention takes the oldest, and says so."""
        before = self.chance.choice(self.times)
        self.sandbox.control("POST", "retention", {"itemsBeyondRetention": True, "before": before})
        for kind in KINDS.values():
            left = [row["id"] for row in self.sandbox.truth(kind)]
            gone = set(self.ids[kind]) - set(left)
            self.ids[kind] = left
            self.deleted |= gone
            for remote_id in gone:
                self.spoilt.pop((kind, remote_id), None)

    def change(self, kind: str, fields: Row, *, touch: bool = True) -> None:
        if self.ids[kind]:
            self.sandbox.change(kind, self.any_id(kind), fields, touch=touch)

    def any_id(self, kind: str) -> str:
        chosen: str = self.chance.choice(self.ids[kind])
        return chosen

    def word(self) -> str:
        words = [*WORDS, "".join(self.chance.choices("abcäß 😀ع", k=6))]
        return self.chance.choice(words)

    def amount(self) -> float | int | str | None:
        return self.chance.choice(
            [None, 0, -0.25, 1e-07, 1e-12, 1e-13, 0.1, "0.30", 12, self.chance.random()]
        )

    def fields(self, kind: str) -> Row:
        costs = [
            {
                "type": self.chance.choice(["model", "analysis", "session", "brand new"]),
                "model": {"provider": "openai", "model": self.chance.choice(["gpt-4.1", "gpt-5"])},
                "promptTokens": self.chance.randrange(1000),
                "cost": self.amount(),
            }
            for _ in range(self.chance.randrange(4))
        ]
        # Never blank: what was said before would stay here, as it must.
        said = [{"role": "user", "content": f"{self.word()}."} for _ in range(self.chance.randrange(1, 4))]
        given: Row = {"name": self.word(), "cost": self.amount(), "costs": costs}
        if kind == "sessions":
            return given | {"messages": said, "status": self.chance.choice(["active", "completed", "odd"])}
        session = {"sessionId": self.any_id("sessions")} if self.ids["sessions"] else {}
        return given | {"input": said} | session

    # What we do meanwhile --------------------------------------------------------------------------

    def round(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Some events, then a pull of some kind with faults, perhaps stopped or robbed of its lease."""
        for _ in range(self.chance.randrange(6)):
            self.event()
        monkeypatch.setattr("sessions_app.mirror.walk.MAX_LIMIT", self.chance.choice([2, 3, 6, 1000]))
        monkeypatch.setattr(
            "sessions_app.mirror.windows.ROWS_PER_WINDOW", self.chance.choice([6, 5000, 5000])
        )
        self.sandbox.fault(self.some_faults())
        self.pull(self.chance.choice(list(KINDS)))
        if self.chance.random() < 0.2 and self.ids["sessions"]:
            with suppress(VapiError, NoKey):
                refetch_session(self.organization, self.any_id("sessions"))
        self.recover()

    def some_faults(self) -> str:
        chosen = [self.chance.choice(FAULTS)] if self.chance.random() < 0.4 else []
        chosen += [self.chance.choice(SHAPES)] if self.chance.random() < 0.4 else []
        if self.chance.random() < 0.15 and self.ids["sessions"]:
            status = self.chance.choice(["status=500", "status=502", "how=nan"])
            chosen.append(f"poison:id={self.any_id('sessions')},{status}")
        return ";".join(chosen)

    def pull(self, stream: Stream) -> None:
        steps_left = self.chance.randrange(1, 30)

        def meanwhile(run: SyncRun) -> None:
            nonlocal steps_left
            steps_left -= 1
            if self.chance.random() < 0.15:
                self.event()
            if steps_left == 0 and self.chance.random() < 0.5:
                raise self.chance.choice([Stopped, KeyboardInterrupt, MemoryError, ValueError])
            if steps_left == 0 and self.chance.random() < 0.3:
                lease = Lease.objects.get(stream=run.stream, kind=run.kind)
                Lease.objects.filter(pk=lease.pk).update(number=lease.number + 1)

        with suppress(Stopped, KeyboardInterrupt, MemoryError, ValueError, LeaseTaken):
            if self.chance.random() < 0.2:
                reconcile_stream(
                    self.organization, stream, whole=self.chance.random() < 0.5, progress=meanwhile
                )
            else:
                sync_stream(self.organization, stream, full=self.chance.random() < 0.3, progress=meanwhile)
        assert not SyncRun.objects.filter(state=RunState.RUNNING).exists()

    def recover(self) -> None:
        """Time goes by: leases and waits run out, and somebody gives a refused key back."""
        self.sandbox.fault("")
        Lease.objects.update(expires_at=None)
        SyncWindow.objects.update(expires_at=None)
        Budget.objects.update(cool_down_until=None)
        self.organization.refresh_from_db()
        if self.organization.paused_at:
            take_up_again(self.organization)
            self.organization.refresh_from_db()

    # How it ends -----------------------------------------------------------------------------------

    def end(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The faults are over: one full pull of each stream (two where an interrupted one is gone on with), a proof."""
        monkeypatch.setattr("sessions_app.mirror.walk.MAX_LIMIT", self.chance.choice([4, 1000]))
        self.heal()
        for stream in KINDS:
            unfinished = SyncWindow.objects.filter(stream=stream, finished_at__isnull=True).exists()
            for _ in range(2 if unfinished else 1):
                run = sync_stream(self.organization, stream, full=True)
                assert (run.state, run.error) == (RunState.SUCCEEDED, "")
            # By counts first, which is what most nights do; what shows nowhere else is found by reading whole.
            for whole in self.chance.choice([[True], [True], [False, True]]):
                run = reconcile_stream(self.organization, stream, whole=whole)
                assert (run.state, run.error) == (RunState.SUCCEEDED, "")

    def assert_truth(self) -> None:
        """The mirror equals the truth, costs to the last digit, every day is proven, and nothing waits apart."""
        missing = {"missing_since__isnull": False}
        gone = {
            *Session.objects.filter(**missing).values_list("id", flat=True),
            *Chat.objects.filter(**missing).values_list("id", flat=True),
        }
        assert gone <= self.deleted
        assert_mirror_equals(self.sandbox, self.organization, apart=gone)
        for stream, kind in KINDS.items():
            oldest = min((row["createdAt"][:10] for row in self.sandbox.truth(kind)), default="9999")
            days = Coverage.objects.filter(stream=stream)
            unproven = [day for day in days if str(day.day) >= oldest and day.state != "proven"]
            assert not unproven, [(day, day.note) for day in unproven]
            assert oldest == "9999" or days.filter(day=oldest).exists()
        waiting = QuarantinedRecord.objects.filter(resolved_at__isnull=True)
        assert not waiting.exclude(remote_id__in=self.deleted).exists(), list(waiting.values())
