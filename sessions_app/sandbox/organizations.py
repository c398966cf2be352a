"""One organization for each key: its sessions, chats, assistants, squads and phone numbers."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from uuid import uuid4

from sessions_app.sandbox.assistants import Catalogue, make_catalogue
from sessions_app.sandbox.chats import Chats
from sessions_app.sandbox.clock import MINUTE, Clock, write_us
from sessions_app.sandbox.conversations import Conversations, open_conversations
from sessions_app.sandbox.options import Options
from sessions_app.sandbox.seeds import Ids, seed_of
from sessions_app.sandbox.sessions import Sessions
from sessions_app.sandbox.store import Payload, Stream
from sessions_app.sandbox.timeline import Timeline


@dataclass(slots=True)
class Organization:
    key: str
    org_id: str
    clock: Clock
    catalogue: Catalogue
    seeded_sessions: Sessions
    sessions: Stream
    chats: Stream
    beyond_retention: bool = False

    def reset(self) -> None:
        self.sessions.reset()
        self.chats.reset()
        self.beyond_retention = False

    def stream(self, name: str) -> Stream:
        return self.sessions if name == "session" else self.chats

    def tell(self, listener: Callable[[str, str, str, Payload], None]) -> None:
        """Let `listener` hear of each change: key, stream, what happened, row."""
        for name in ("session", "chat"):
            self.stream(name).listener = partial(listener, self.key, name)

    def new_row(self, stream: Stream, fields: Payload, id_: str = "") -> bytes:
        """A row as a POST makes it, with any field given."""
        stamp = write_us(stream.tick_us())
        id_ = id_ or str(fields.get("id") or uuid4())
        start: Payload = {"id": id_, "orgId": self.org_id, "createdAt": stamp, "updatedAt": stamp}
        if stream is self.sessions:
            start |= {"status": "active", "messages": []}
        given = {name: value for name, value in fields.items() if value is not None}
        if "createdAt" in given and "updatedAt" not in given:
            start["updatedAt"] = given["createdAt"]
        return stream.add(id_, {**start, **given})


def make_organizations(options: Options, clock: Clock) -> dict[str, Organization]:
    """By key. Everything seeded ends at the start, taken at the full minute."""
    end_us = clock.now_us() // MINUTE * MINUTE
    talk = open_conversations(options.conversations)
    return {key: _organization(key, options, clock, talk, end_us) for key in options.keys}


def _organization(key: str, options: Options, clock: Clock, talk: Conversations, end_us: int) -> Organization:
    org_id = Ids(seed_of(options.seed, key), "org").of(0)
    timeline = Timeline(options.sessions, end_us, options.days, seed_of(options.seed, key, "times"))
    catalogue = make_catalogue(key, options.seed, org_id, end_us)
    sessions = Sessions(key, options.seed, org_id, timeline, talk, catalogue)
    chats = Chats(key, options.seed, sessions, talk, catalogue, options.chats)
    return Organization(
        key,
        org_id,
        clock,
        catalogue,
        sessions,
        Stream(sessions, clock, options.remember),
        Stream(chats, clock, options.remember),
    )
