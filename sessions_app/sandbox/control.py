"""The control plane under /_sandbox/: for tests and curious people, on loopback, without a key."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qs

from sessions_app.sandbox.answers import Answer, error_answer, json_answer
from sessions_app.sandbox.clock import Clock, parse_us, write_us
from sessions_app.sandbox.faults import Faults
from sessions_app.sandbox.journal import Journal
from sessions_app.sandbox.listing import Listing
from sessions_app.sandbox.live import Live
from sessions_app.sandbox.options import BadOption
from sessions_app.sandbox.organizations import Organization
from sessions_app.sandbox.routes import Request, list_answer
from sessions_app.sandbox.store import Payload, Stream
from sessions_app.sandbox.validation import BadInput
from sessions_app.sandbox.webhooks import Target, Webhooks

PREFIX = "/_sandbox/"
_STREAMS = {"sessions": "session", "chats": "chat"}


@dataclass(frozen=True, slots=True)
class Control:
    clock: Clock
    organizations: Mapping[str, Organization]
    faults: Faults
    journal: Journal
    webhooks: Webhooks

    def answer(self, request: Request) -> Answer:
        topic = request.path.removeprefix(PREFIX).strip("/")
        values = {name: found[-1] for name, found in parse_qs(request.query).items()}
        try:
            found = self._answer(request, topic, values)
        except BadInput as bad:
            return error_answer(400, bad.lines)
        except (BadOption, ValueError, KeyError, TypeError) as error:
            return error_answer(400, str(error))
        return found or error_answer(404, f"Cannot {request.method} {request.path}")

    def _answer(self, request: Request, topic: str, values: dict[str, str]) -> Answer | None:
        if request.method == "GET":
            return self._tell(topic, values)
        if request.method == "DELETE" and topic == "journal":
            self.journal.clear()
            return json_answer({})
        return self._do(topic, _object(request)) if request.method == "POST" else None

    def _tell(self, topic: str, values: dict[str, str]) -> Answer | None:
        match topic:
            case "journal":
                return json_answer(self.journal.read(int(values.get("after", "0")), values.get("method", "")))
            case "faults":
                return json_answer(self.faults.report())
            case "stats":
                return json_answer(self._stats())
            case "webhooks":
                return json_answer(self.webhooks.report())
            case "truth":
                return self._truth(values)
        return None

    def _do(self, topic: str, body: Payload) -> Answer | None:
        match topic:
            case "sessions" | "chats":
                return self._change(_STREAMS[topic], body)
            case "faults":
                self.faults.set(str(body.get("spec", "")), add=bool(body.get("add")))
                return json_answer(self.faults.report())
            case "clock" | "webhooks" | "conversations":
                work = {"clock": self._set_clock, "webhooks": self._set_target, "conversations": self._play}
                return work[topic](body)
            case "retention":
                return self._retain(body)
            case "reset":
                return self._reset()
        return None

    def _organization(self, values: Mapping[str, object]) -> Organization:
        key = values.get("key") or next(iter(self.organizations))
        if key not in self.organizations:
            raise BadInput([f"no organization has the key {key}"])
        return self.organizations[str(key)]

    def _retain(self, body: Payload) -> Answer:
        """{"itemsBeyondRetention", "before", "key"}: what was created before that moment is gone, without a word."""
        organization = self._organization(body)
        organization.beyond_retention = bool(body["itemsBeyondRetention"])
        before = parse_us(body.get("before"))
        for stream in (organization.sessions, organization.chats) if before is not None else ():
            stream.forget_before(before or 0)
        return json_answer({})

    def _reset(self) -> Answer:
        for organization in self.organizations.values():
            organization.reset()
        self.clock.reset()
        self.faults.reset()
        self.journal.clear()
        self.webhooks.reset()
        return json_answer({})

    def _play(self, body: Payload) -> Answer:
        """{"count", "key"}: so many conversations take place at once."""
        organization = self._organization(body)
        Live({organization.key: organization}, threading.Event(), "played").play(int(str(body["count"])))
        return json_answer({})

    def _set_target(self, body: Payload) -> Answer:
        """{"url", "auth", "faults", "assistants", "key"}; without a url no messages are sent."""
        key, url, assistants = (
            self._organization(body).key,
            str(body.get("url") or ""),
            body.get("assistants"),
        )
        self.webhooks.targets.pop(key, None)
        if url:
            self.webhooks.targets[key] = Target(
                url, str(body.get("auth") or ""), str(body.get("faults") or ""),
                tuple(map(str, assistants)) if isinstance(assistants, list) else (),
            )  # fmt: skip
        return json_answer(self.webhooks.report())

    def _set_clock(self, body: Payload) -> Answer:
        moment = parse_us(body.get("now"))
        if moment is None:
            moment = self.clock.now_us() + int(float(str(body.get("ahead_seconds", 0))) * 1_000_000)
        self.clock.set(moment)
        return json_answer({"now": write_us(self.clock.now_us())})

    def _change(self, kind: str, body: Payload) -> Answer:
        """One row, or `rows`: each {"id"?, "fields"?, "unset"?, "delete"?, "touch"?}."""
        organization = self._organization(body)
        rows = body.get("rows")
        changes = rows if isinstance(rows, list) else [body]
        done = [_change_row(organization, organization.stream(kind), change) for change in changes]
        missing = [str(change.get("id")) for change, row in zip(changes, done, strict=True) if row is None]
        if missing:
            return error_answer(404, f"no {kind} {', '.join(missing)}")
        found = [row for row in done if row is not None]
        return Answer(200, b"[" + b",".join(found) + b"]" if isinstance(rows, list) else found[0])

    def _truth(self, values: dict[str, str]) -> Answer:
        """Everything there is, by createdAt: kind=sessions|chats, id (that one alone), page, limit, key."""
        organization = self._organization(values)
        kind = _STREAMS[values.get("kind", "sessions")]
        page, limit = int(values.get("page", "1")), int(values.get("limit", "1000"))
        ids = frozenset({values["id"]}) if "id" in values else None
        listing = Listing(ids=ids, page=page, limit=limit, descending=False)
        return list_answer(organization.stream(kind), listing, organization)

    def _stats(self) -> Payload:
        return {
            "now": write_us(self.clock.now_us()),
            "requests": self.journal.count(),
            "organizations": [
                _organization_stats(organization) for organization in self.organizations.values()
            ],
        }


def _organization_stats(organization: Organization) -> Payload:
    counts = {name: organization.stream(kind).page(Listing(limit=0))[1] for name, kind in _STREAMS.items()}
    changed = organization.sessions.changed() + organization.chats.changed()
    return {"key": organization.key, "orgId": organization.org_id, **counts, "changed": changed}


def _object(request: Request) -> Payload:
    body = request.json() if request.body else {}
    if not isinstance(body, dict):
        raise BadInput(["body must be an object"])
    return body


def _change_row(organization: Organization, stream: Stream, change: Payload) -> bytes | None:
    """A known id is changed or deleted, any other is created with what is given."""
    id_, fields = str(change.get("id") or ""), change.get("fields") or {}
    unset = change.get("unset") or []
    if not isinstance(fields, dict) or not isinstance(unset, list):
        raise BadInput(["fields must be an object and unset an array"])
    if change.get("delete"):
        return stream.delete(id_)
    if id_ and stream.get(id_) is not None:
        return stream.update(id_, fields, unset, touch=bool(change.get("touch", True)))
    return organization.new_row(stream, fields, id_)
