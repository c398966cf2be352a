"""Chats made from the seed: up to three a session and chains of their own; knows no HTTP."""

import json

from sessions_app.sandbox.assistants import Catalogue
from sessions_app.sandbox.clock import SECOND, write_us
from sessions_app.sandbox.conversations import REFERENCE, Conversation, Conversations, dump
from sessions_app.sandbox.costs import Cost, chat_costs, total
from sessions_app.sandbox.scripts.writing import Message
from sessions_app.sandbox.seeds import Ids, mix, seed_of
from sessions_app.sandbox.sessions import Sessions, reference

# How many chats each of four sessions in a row has, in one of four orders, so that with two more, which are free,
# there are so many for each session.
_COUNTS = {
    2: ((1, 3, 0, 2), (2, 0, 3, 1), (0, 2, 1, 3), (3, 1, 2, 0)),
    3: ((1, 3, 3, 3), (3, 1, 3, 3), (3, 3, 1, 3), (3, 3, 3, 1)),
}
_CHAIN = 3


class Chats:
    """The organization's seeded chats, in order of createdAt: `each` for a session, on average."""

    name = "chat"
    max_lag_us = 60 * SECOND

    def __init__(
        self,
        key: str,
        seed: str,
        sessions: Sessions,
        talk: Conversations,
        catalogue: Catalogue,
        each: int = 2,
    ) -> None:
        self._counts, self._group = _COUNTS[each], 4 * each
        groups, rest = divmod(sessions.size, 4)
        self.size = groups * self._group + sum(self._counts[groups % 4][:rest])
        self.org_id = sessions.org_id
        self.ids = Ids(seed_of(seed, key, "chat"), "chat")
        self._seed = seed_of(seed, key, "chat-content")
        self._sessions = sessions
        self._talk = talk
        self._assistants = catalogue.ids("assistants")

    def id_of(self, index: int) -> str:
        return self.ids.of(index)

    def index_of(self, id_: str) -> int | None:
        index = self.ids.index(id_)
        return index if index is not None and index < self.size else None

    def place(self, index: int) -> tuple[int, int]:
        """The session it follows and its number there; the free ones follow the group's last session."""
        group, rest = divmod(index, self._group)
        for member, count in enumerate(self._counts[group % 4]):
            if rest < count:
                return group * 4 + member, rest
            rest -= count
        return group * 4 + 3, 3 + rest

    def of_session(self, session: int) -> range:
        """The indexes of a session's chats."""
        group, member = divmod(session, 4)
        counts = self._counts[group % 4]
        first = group * self._group + sum(counts[:member])
        return range(first, first + counts[member])

    def created_us(self, index: int) -> int:
        """After its session was created and before the next one was, so that order follows the index."""
        session, number = self.place(index)
        start = self._sessions.created_us(session)
        last = session + 1 >= self._sessions.size
        end = self._sessions.end_us if last else self._sessions.created_us(session + 1)
        return start + min((end - start) * (number + 1) // 8, (number + 1) * 75 * SECOND) // 1000 * 1000

    def index_at(self, moment_us: int) -> int:
        session = max(self._sessions.index_at(moment_us) - 1, 0)
        first = self.of_session(session).start
        for index in range(first, min(first + 2 * self._group, self.size)):
            if self.created_us(index) >= moment_us:
                return index
        return min(first + 2 * self._group, self.size)

    def updated_us(self, index: int) -> int:
        lag = mix(self._seed, index) % (self.max_lag_us - SECOND) // 1000 * 1000
        return min(self.created_us(index) + lag, self._sessions.end_us)

    def previous(self, index: int) -> int | None:
        """The chat before this one in its chain of free chats."""
        number = self.place(index)[1] - 3
        free = index // self._group * 2 + number
        return None if number < 0 or free % _CHAIN == 0 else self._free(free - 1)

    def _free(self, number: int) -> int:
        return number // 2 * self._group + self._group - 2 + number % 2

    def follower(self, index: int) -> int | None:
        """The chat that names this one as its previousChatId."""
        number = self.place(index)[1] - 3
        after = self._free(index // self._group * 2 + number + 1) if number >= 0 else self.size
        return after if after < self.size and self.previous(after) == index else None

    def value(self, index: int, field: str) -> str | None:
        """The value that a list filter compares, without making the row."""
        return self._links(index).get(field)

    def number(self, index: int, sort_by: str) -> float:
        if sort_by == "duration":
            return self.updated_us(index) - self.created_us(index)
        return total(self._costs(index, self._conversation(index)))

    def candidates(self, field: str, value: str) -> list[int] | None:
        """The few rows that a filter can find, where arithmetic tells."""
        if field == "sessionId":
            session = self._sessions.index_of(value)
            return [] if session is None else [i for i in self.of_session(session) if i < self.size]
        if field == "previousChatId":
            index = self.index_of(value)
            after = None if index is None else self.follower(index)
            return [] if after is None else [after]
        return None

    def _links(self, index: int) -> dict[str, str]:
        session, number = self.place(index)
        if number < 3:
            traits = self._sessions.traits(session)
            return {
                "sessionId": self._sessions.id_of(session),
                **self._sessions.parties(traits, telephone=False),
            }
        before = self.previous(index)
        links = {} if before is None else {"previousChatId": self.id_of(before)}
        return {"assistantId": self._assistants[index % 5], **links}

    def _conversation(self, index: int) -> Conversation:
        session, number = self.place(index)
        traits = self._sessions.traits(session if number < 3 else index)
        return self._talk.get(traits.kind, traits.person)

    def _costs(self, index: int, talk: Conversation) -> list[Cost]:
        bits = mix(self._seed, index)
        return chat_costs(bits, talk.characters // max(talk.count, 1) * 2, bits >> 12)

    def _exchange(self, index: int, talk: Conversation) -> tuple[str | list[Message], list[Message]]:
        """(input, output): one user turn, as a text or an array, and what followed it."""
        messages = _load(talk.messages)
        starts = [n for n, message in enumerate(messages) if message.get("role") == "user"]
        if not starts:
            return "", []
        number = self.place(index)[1] % len(starts)
        end = starts[number + 1] if number + 1 < len(starts) else len(messages)
        turn = messages[starts[number]]
        text = turn.get("content")
        plain = index % 4 and isinstance(text, str)
        return (str(text) if plain else [turn]), messages[starts[number] + 1 : end]

    def render(self, index: int) -> bytes:
        talk = self._conversation(index)
        said, answer = self._exchange(index, talk)
        costs = self._costs(index, talk)
        row: dict[str, object] = {
            "id": self.id_of(index),
            "orgId": self.org_id,
            "createdAt": write_us(self.created_us(index)),
            "updatedAt": write_us(self.updated_us(index)),
            **self._links(index),
            "input": said,
            "output": answer,
            "stream": False,
            "costs": costs,
            "cost": total(costs),
        }
        if self.place(index)[1] >= 3:
            row["name"] = talk.title[:40] or f"Chat {index + 1}"
        bits = mix(self._seed, index)
        body = dump(row)
        return body.replace(REFERENCE, reference(bits).encode()) if self._talk.built_in else body


def _load(messages: bytes) -> list[Message]:
    loaded: list[Message] = json.loads(messages)
    return loaded
