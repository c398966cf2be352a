"""What is said: conversations by number, ready as JSON, from the built-in scripts or from a file."""

import gzip
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Protocol

import orjson

from sessions_app.sandbox.options import BadOption
from sessions_app.sandbox.people import NAMES_PER_LANGUAGE, name_of
from sessions_app.sandbox.scripts import SCRIPTS
from sessions_app.sandbox.scripts.writing import Message, write_script
from sessions_app.sandbox.seeds import mix, seed_of

REFERENCE = b"__REFERENCE__"  # stands in a rendered conversation where each row puts its own reference


@dataclass(frozen=True, slots=True)
class Conversation:
    language: str
    business: int
    title: str
    messages: bytes
    transcript: bytes
    count: int
    characters: int


class Conversations(Protocol):
    """Row i of any organization asks for its conversation by number and by who speaks."""

    built_in: bool

    def kind(self, row: int, bits: int, /) -> int: ...
    def language(self, kind: int, /) -> str: ...
    def business(self, kind: int, /) -> int: ...
    def get(self, kind: int, person: int, /) -> Conversation: ...


def _spoken(message: Message) -> str:
    content = message.get("content")
    return content if isinstance(content, str) else ""


def _conversation(language: str, business: int, title: str, messages: Sequence[Message]) -> Conversation:
    said = [(str(m.get("role")), _spoken(m)) for m in messages if m.get("role") in ("user", "assistant")]
    transcript = "\n".join(
        f"{'AI' if role == 'assistant' else 'User'}: {text}" for role, text in said if text
    )
    return Conversation(
        language=language,
        business=business,
        title=title,
        messages=dump(messages),
        transcript=dump(transcript),
        count=len(messages),
        characters=sum(len(_spoken(message)) for message in messages),
    )


def dump(value: object) -> bytes:
    """JSON as Vapi writes it; what orjson refuses (lone surrogates, huge integers) goes the slow way."""
    try:
        return orjson.dumps(value)
    except TypeError:
        return json.dumps(value, separators=(",", ":")).encode()


class BuiltIn:
    """Our own scripts, each told by 48 people."""

    built_in = True

    def __init__(self) -> None:
        self._told = lru_cache(maxsize=4096)(self._tell)

    def kind(self, _row: int, bits: int) -> int:
        return bits % len(SCRIPTS)

    def language(self, kind: int) -> str:
        return SCRIPTS[kind].language

    def business(self, kind: int) -> int:
        return SCRIPTS[kind].business

    def get(self, kind: int, person: int) -> Conversation:
        return self._told(kind, person % NAMES_PER_LANGUAGE)

    def _tell(self, kind: int, place: int) -> Conversation:
        script = SCRIPTS[kind]
        bits = mix(seed_of(script.title), place)
        messages = write_script(script, name_of(script.language, place), REFERENCE.decode(), bits)
        return _conversation(script.language, script.business, script.title, messages)


class FromFile:
    """Row i has the messages of line i (modulo), exactly as they stand there."""

    built_in = False

    def __init__(self, path: Path) -> None:
        self._lines = list(_read_lines(path))
        if not self._lines:
            raise BadOption(f"--conversations {path}: no conversations in it")
        self.get = lru_cache(maxsize=4096)(self._get)

    def kind(self, row: int, _bits: int) -> int:
        return row % len(self._lines)

    def language(self, _kind: int) -> str:
        return "en"

    def business(self, kind: int) -> int:
        return kind

    def _get(self, kind: int, _person: int) -> Conversation:
        return _conversation("en", kind, "", json.loads(self._lines[kind])["messages"])


def _read_lines(path: Path) -> list[bytes]:
    try:
        text = path.read_bytes()
        if path.suffix == ".gz":
            text = gzip.decompress(text)
    except (OSError, EOFError) as error:
        reason = getattr(error, "strerror", None) or "not a gzip file"
        raise BadOption(f"--conversations {path}: {reason}") from None
    lines = [(number, line) for number, line in enumerate(text.split(b"\n"), 1) if line.strip()]
    for number, line in lines:
        if not _is_conversation(line):
            raise BadOption(
                f'--conversations {path}, line {number}: not a JSON object {{"messages": [{{"role": ...}}, ...]}}'
            )
    return [line for _, line in lines]


def _is_conversation(line: bytes) -> bool:
    try:
        messages = json.loads(line)["messages"]
    except (ValueError, TypeError, KeyError):
        return False
    return isinstance(messages, list) and all(
        isinstance(message, dict) and isinstance(message.get("role"), str) for message in messages
    )


def open_conversations(path: Path | None) -> Conversations:
    return BuiltIn() if path is None else FromFile(path)
