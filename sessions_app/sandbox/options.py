"""What a sandbox is started with; owns defaults and their checks, knows nothing of serving."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

DEFAULT_KEYS = ("sandbox-key", "sandbox-key-2")


class BadOption(ValueError):
    """An option that cannot be used; str() is one line for the person at the terminal."""


@dataclass(frozen=True, slots=True)
class Options:
    host: str = "127.0.0.1"
    port: int = 8100
    sessions: int = 400
    chats: int = 2
    seed: str = "vapiadmin"
    conversations: Path | None = None
    faults: str = ""
    live: bool = False
    keys: tuple[str, ...] = DEFAULT_KEYS
    now: datetime | None = None
    days: int = 30
    remember: int = 0
    webhook: str = ""
    webhook_auth: str = ""
    webhook_faults: str = ""

    def __post_init__(self) -> None:
        if self.sessions < 0 or self.days < 1:
            raise BadOption("--sessions must be 0 or more and --days 1 or more")
        if self.remember < 0:
            raise BadOption("--remember must be 0 or more")
        if self.chats not in (2, 3):
            raise BadOption("--chats must be 2 or 3")
        if not self.keys or len(set(self.keys)) != len(self.keys) or not all(self.keys):
            raise BadOption("--key must be given without blanks or repetition")


def parse_now(text: str) -> datetime:
    """The moment of --now, in UTC where it names no zone."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise BadOption(f"--now {text!r} is no ISO 8601 time") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
