"""What Vapi refuses, in its own words: bodies of PATCH and POST, and list parameters."""

from collections.abc import Mapping, Sequence
from typing import TypeAlias
from urllib.parse import parse_qsl

from sessions_app.sandbox.clock import parse_us
from sessions_app.sandbox.listing import FOREVER, Listing, Span

Payload: TypeAlias = dict[str, object]

_STATUSES = ("active", "completed")
_WRITABLE = ("name", "status", "expirationSeconds", "messages")
_OBJECTS = ("assistant", "assistantOverrides", "squad", "customer", "phoneNumber")
_CREATABLE = (*_WRITABLE, *_OBJECTS, "assistantId", "squadId", "customerId", "phoneNumberId")
_BOUNDS = tuple(
    f"{column}At{bound}" for column in ("created", "updated") for bound in ("Gt", "Lt", "Ge", "Le")
)
_PAGING = ("page", "limit", "sortOrder", "sortBy", *_BOUNDS)
_IGNORED = ("workflowId", "numberE164CheckEnabled", "extension", "assistantOverrides", "squadOverrides")
_LENGTHS = {"number": (3, 40), "name": (0, 40), "email": (0, 40), "externalId": (0, 40), "extension": (0, 10)}
# Parameter: the field it compares, and whether it is a comma list.
SESSION_FILTERS: dict[str, tuple[str, bool]] = {
    "name": ("name", False),
    "assistantId": ("assistantId", False),
    "assistantIdAny": ("assistantId", True),
    "squadId": ("squadId", False),
    "number": ("number", False),
    "sipUri": ("sipUri", False),
    "email": ("email", False),
    "externalId": ("externalId", False),
    "customerNumberAny": ("customerNumber", True),
    "phoneNumberId": ("phoneNumberId", False),
    "phoneNumberIdAny": ("phoneNumberId", True),
}
CHAT_FILTERS: dict[str, tuple[str, bool]] = {
    "assistantId": ("assistantId", False),
    "assistantIdAny": ("assistantId", True),
    "squadId": ("squadId", False),
    "sessionId": ("sessionId", False),
    "previousChatId": ("previousChatId", False),
}


class BadInput(Exception):
    """Vapi's message lines for a 400."""

    def __init__(self, lines: Sequence[str]) -> None:
        super().__init__("; ".join(lines))
        self.lines = list(lines)


def check_patch(body: object) -> Payload:
    """The body of PATCH /session/{id}; exactly four fields may be written."""
    return _checked(body, _WRITABLE)


def check_create(body: object) -> Payload:
    """The body of POST /session."""
    return _checked(body, _CREATABLE)


def _checked(body: object, allowed: Sequence[str]) -> Payload:
    if not isinstance(body, dict):
        raise BadInput(["body must be an object"])
    lines = [f"property {name} should not exist" for name in body if name not in allowed]
    for name in allowed:
        # class-validator's IsOptional lets null through as it does an absent field.
        if body.get(name) is not None:
            lines += _field_lines(name, body[name])
    if lines:
        raise BadInput(lines)
    return body


def _field_lines(name: str, value: object) -> list[str]:
    if name == "status":
        return (
            []
            if value in _STATUSES
            else [f"status must be one of the following values: {', '.join(_STATUSES)}"]
        )
    if name == "expirationSeconds":
        return _number_lines(name, value, 60, 2592000)
    if name == "messages":
        return _messages_lines(value)
    if name in _OBJECTS:
        return [] if isinstance(value, dict) else [f"{name} must be an object"]
    if not isinstance(value, str):
        return [f"{name} must be a string"]
    return (
        [f"{name} must be shorter than or equal to 40 characters"]
        if name == "name" and len(value) > 40
        else []
    )


def _number_lines(name: str, value: object, least: int, most: int) -> list[str]:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return [
            f"{name} must not be greater than {most}",
            f"{name} must not be less than {least}",
            f"{name} must be a number conforming to the specified constraints",
        ]
    if value > most:
        return [f"{name} must not be greater than {most}"]
    return [f"{name} must not be less than {least}"] if value < least else []


def _messages_lines(value: object) -> list[str]:
    if not isinstance(value, list):
        return ["messages must be an array"]
    return [
        line for place, message in enumerate(value) for line in _message_lines(f"messages.{place}", message)
    ]


def _message_lines(at: str, message: object) -> list[str]:
    """Both documented shapes: OpenAI style ({role, content}) and call style ({role, message, time, ...})."""
    if not isinstance(message, dict):
        return [f"{at} must be an object"]
    role = message.get("role")
    if not isinstance(role, str) or not role:
        return [f"{at}.role must be a string"]
    if "time" in message or "secondsFromStart" in message:
        return _call_style_lines(at, message)
    lines = _content_lines(at, role, message)
    if role == "tool" and not isinstance(message.get("tool_call_id"), str):
        lines.append(f"{at}.tool_call_id must be a string")
    if message.get("tool_calls") is not None:
        lines += _tool_call_lines(f"{at}.tool_calls", message["tool_calls"])
    return lines


