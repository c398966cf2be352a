"""Owns what a correction of messages does to an array of messages: which turn is meant, and what becomes of it.

Knows no rows and no HTTP. A message is known again by the digest of its redacted form, so that digests of what is
mirrored and of what Vapi holds are the same.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sessions_app.vapi import REDACTED, JsonObject, dump_payload, make_safe, parse_turns, redact
from sessions_app.vapi.json import dump_bytes

# What stands in the place of words that were taken away. Not the mark of our own redaction, which is never sent.
WITHHELD = "[withheld]"
_TEXT_KEYS = ("content", "message", "result")
# Copies of the words that Vapi keeps beside them.
_COPIES = ("originalMessage", "refusal")

Operation = Mapping[str, Any]


class NoWords(ValueError):
    """The message holds no words that could be replaced."""


@dataclass(frozen=True)
class Outcome:
    """What the operations come to. `disputed` are indexes of operations whose message is not there as it was."""

    messages: list[Any]
    disputed: tuple[int, ...]
    # Nothing is left to do: it stands so already.
    is_done: bool


def digest_of(message: object) -> str:
    clean, _ = make_safe(redact(message))
    return hashlib.sha256(dump_bytes(clean, sort_keys=True)).hexdigest()


def gist_of(messages: Sequence[object]) -> str:
    """Return a digest of who says what, by which an array is known again that Vapi has added its own fields to."""
    gist = [[_role(message), words_of(message)] for message in messages]
    return hashlib.sha256(dump_bytes(make_safe(redact(gist))[0])).hexdigest()


def plain(message: object) -> Any:
    """Return a message with floats for its exact numbers, as a column of JSON takes it."""
    return json.loads(dump_payload(message))


def bears_mark(message: object) -> bool:
    """Say whether something in it was blanked: it cannot be sent back."""
    return REDACTED in dump_payload(message)


def _role(message: object) -> object:
    return message.get("role") if isinstance(message, dict) else None


def words_of(message: object) -> str:
    turns = parse_turns([message])
    return turns[0].text if turns else ""


def with_words(message: JsonObject, words: str) -> JsonObject:
    """Return the message saying `words` instead, its other parts as they are. Raises NoWords."""
    for key in _TEXT_KEYS:
        value = message.get(key)
        if isinstance(value, str) and value:
            return {**message, key: words}
        if isinstance(value, list) and words_of({key: value}):
            return {**message, key: _with_words(value, words)}
    raise NoWords


def without_words(message: JsonObject) -> JsonObject:
    """Return the message with its words, and copies of them, taken away. Raises NoWords."""
    clean = with_words(message, WITHHELD)
    return clean | {key: WITHHELD for key in _COPIES if isinstance(clean.get(key), str) and clean[key]}


def changed(message: JsonObject, operation: Operation) -> JsonObject:
    """Return what a message becomes that is replaced or redacted. Raises NoWords."""
    if operation["do"] == "restore":
        return dict(operation["message"])
    if operation["do"] == "redact":
        return without_words(message)
    return with_words(message, str(operation["text"]))


def apply_operations(messages: Sequence[Any], operations: Sequence[Operation]) -> Outcome:
    """Apply the operations to the array as it is now; turns that came meanwhile stay."""
    digests = [digest_of(message) for message in messages]
    places: dict[int, int] = {}
    disputed: list[int] = []
    taken: set[int] = set()
    for index, operation in enumerate(operations):
        is_insert = operation["do"] == "insert"
        place = _anchor(digests, operation) if is_insert else _place(digests, operation)
        if place is not None and place not in taken:
            places[index] = place
            taken |= set() if is_insert else {place}
        elif place is not None or not _stands(digests, operation):
            disputed.append(index)
    result = list(messages)
    # From the end, so that places before stay what they are; of the same place the last comes first.
    for index in sorted(places, key=lambda index: (places[index], index), reverse=True):
        _apply(result, places[index], operations[index])
    return Outcome(result, tuple(disputed), not places and not disputed)


def _apply(messages: list[Any], place: int, operation: Operation) -> None:
    if operation["do"] == "remove":
        del messages[place]
    elif operation["do"] == "insert":
        messages.insert(place, operation["message"])
    else:
        messages[place] = changed(messages[place], operation)


def _place(digests: Sequence[str], operation: Operation) -> int | None:
    return _find(digests, int(operation["position"]), operation)


def _anchor(digests: Sequence[str], operation: Operation) -> int | None:
    """Where a message goes back in: behind the one that it followed, unless it is there already."""
    if operation["digest"]:
        before = _find(digests, int(operation["position"]) - 1, operation)
        place = None if before is None else before + 1
    else:
        place = 0
    return None if place is None or digests[place : place + 1] == [operation["result"]] else place


def _stands(digests: Sequence[str], operation: Operation) -> bool:
    """Say whether Vapi has already what the operation would make. A removed message leaves no trace to tell by."""
    place = int(operation["position"])
    return bool(operation.get("result")) and digests[place : place + 1] == [operation["result"]]


def _find(digests: Sequence[str], position: int, operation: Operation) -> int | None:
    """Return where a message is: at its position; elsewhere only where it is, and was when shown, like no other.

    Of two turns that say "Yes." one may be gone, and the other is not meant.
    """
    digest = operation["digest"]
    if 0 <= position < len(digests) and digests[position] == digest:
        return position
    places = [place for place, other in enumerate(digests) if other == digest]
    return places[0] if len(places) == 1 and operation.get("is_unique") else None


def _with_words(parts: list[Any], words: str) -> list[Any]:
    """Content in parts: the words go where the first text stood, pictures and the like stay."""
    kept: list[Any] = []
    for part in parts:
        is_text = isinstance(part, str) or (isinstance(part, dict) and bool(words_of({"content": [part]})))
        if not is_text:
            kept.append(part)
        elif words:
            kept.append(words if isinstance(part, str) else {"type": part.get("type", "text"), "text": words})
            words = ""
    return kept
