"""Watches one session at Vapi: every change there is either the driver's own or that of the edit being pushed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sessions_app.edits.turns import digest_of
from sessions_app.edits.values import is_same
from sessions_app.models import Edit
from sessions_app.models.edits import EditKind, EditState
from tests.sandbox_process import SandboxProcess

FIELDS = ("name", "status", "expirationSeconds")
Row = dict[str, Any]


class Witness:
    """`row` is the session as it was last seen, None where it is gone. Look before and after every push."""

    def __init__(self, sandbox: SandboxProcess, fields: Row) -> None:
        self.sandbox = sandbox
        self.row: Row | None = sandbox.change("sessions", "", fields)
        self.id: str = self.row["id"] if self.row else ""
        # What each field must hold: what was last changed at Vapi itself, or last applied.
        self.last: Row = {field: fields.get(field) for field in FIELDS}
        # Those that were last applied.
        self.ours: set[str] = set()
        # Edits that changed something.
        self.effects: set[int] = set()

    def change(self, fields: Mapping[str, object], unset: Iterable[str] = ()) -> None:
        """Something changes at Vapi, by others."""
        if self.row is not None:
            self.row = self.sandbox.change("sessions", self.id, fields, unset=list(unset))
            self.last |= {field: value for field, value in fields.items() if field in FIELDS}
            self.last |= dict.fromkeys(unset)
            self.ours -= {*fields, *unset}

    def delete(self) -> None:
        if self.row is not None:
            self.sandbox.change("sessions", self.id, delete=True)
            self.row = None

    def look(self, pushed: Edit) -> None:
        """Whatever changed since the last look was done by `pushed`, and by its author's leave."""
        before, self.row = self.row, self.sandbox.truth_of(self.id)
        if before == self.row:
            return
        assert before is not None, "a deleted session came back"
        assert pushed.session_id == self.id, "an edit of another session"
        self.effects.add(pushed.pk)
        if self.row is None:
            assert pushed.kind == EditKind.DELETE, "deleted by nobody's leave"
            self._saw(pushed, before, FIELDS)
            assert len(before["messages"]) == pushed.base["messages"], "a turn was deleted unseen"
        else:
            self._look_at_fields(pushed, before, self.row)
            _look_at_messages(pushed, before["messages"], self.row["messages"])

    def _look_at_fields(self, pushed: Edit, before: Row, after: Row) -> None:
        changed = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
        mine = {*pushed.fields, "updatedAt"}
        assert changed <= mine, f"{changed - mine} changed, which the edit does not name"
        self._saw(pushed, before, changed & {*FIELDS})
        for field in changed & {*FIELDS}:
            assert is_same(field, after.get(field), pushed.fields[field]), f"{field} is not what was meant"

    def _saw(self, pushed: Edit, before: Row, fields: Iterable[str]) -> None:
        for field in fields:
            assert is_same(field, before.get(field), pushed.base[field]), f"{field} was overwritten unseen"

    def note_applied(self, edit: Edit) -> None:
        """What is applied stands at Vapi now."""
        assert edit.state == EditState.APPLIED
        if edit.kind == EditKind.DELETE:
            assert self.row is None, "applied, and not deleted"
            return
        assert self.row is not None, "applied to what is gone"
        standing = [digest_of(message) for message in self.row["messages"]]
        for operation in edit.operations:
            assert operation.get("result") in [*standing, None], "applied, but a turn is not corrected"
        for field in edit.fields.keys() & {*FIELDS}:
            assert is_same(field, self.row.get(field), edit.fields[field]), f"applied, {field} does not stand"
            self.last[field] = edit.fields[field]
            self.ours.add(field)

    def look_at_the_end(self) -> None:
        """Vapi holds what was applied, in its order, and what changed there itself since."""
        row = self.sandbox.truth_of(self.id)
        assert row == self.row
        for field in FIELDS if row is not None else ():
            assert row is not None and is_same(field, row.get(field), self.last[field]), (
                f"nobody meant this {field}"
            )


def _look_at_messages(pushed: Edit, before: list[Any], after: list[Any]) -> None:
    meant = {op["digest"] for op in pushed.operations if op["do"] != "insert"}
    kept = [digest for digest in map(digest_of, before) if digest not in meant]
    standing = [digest_of(message) for message in after]
    left = iter(standing)
    assert all(digest in left for digest in kept), "a turn was lost or moved"
    made = {op["result"] for op in pushed.operations if "result" in op}
    assert before == after or set(standing) <= {*kept, *made, *meant}, "a turn that nobody wrote"
