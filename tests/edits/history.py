"""One random history of a session's edits: faults, deaths, remote changes and second thoughts, from a seed."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from contextlib import nullcontext, suppress
from datetime import timedelta
from itertools import pairwise
from typing import Any
from uuid import UUID

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db.models import F
from django.db.models.functions import Now
from django.utils import timezone

from sessions_app.edits import settle
from sessions_app.edits.claims import due_edits
from sessions_app.edits.creations import SEND_AGAIN_AFTER, queue_create
from sessions_app.edits.deletions import queue_delete
from sessions_app.edits.message_edits import mirrored_messages, queue_messages
from sessions_app.edits.push import push_edit
from sessions_app.edits.queue import Making, queue_edit, shown_values
from sessions_app.edits.states import FOLLOWING
from sessions_app.edits.values import is_same, mirrored_values
from sessions_app.mirror.refetch import mirror_answer, stamp_missing
from sessions_app.models import Edit, Organization, Session
from sessions_app.models.edits import UNDER_WAY_STATES, EditKind, EditState
from sessions_app.models.mirrored import MissingReason
from sessions_app.models.requests import Budget, RequestSlot
from tests.edits.interruptions import Interruption
from tests.edits.witness import FIELDS, Row, Witness
from tests.sandbox_process import SandboxProcess

STEPS = 14
# A push that meets no trouble makes about so many statements.
STATEMENTS = 45
WRITES = {EditKind.CREATE: "POST", EditKind.DELETE: "DELETE"}
FAULTS = (
    "lost:method={write},count=1",
    "reset:method={write},count=1",
    "truncated:method={write},count=1",
    "html200:method={write},count=1",
    "lost:method={write},count=1;503:method=GET,skip=1",
    "reset:method={write},count=1;html200:method=GET,skip=1",
    "lost:method={write},count=1;429:method=GET,skip=1,retry_after=3600",
    "html200:count=1",
    "lost:method=GET,count=1",
    "503:method=GET,count=1",
    "503:method=GET",
    "429:count=1,retry_after=3600",
    *(f"{status}:method={{write}},count=1" for status in (400, 401, 402, 403, 409, 413, 500, 502, 503, 504)),
    "429:method={write},count=1,retry_after=3600",
)
# Sent twice, a POST makes two sessions, and nobody could tell; a 404 to a DELETE is Vapi's word that it is done.
FAULTS_BUT_FOR_CREATES = ("twice:method={write},count=1", "404:method=PATCH,count=1", "401:count=1")


class History:
    """`said` tells what happened, for whoever reads of a failure."""

    def __init__(
        self, seed: int, sandbox: SandboxProcess, organization: Organization, people: Sequence[User]
    ) -> None:
        self.seed, self.chance, self.sandbox = seed, random.Random(seed), sandbox
        self.organization, self.people = organization, people
        self.said: list[str] = []
        talk = [self.turn() for _ in range(self.chance.randint(2, 4))]
        self.vapi = Witness(sandbox, {"name": "Before", "status": "active", "messages": talk})
        self.sandbox.control("DELETE", "journal")
        self.mirror()
        self.page = shown_values(self.session)
        self.dropped: set[tuple[int, str]] = set()
        self.applied: set[int] = set()
        # How often was written when another worker took over from the one that is pushing.
        self.overtaken: list[int] = []
        self.first_edit = Edit.objects.order_by("-pk").values_list("pk", flat=True).first() or 0

    def run(self) -> None:
        steps: dict[Callable[[], object], float] = {
            self.correct: 6, self.correct_messages: 3, self.change_remotely: 3, self.say_more: 1,
            self.push: 8, self.mirror: 2, self.load_page: 2, self.withdraw: 2, self.undo: 2, self.settle: 2,
            self.retry: 1, self.turn_mode: 1, self.create: 1, self.delete: 0.3, self.vanish: 0.1,
        }  # fmt: skip
        for step in self.chance.choices([*steps], [*steps.values()], k=STEPS):
            self.say(step.__name__)
            step()
        self.end()

    def say(self, *words: object) -> None:
        self.said.append(" ".join(map(str, words)))

    # What people do

    def correct(self) -> None:
        fields = {field: self.value(field) for field in self.chance.sample(FIELDS, self.chance.randint(1, 2))}
        key, author = UUID(int=self.chance.getrandbits(128)), self.person()
        base = self.page if self.chance.random() < 0.3 else shown_values(self.session)

        def submit() -> Edit:
            return queue_edit(
                session=self.session,
                base=base,
                fields=fields,
                source="admin",
                author=author,
                submission_key=key,
            )

        edit = self.attempt(submit)
        if edit is not None and self.chance.random() < 0.2:
            again = self.attempt(submit)
            assert again is not None and again.pk == edit.pk, "the same submission was taken twice"

    def correct_messages(self) -> None:
        said = mirrored_messages(self.vapi.id)
        places = self.chance.sample(range(len(said)), min(len(said), self.chance.randint(1, 2)))
        operations = [
            {
                "do": self.chance.choice(["replace", "redact", "remove"]),
                "position": place,
                "text": f"New {self.chance.random()}",
            }
            for place in places
        ]
        self.attempt(lambda: queue_messages(self.session, operations, self.making()))

    def create(self) -> None:
        fields = {"name": f"Made {self.seed} {self.chance.randrange(3)}"}
        self.attempt(lambda: queue_create(self.organization, fields, self.making()))

    def delete(self) -> None:
        self.attempt(lambda: queue_delete(self.session, self.making()))

    def load_page(self) -> None:
        self.page = shown_values(self.session)

    def withdraw(self) -> None:
        for edit in self.some(EditState.QUEUED):
            self.attempt(lambda edit=edit: settle.withdraw(edit, self.person()))  # type: ignore[misc]  # bound at once

    def undo(self) -> None:
        for edit in self.some(EditState.APPLIED):
            self.attempt(lambda edit=edit: settle.undo(edit, self.person()))  # type: ignore[misc]  # bound at once

    def retry(self) -> None:
        for edit in self.some(EditState.FAILED):
            self.attempt(lambda edit=edit: settle.retry(edit, self.person()))  # type: ignore[misc]  # bound at once

    def settle(self) -> None:
        for edit in self.some(EditState.CONFLICT):
            self.resolve(edit, {field: self.choice(edit, field) for field in edit.theirs})

    def resolve(self, edit: Edit, choices: dict[str, object]) -> None:
        new = self.attempt(lambda: settle.resolve_conflict(edit, choices, self.person()))
        if new is not None:
            self.dropped |= {(edit.pk, field) for field in edit.fields if choices.get(field) == "theirs"}
            self.dropped |= {(edit.pk, field) for field in edit.fields if field not in new.fields}

    def choice(self, edit: Edit, field: str) -> object:
        if edit.kind == EditKind.DELETE:
            return self.chance.choice(["mine", "theirs"])
        value = f"Settled {self.chance.random()}" if field == "messages" else self.value(field)
        return self.chance.choice(["mine", "theirs", {"value": value}])

    def turn_mode(self) -> None:
        Organization.objects.update(write_mode=self.chance.choice(["on", "paused", "off"]))

    # What happens at Vapi

    def change_remotely(self, fields: Sequence[str] = FIELDS) -> None:
        field = self.chance.choice([*fields])
        if field != "status" and self.chance.random() < 0.2:
            self.vapi.change({}, unset=[field])
        elif field != "status" and self.chance.random() < 0.1:
            self.vapi.change({field: None})
        else:
            self.vapi.change({field: self.value(field)})

    def say_more(self) -> None:
        """Mostly a turn more; sometimes one is worded anew, or taken away."""
        if self.vapi.row is None:
            return
        turns = list(self.vapi.row["messages"])
        which = self.chance.random()
        if turns and which < 0.3:
            place = self.chance.randrange(len(turns))
            turns[place : place + 1] = [self.turn()] if which < 0.2 else []
        else:
            turns.append(self.turn())
        self.vapi.change({"messages": turns})

    def vanish(self) -> None:
        self.vapi.delete()

    # What workers do

    def mirror(self) -> None:
        """A sync comes by."""
        row = self.vapi.row
        if row is None:
            stamp_missing(self.organization, self.vapi.id, MissingReason.GONE)
        else:
            mirror_answer(self.organization, dict(row), text_replaced=False, asked_at=timezone.now())

    def pass_time(self) -> None:
        """Waits are over, claims have run out, and the key was taken up again where Vapi had refused it."""
        mine = Edit.objects.filter(pk__gt=self.first_edit, state__in=UNDER_WAY_STATES)
        mine.filter(state=EditState.QUEUED).update(next_attempt_at=None)
        mine.filter(state=EditState.SENDING).update(claimed_until=Now() - timedelta(seconds=1))
        mine.filter(kind=EditKind.CREATE).update(sent_at=F("sent_at") - SEND_AGAIN_AFTER)
        RequestSlot.objects.all().delete()
        Budget.objects.update(cool_down_until=None)
        Organization.objects.exclude(paused_at=None).update(paused_at=None, paused_reason="")

    def push(self) -> None:
        if not self.edits().filter(state__in=UNDER_WAY_STATES).exists():
            return
        self.pass_time()
        for edit in Edit.objects.filter(pk__in=due_edits()).order_by("pk"):
            self.push_one(edit, is_calm=False)

    def push_one(self, edit: Edit, *, is_calm: bool) -> None:
        self.overtaken.clear()
        spec = "" if is_calm or self.chance.random() < 0.5 else self.fault_of(edit)
        trouble = nullcontext() if is_calm or self.chance.random() < 0.4 else self.trouble_of(edit)
        if spec:
            self.sandbox.fault(spec)
        with trouble:
            push_edit(edit.pk)
        if spec:
            self.sandbox.fault("")
        edit.refresh_from_db()
        self.say(
            "pushed", edit.pk, edit.kind, edit.fields, "on", edit.base, spec, "->", edit.state, edit.error
        )
        for writes in self.overtaken:
            assert self.writes() == writes, "a worker wrote that had lost its claim"
        self.look(edit)

    def look(self, edit: Edit) -> None:
        self.vapi.look(edit)
        if edit.state == EditState.APPLIED and edit.pk not in self.applied:
            self.applied.add(edit.pk)
            if edit.kind != EditKind.CREATE:
                self.vapi.note_applied(edit)
                self.look_at_mirror()

    def fault_of(self, edit: Edit) -> str:
        faults = FAULTS if edit.kind == EditKind.CREATE else FAULTS + FAULTS_BUT_FOR_CREATES
        return self.chance.choice(faults).format(write=WRITES.get(EditKind(edit.kind), "PATCH"))

    def trouble_of(self, edit: Edit) -> Interruption:
        asked = self.requests()
        happenings: list[Callable[[], object] | None] = [
            None, None, None, self.turn_mode, self.correct, self.withdraw, self.settle, self.undo,
            *[lambda: self.meet(edit)] * 3, *[lambda: self.move_away(edit, asked)] * 2,
        ]  # fmt: skip
        happening = self.chance.choice(happenings)
        ahead_of = self.chance.randrange(1, STATEMENTS)
        self.say("trouble", getattr(happening, "__name__", "death"), "ahead of statement", ahead_of)
        return Interruption(ahead_of, happening)

    def meet(self, edit: Edit) -> None:
        """Another worker comes by; half the time this one has slept through its claim before it wrote anything."""
        now = Edit.objects.get(pk=edit.pk)
        is_taken_over = now.sent_at is None and self.chance.random() < 0.5
        if is_taken_over:
            Edit.objects.filter(pk=edit.pk, state=EditState.SENDING).update(
                claimed_until=Now() - timedelta(seconds=1)
            )
        is_held = now.claimed_until is not None and now.claimed_until > timezone.now()
        asked = self.requests()
        push_edit(edit.pk)
        if is_taken_over and now.state == EditState.SENDING:
            self.overtaken.append(self.writes())
        if is_held and not is_taken_over:
            assert self.requests() == asked, "two workers pushed one edit"
        now.refresh_from_db()
        self.say("met", now.state)
        self.look(now)

    def move_away(self, edit: Edit, asked: int) -> None:
        """Something changes at Vapi meanwhile. What nobody can see between a GET and a write is left alone."""
        self.look(Edit.objects.get(pk=edit.pk))
        if self.requests() == asked or edit.kind == EditKind.CREATE:
            self.chance.choice([self.change_remotely, self.say_more])()
        elif edit.kind == EditKind.MESSAGES:
            self.change_remotely()
        elif edit.kind == EditKind.UPDATE:
            others = [field for field in FIELDS if field not in edit.fields]
            self.chance.choice([lambda: self.change_remotely(others), self.say_more])()

    def writes(self) -> int:
        return sum(len(self.sandbox.journal(method)) for method in ("PATCH", "POST", "DELETE"))

    def requests(self) -> int:
        return int(self.sandbox.control("GET", "stats")["requests"])

    # How it ends

    def end(self) -> None:
        Organization.objects.update(write_mode="on")
        for turn in range(60):
            open_edits = list(self.edits().open())
            if not open_edits:
                break
            self.pass_time()
            for edit in open_edits:
                if edit.state == EditState.CONFLICT:
                    self.resolve(edit, dict.fromkeys(edit.theirs, "mine" if turn < 3 else "theirs"))
            for edit in Edit.objects.filter(pk__in=due_edits()).order_by("pk"):
                self.push_one(edit, is_calm=True)
        self.look_at_edits()
        self.vapi.look_at_the_end()
        self.look_at_creates()

    def look_at_edits(self) -> None:
        edits = list(self.edits().prefetch_related("transitions"))
        for edit in edits:
            trail = [EditState(row.state) for row in sorted(edit.transitions.all(), key=lambda row: row.pk)]
            assert edit.settled_at is not None and edit.state not in (*UNDER_WAY_STATES, EditState.CONFLICT)
            assert (trail[0], trail[-1]) == (EditState.QUEUED, edit.state)
            assert all(then in FOLLOWING[now] for now, then in pairwise(trail))
            if trail[-1] in (EditState.WITHDRAWN, EditState.SUPERSEDED) and trail[-2] == EditState.QUEUED:
                assert edit.pk not in self.vapi.effects, "it had reached Vapi"
            if edit.state == EditState.SUPERSEDED:
                self.look_at_superseded(edit, edits)

    def look_at_superseded(self, edit: Edit, edits: Sequence[Edit]) -> None:
        """Each of its fields went on in a later edit, unless a person let it drop."""
        later = [other for other in edits if other.pk > edit.pk and other.session_id == edit.session_id]
        for field in edit.fields:
            went_on = any(field in other.fields for other in later)
            assert went_on or (edit.pk, field) in self.dropped, f"{field} was lost on the way"

    def look_at_creates(self) -> None:
        """Each applied one made a session of its own, and nothing else made one."""
        creates = [edit for edit in self.edits() if edit.kind == EditKind.CREATE]
        if not creates:
            return
        names = {str(edit.fields["name"]) for edit in creates}
        there = {row["id"] for row in self.sandbox.truth() if row.get("name") in names}
        made = [edit.session_id for edit in creates if edit.state == EditState.APPLIED]
        assert len(set(made)) == len(made) and set(made) <= there, "two edits claim one session"
        unsure = " ".join(edit.error for edit in creates if edit.state == EditState.FAILED)
        assert all(id_ in unsure for id_ in there - set(made)), "a session that nobody was told of"

    def look_at_mirror(self) -> None:
        """What is applied was mirrored before it was called so."""
        row, shown = self.vapi.row, mirrored_values(self.session)
        for field in self.vapi.ours:
            assert row is None or is_same(field, shown[field], row.get(field)), (
                f"{field} is not mirrored as it was applied"
            )

    # Small things

    @property
    def session(self) -> Session:
        return Session.objects.select_related("organization").get(pk=self.vapi.id)

    def edits(self) -> Any:
        return Edit.objects.filter(pk__gt=self.first_edit).order_by("pk")

    def person(self) -> User:
        return self.chance.choice(self.people)

    def making(self) -> Making:
        return Making("admin", author=self.person())

    def turn(self) -> Row:
        words = "Yes." if self.chance.random() < 0.15 else f"Said {self.chance.random()}"
        return {"role": self.chance.choice(["user", "assistant"]), "content": words}

    def value(self, field: str) -> object:
        if field == "name":
            return f"Name {self.chance.randrange(5)}"
        return self.chance.choice(["active", "completed"] if field == "status" else [60, 600, 86_400])

    def attempt(self, act: Callable[[], Edit]) -> Edit | None:
        with suppress(ValidationError):
            edit = act()
            self.say(" ", edit.pk, edit.kind, edit.fields, "on", edit.base, edit.state)
            return edit
        return None

    def some(self, state: EditState) -> list[Edit]:
        found = list(self.edits().filter(state=state).order_by("pk"))
        return [self.chance.choice(found)] if found else []
