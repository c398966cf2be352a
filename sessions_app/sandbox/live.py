"""New sessions and turns that arrive while the sandbox runs; a bounded number, at a bounded rate."""

import json
import random
import threading
from collections.abc import Mapping

from sessions_app.sandbox.organizations import Organization
from sessions_app.sandbox.store import Payload

_MOST_SESSIONS = 5_000
_AT_ONCE = 4
_PAUSE_SECONDS = (1.5, 4.0)


class Live(threading.Thread):
    """Each step lets one organization's newest conversations go on by a turn, or begins another."""

    def __init__(
        self, organizations: Mapping[str, Organization], stopping: threading.Event, seed: str
    ) -> None:
        super().__init__(name="sandbox-live", daemon=True)
        self._organizations = list(organizations.values())
        self._stopping = stopping
        self._chance = random.Random(seed)
        self._open: dict[str, tuple[Organization, Payload, int]] = {}
        self._begun = 0

    def run(self) -> None:
        while not self._stopping.wait(self._chance.uniform(*_PAUSE_SECONDS)):
            self.step()

    def play(self, conversations: int) -> None:
        """Let conversations take place now, from their first word to the last."""
        for number in range(conversations):
            self._begin(self._organizations[number % len(self._organizations)])
            while self._open:
                self._go_on(next(iter(self._open)))

    def step(self) -> None:
        full = len(self._open) >= _AT_ONCE or self._begun >= _MOST_SESSIONS
        if self._open and (full or self._chance.random() < 0.6):
            self._go_on(self._chance.choice(sorted(self._open)))
        elif not full:
            self._begin(self._organizations[self._begun % len(self._organizations)])

    def _begin(self, organization: Organization) -> None:
        rows = organization.seeded_sessions
        self._begun += 1
        # Those of an earlier run were put back.
        while organization.sessions.get(rows.ids.of(rows.size + self._begun)) is not None:
            self._begun += 1
        index = rows.size + self._begun
        whole: Payload = json.loads(rows.render_new(index, organization.clock.now_us()))
        id_, shown = str(whole["id"]), 2
        messages = _messages(whole)
        start = {name: value for name, value in whole.items() if name not in ("cost", "costs", "artifact")}
        start |= {"status": "active", "messages": messages[:shown]}
        organization.sessions.add(id_, start)
        self._open[id_] = (organization, whole, shown)

    def _go_on(self, id_: str) -> None:
        organization, whole, shown = self._open[id_]
        messages, shown = _messages(whole), shown + 2
        if shown < len(messages):
            self._open[id_] = (organization, whole, shown)
            changed = organization.sessions.update(id_, {"messages": messages[:shown]})
        else:
            del self._open[id_]
            ending: Payload = {name: whole[name] for name in ("cost", "costs", "artifact") if name in whole}
            changed = organization.sessions.update(
                id_, {"status": "completed", "messages": messages, **ending}
            )
        if changed is None:  # deleted meanwhile
            self._open.pop(id_, None)


def _messages(payload: Payload) -> list[object]:
    messages = payload.get("messages")
    return messages if isinstance(messages, list) else []
