"""Random histories of edits: faults, deaths, remote changes and second thoughts, each from a seed.

At the end every edit has one final state. Each push that is applied left at Vapi exactly what the edit says, and no
push changed anything there that the edit's author had not seen. EDIT_HISTORIES says how many histories are run; a
failing one is named by its seed.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db.models import Q
from django.db.models.functions import Now

from sessions_app.edits import settle, states
from sessions_app.edits.claims import due_edits
from sessions_app.edits.message_edits import mirrored_messages, queue_messages
from sessions_app.edits.push import push_edit
from sessions_app.edits.queue import Making, queue_edit, shown_values
from sessions_app.edits.turns import digest_of
from sessions_app.edits.values import is_same
from sessions_app.models import Edit, Organization, Session
from sessions_app.models.edits import UNDER_WAY_STATES
from tests.sandbox_process import SandboxProcess

pytestmark = pytest.mark.django_db(transaction=True)

SHARE = int(os.environ.get("EDIT_HISTORIES", "8"))
STEPS = 14
FAULTS = (
    "lost:method=PATCH,count=1",
    "reset:method=PATCH,count=1",
    "503:count=2",
    "502:method=PATCH,count=1",
    "429:count=4,retry_after=1",
    "html200:method=PATCH,count=1",
    "400:method=PATCH,count=1",
    "lost:method=PATCH,count=1;429:method=GET,skip=1,count=4,retry_after=1",
)
FIELDS = ("name", "status", "expirationSeconds")


class History:
    def __init__(self, seed: int, sandbox: SandboxProcess, session: Session) -> None:
        self.chance, self.sandbox, self.session = random.Random(seed), sandbox, session

    def run(self) -> None:
        steps: list[Callable[[], object]] = [
            self.correct, self.correct, self.correct_messages, self.change_remotely, self.say_more,
            self.push, self.push, self.break_something, self.die, self.withdraw, self.undo, self.settle, self.pause,
        ]  # fmt: skip
        for _ in range(STEPS):
            self.chance.choice(steps)()
        self.end()

    def remote(self) -> dict[str, Any]:
        rows: list[dict[str, Any]] = self.sandbox.truth()
        return next(row for row in rows if row["id"] == self.session.pk)

    def value(self, field: str) -> object:
        if field == "name":
            return f"Name {self.chance.randrange(5)}"
        return self.chance.choice(["active", "completed"] if field == "status" else [60, 600, 86_400])

    def correct(self) -> None:
        fields = {field: self.value(field) for field in self.chance.sample(FIELDS, self.chance.randint(1, 2))}
        self.attempt(
            lambda: queue_edit(
                session=self.session, base=shown_values(self.session), fields=fields, source="admin"
            )
        )

    def correct_messages(self) -> None:
        said = mirrored_messages(self.session)
        if said:
            do = self.chance.choice(["replace", "redact", "remove"])
            operation = {
                "do": do,
                "position": self.chance.randrange(len(said)),
                "text": f"New {self.chance.random()}",
            }
            self.attempt(lambda: queue_messages(self.session, [operation], Making("admin")))

    def attempt(self, act: Callable[[], object]) -> None:
        with suppress(ValidationError):
            act()

    def change_remotely(self) -> None:
        field = self.chance.choice(FIELDS)
        self.sandbox.change("sessions", self.session.pk, {field: self.value(field)})

    def say_more(self) -> None:
        more = {"role": "user", "content": f"Said {self.chance.random()}"}
        self.sandbox.change("sessions", self.session.pk, {"messages": [*self.remote()["messages"], more]})

    def break_something(self) -> None:
        self.sandbox.fault(self.chance.choice(FAULTS))

    def pause(self) -> None:
        Organization.objects.update(write_mode=self.chance.choice(["on", "on", "paused", "off"]))

    def die(self) -> None:
        """A worker takes an edit and is never heard of again."""
        for edit in Edit.objects.filter(pk__in=due_edits(limit=1)):
            states.claim(edit, unless=Q(pk=0))

    def withdraw(self) -> None:
        for edit in self.some(state="queued"):
            self.attempt(lambda edit=edit: settle.withdraw(edit))  # type: ignore[misc]  # bound at once

    def undo(self) -> None:
        for edit in self.some(state="applied"):
            self.attempt(lambda edit=edit: settle.undo(edit))  # type: ignore[misc]  # bound at once

    def settle(self) -> None:
        for edit in self.some(state="conflict"):
            choices = {field: self.chance.choice(["mine", "theirs"]) for field in edit.theirs}
            self.attempt(lambda edit=edit, choices=choices: settle.resolve_conflict(edit, choices))  # type: ignore[misc]  # bound at once

    def some(self, **condition: str) -> list[Edit]:
        found = list(Edit.objects.filter(**condition).order_by("pk"))
        return [self.chance.choice(found)] if found else []

    def push(self) -> None:
        """Let time pass, then push what is due, and look at every single one."""
        Edit.objects.filter(state="queued").update(next_attempt_at=None)
        Edit.objects.filter(state="sending").update(claimed_until=Now() - timedelta(seconds=1))
        for edit_id in due_edits():
            self.push_one(Edit.objects.get(pk=edit_id))

    def push_one(self, edit: Edit) -> None:
        before = self.remote()
        state = push_edit(edit.pk)
        after = self.remote()
        for field in FIELDS:
            if after.get(field) != before.get(field):
                assert is_same(field, before.get(field), edit.base[field]), "overwritten unseen"
                assert is_same(field, after.get(field), edit.fields[field])
            elif state == "applied" and field in edit.fields:
                assert is_same(field, after.get(field), edit.fields[field]), "applied, but it does not stand"
        self.look_at_messages(edit, before["messages"], after["messages"])

    def look_at_messages(self, edit: Edit, before: list[Any], after: list[Any]) -> None:
        meant = {operation["digest"] for operation in edit.operations}
        kept = [digest for digest in map(digest_of, before) if digest not in meant]
        standing = [digest_of(message) for message in after]
        left = iter(standing)
        assert all(digest in left for digest in kept), "a turn was lost or moved"
        if before == after:
            return
        made = {operation["result"] for operation in edit.operations if "result" in operation}
        assert set(standing) <= set(kept) | made | meant, "a turn that nobody wrote"

    def end(self) -> None:
        self.sandbox.fault("")
        Organization.objects.update(write_mode="on")
        for _ in range(40):
            for edit in Edit.objects.filter(state="conflict"):
                self.attempt(partial(settle.resolve_conflict, edit, dict.fromkeys(edit.theirs, "theirs")))
            self.push()
        assert not Edit.objects.filter(state__in=[*UNDER_WAY_STATES, "conflict"]).exists(), "one has no end"
        for edit in Edit.objects.all():
            assert edit.settled_at is not None
            trail = list(edit.transitions.order_by("pk").values_list("state", flat=True))
            assert (trail[0], trail[-1]) == ("queued", edit.state)


@pytest.mark.parametrize("seed", range(SHARE))
def test_no_history_loses_anything(sandbox: SandboxProcess, session: Session, seed: int) -> None:
    History(seed, sandbox, session).run()