def _call_style_lines(at: str, message: Mapping[str, object]) -> list[str]:
    numbers = [
        f"{at}.{name} must be a number conforming to the specified constraints"
        for name in ("time", "secondsFromStart")
        if isinstance(message.get(name), bool) or not isinstance(message.get(name), int | float)
    ]
    if "result" in message or isinstance(message.get("message"), str):
        return numbers
    return [f"{at}.message must be a string", *numbers]


def _content_lines(at: str, role: str, message: Mapping[str, object]) -> list[str]:
    content = message.get("content")
    if content is None:
        return [] if role == "assistant" else [f"{at}.content must be a string"]
    if isinstance(content, list):
        return []
    if not isinstance(content, str):
        return [f"{at}.content must be a string"]
    too_long = len(content) > 10000
    return [f"{at}.content must be shorter than or equal to 10000 characters"] if too_long else []


def _tool_call_lines(at: str, calls: object) -> list[str]:
    if not isinstance(calls, list):
        return [f"{at} must be an array"]
    lines: list[str] = []
    for place, call in enumerate(calls):
        function = call.get("function") if isinstance(call, dict) else None
        if not isinstance(function, dict):
            lines.append(f"{at}.{place}.function must be an object")
            continue
        lines += [
            f"{at}.{place}.function.{name} must be a string"
            for name in ("name", "arguments")
            if not isinstance(function.get(name), str)
        ]
    return lines


def read_listing(query: str, filters: Mapping[str, tuple[str, bool]]) -> Listing:
    """A listing from a query string; raises BadInput as Vapi answers 400."""
    given = [(name.removesuffix("[]"), value) for name, value in parse_qsl(query, keep_blank_values=True)]
    known = {*filters, *_PAGING, "id", "idAny", *(_IGNORED if "number" in filters else ())}
    lines = [f"property {name} should not exist" for name in dict(given) if name not in known]
    for name, value in given:
        lines += _parameter_lines(name, value)
    if lines:
        raise BadInput(lines)
    values = dict(given)
    sought = _filters(given, filters)
    return Listing(
        filters=tuple(sorted(sought.items())),
        ids=_ids(values),
        created=_span(values, "created"),
        updated=_span(values, "updated"),
        page=int(float(values.get("page", "1"))),
        limit=int(float(values.get("limit", "100"))),
        sort_by=values.get("sortBy", "createdAt"),
        descending=values.get("sortOrder", "DESC") == "DESC",
    )


def _filters(
    given: Sequence[tuple[str, str]], filters: Mapping[str, tuple[str, bool]]
) -> dict[str, frozenset[str]]:
    """Every parameter narrows; a list's parts, and a repeated array parameter, widen."""
    wanted: dict[str, set[str]] = {}
    for name, value in given:
        if name in filters:
            wanted.setdefault(name, set()).update(value.split(",") if filters[name][1] else [value])
    sought: dict[str, frozenset[str]] = {}
    for name, values in wanted.items():
        field = filters[name][0]
        sought[field] = sought[field] & values if field in sought else frozenset(values)
    return sought


def _ids(values: Mapping[str, str]) -> frozenset[str] | None:
    one = frozenset([values["id"]]) if "id" in values else None
    several = frozenset(values["idAny"].split(",")) if "idAny" in values else None
    return one & several if one is not None and several is not None else one if several is None else several


def _span(values: Mapping[str, str], column: str) -> Span:
    def bound(name: str, otherwise: int, step: int = 0) -> int:
        moment = parse_us(values.get(f"{column}At{name}"))
        return otherwise if moment is None else moment + step

    return Span(
        max(bound("Ge", -FOREVER), bound("Gt", -FOREVER, 1)),
        min(bound("Lt", FOREVER), bound("Le", FOREVER, 1)),
    )


def _parameter_lines(name: str, value: str) -> list[str]:
    if name in _BOUNDS:
        return [] if parse_us(value) is not None else [f"{name} must be a valid ISO 8601 date string"]
    if name == "limit":
        return _number_lines(name, _number(value), 0, 1000)
    if name == "page":
        lines = _number_lines(name, _number(value), 1, 1 << 40)
        return [line for line in lines if "greater" not in line]
    choices = {"sortOrder": ("ASC", "DESC"), "sortBy": ("createdAt", "duration", "cost")}.get(name)
    if choices is not None and value not in choices:
        return [f"{name} must be one of the following values: {', '.join(choices)}"]
    return _length_lines(name, value)


def _length_lines(name: str, value: str) -> list[str]:
    least, most = _LENGTHS.get(name, (0, 1 << 20))
    if len(value) > most:
        return [f"{name} must be shorter than or equal to {most} characters"]
    return [f"{name} must be longer than or equal to {least} characters"] if len(value) < least else []


def _number(value: str) -> float | None:
    try:
        return float(value)
    except ValueError:
        return None
