"""Sessions made from the seed: row i's id, times, fields and JSON, nothing kept; knows no HTTP."""

from dataclasses import dataclass

from sessions_app.sandbox.assistants import MARK, Catalogue, overrides, transient_assistant
from sessions_app.sandbox.clock import DAY, HOUR, MINUTE, SECOND, parse_us, write_us
from sessions_app.sandbox.conversations import REFERENCE, Conversation, Conversations, dump
from sessions_app.sandbox.costs import Cost, session_costs, total
from sessions_app.sandbox.people import indexes_of, person
from sessions_app.sandbox.seeds import Ids, mix, seed_of
from sessions_app.sandbox.shapes import reshape
from sessions_app.sandbox.timeline import Timeline

SIGNED_ANEW = b"__SIGNED_ANEW__"  # replaced by a new signature in every answer

_EXPIRATIONS = (None, None, None, 86400, 3600, 604800, 2592000, 60)
_URLS = ("presignedMonoUrl", "presignedStereoUrl", "presignedLogUrl", "recordingUrl")


@dataclass(frozen=True, slots=True)
class Traits:
    """The choices that make row i, cheap enough to compute for every row of a scan."""

    index: int
    bits: int
    kind: int
    person: int
    business: int


class Sessions:
    """The organization's seeded sessions, in order of createdAt."""

    name = "session"
    max_lag_us = 6 * HOUR

    def __init__(
        self, key: str, seed: str, org_id: str, timeline: Timeline, talk: Conversations, catalogue: Catalogue
    ) -> None:
        self.size = timeline.size
        self.org_id = org_id
        self.created_us = timeline.created_us
        self.index_at = timeline.index_at
        self.ids = Ids(seed_of(seed, key, "session"), "session")
        self._owner = key
        self._seed = seed_of(seed, key, "session-content")
        self.end_us = timeline.end_us
        self._talk = talk
        self._people = timeline.size // 20 + 8
        self._assistants = catalogue.ids("assistants")
        self._squads = catalogue.ids("squads")
        self._phones = catalogue.ids("phone_numbers")

    def id_of(self, index: int) -> str:
        return self.ids.of(index)

    def index_of(self, id_: str) -> int | None:
        index = self.ids.index(id_)
        return index if index is not None and index < self.size else None

    def updated_us(self, index: int) -> int:
        """At most max_lag_us after createdAt, never after the sandbox's start."""
        bits = mix(self._seed, index)
        lag = (30 * SECOND + bits % (15 * MINUTE)) if bits >> 60 else bits % (self.max_lag_us - SECOND)
        return min(self.created_us(index) + lag // 1000 * 1000, self.end_us)

    def traits(self, index: int) -> Traits:
        bits = mix(self._seed, index)
        kind = self._talk.kind(index, bits >> 8)
        return Traits(index, bits, kind, (bits >> 24) % self._people, self._talk.business(kind) % 5)

    def completed(self, index: int) -> bool:
        """Recent sessions still run, and a few of any age were never completed."""
        recent = index >= self.size - 3 or self.created_us(index) > self.end_us - 2 * HOUR
        return not recent and index % 25 != 9

    @staticmethod
    def way(index: int) -> str:
        """How the customer came: number, sip, web, or "" for somebody unknown."""
        if index % 10 == 4:
            return ""
        return {6: "sip", 15: "web"}.get(index % 20, "number")

    def value(self, index: int, field: str) -> str | None:
        """The value that a list filter compares, without making the row."""
        traits = self.traits(index)
        if field in ("assistantId", "squadId", "phoneNumberId"):
            return self.parties(traits).get(field)
        if field == "name":
            return self._name(traits, self._talk.get(traits.kind, traits.person))
        who = self._customer_fields(traits)
        return who.get({"customerNumber": "number"}.get(field, field))

    def number(self, index: int, sort_by: str) -> float:
        """What sortBy=cost and sortBy=duration sort by."""
        if sort_by == "duration":
            return self.updated_us(index) - self.created_us(index)
        traits = self.traits(index)
        talk = self._talk.get(traits.kind, traits.person)
        return self._costs(traits, talk, completed=self.completed(index))[0] or 0.0

    def parties(self, traits: Traits, *, telephone: bool = True) -> dict[str, str]:
        index, parties = traits.index, dict[str, str]()
        if index % 8 == 5:
            parties["squadId"] = self._squads[traits.business % 2]
        elif index % 40 != 19:
            parties["assistantId"] = self._assistants[traits.business]
        if telephone and self.way(index) in ("number", "sip"):
            parties["phoneNumberId"] = self._phones[traits.business % 3]
        return parties

    def candidates(self, field: str, value: str) -> list[int] | None:
        """The few rows that a filter can find, where that is quicker than making the field of each."""
        field = {"customerNumber": "number"}.get(field, field)
        if field not in ("number", "email", "externalId"):
            return None
        wanted, seed, people = indexes_of(field, value), self._seed, self._people
        return [index for index in range(self.size) if (mix(seed, index) >> 24) % people in wanted]

    def _customer_fields(self, traits: Traits) -> dict[str, str]:
        way = self.way(traits.index)
        if not way:
            return {}
        who = person(self._talk.language(traits.kind), traits.person)
        fields = {"name": who.name}
        if way == "sip":
            return {"sipUri": who.sip_uri, **fields}
        if way == "number":
            fields = {"number": who.number, **fields}
        if way == "web" or traits.bits >> 40 & 1:
            fields["email"] = who.email
        if way == "web" or traits.bits >> 41 & 3 == 0:
            fields["externalId"] = who.external_id
        return fields

    def _name(self, traits: Traits, talk: Conversation) -> str | None:
        if traits.index % 6 == 2:
            return None
        title = talk.title or f"Conversation {traits.index + 1}"
        longer = f"{title} · {reference(traits.bits)}"
        return longer if talk.title and traits.bits >> 52 & 1 and len(longer) <= 40 else title

    def _costs(
        self, traits: Traits, talk: Conversation, *, completed: bool
    ) -> tuple[float | None, list[Cost] | None]:
        """The session's own cost and its lines; a few of each way in which the two disagree."""
        costs = session_costs(traits.bits, talk.characters, talk.count, traits.business, completed=completed)
        match traits.index % 50:
            case 21:
                return total(costs) + 0.01, costs
            case 22:
                return total(costs), None
            case 24:
                return None, costs
            case 26:
                return None, None
            case 28:
                return 0, []
        return total(costs), costs

    def render(self, index: int) -> bytes:
        """Row `index` as JSON, with SIGNED_ANEW where a signature belongs."""
        return self._render(
            index, self.created_us(index), self.updated_us(index), completed=self.completed(index)
        )

    def render_new(self, index: int, now_us: int) -> bytes:
        """What row `index`, past the seeded ones, will be when its conversation is over."""
        return self._render(index, now_us, now_us, completed=True)

    def _render(self, index: int, created_us: int, updated_us: int, *, completed: bool) -> bytes:
        traits = self.traits(index)
        talk = self._talk.get(traits.kind, traits.person)
        head: dict[str, object] = {
            "id": self.ids.of(index),
            "orgId": self.org_id,
            "createdAt": write_us(created_us),
            "updatedAt": write_us(updated_us),
            **self._fields(traits, talk, completed=completed),
        }
        messages, transcript = self._spoken(traits, talk, created_us)
        body = dump(head)[:-1] + b',"messages":' + messages
        if completed:
            body += b',"artifact":' + self._artifact(traits, str(head["id"]), messages, transcript)
        body += b"}"
        return body.replace(REFERENCE, reference(traits.bits).encode()) if self._talk.built_in else body

    def _fields(self, traits: Traits, talk: Conversation, *, completed: bool) -> dict[str, object]:
        index, fields = traits.index, dict[str, object]()
        cost, costs = self._costs(traits, talk, completed=completed)
        candidates: dict[str, object] = {
            "name": self._name(traits, talk),
            "status": "completed" if completed else "active",
            "expirationSeconds": _EXPIRATIONS[traits.bits >> 50 & 7],
            "cost": cost,
            "costs": costs,
            **self.parties(traits),
            "customer": self._customer_fields(traits) or None,
        }
        fields = {name: value for name, value in candidates.items() if value is not None}
        if index % 40 == 19:
            fields["assistant"] = transient_assistant(f"{self._owner}/session{index}", traits.business)
        if index % 40 == 23:
            fields["assistantOverrides"] = overrides(f"{self._owner}/session{index}")
        if index % 50 == 21:
            fields["metadata"] = {
                "sandbox": "cost differs from the sum of costs",
                "variableValues": {"shift": "late"},
            }
        return fields

    def _spoken(self, traits: Traits, talk: Conversation, created_us: int) -> tuple[bytes, bytes]:
        """(messages, transcript) as JSON."""
        shaped = reshape(traits.index, talk, created_us) if self._talk.built_in else None
        return shaped or (talk.messages, talk.transcript)

    def _artifact(self, traits: Traits, id_: str, messages: bytes, transcript: bytes) -> bytes:
        urls = "".join(
            f',"{name}":"https://files.example.com/{id_}/{name}.wav'
            f'?X-Amz-Expires=3600&X-Amz-Signature={MARK}-artifact-{SIGNED_ANEW.decode()}"'
            for name in _URLS[: 2 + traits.bits % 3]
        )
        return (
            b'{"transcript":' + transcript + b',"messagesOpenAIFormatted":' + messages + urls.encode()
            + b',"presignedUrlsExpiresAt":"%s"}' % write_us(self.end_us + DAY).encode()
        )  # fmt: skip


def reference(bits: int) -> str:
    """A booking reference that only one row says."""
    letters = "ABCDEFGHJKLMNPQRSTUVWXYZ"
    return f"{letters[bits % 24]}{letters[(bits >> 5) % 24]}-{(bits >> 10) % 90_000_000 + 10_000_000}"


def payload_times(payload: dict[str, object], fallback_us: int) -> tuple[int, int]:
    """createdAt and updatedAt of a payload; what is no time counts as the fallback."""
    created = parse_us(payload.get("createdAt"))
    updated = parse_us(payload.get("updatedAt"))
    return (fallback_us if created is None else created, fallback_us if updated is None else updated)
