"""What was asked of the sandbox, in order; the last ten thousand requests."""

import threading
from collections import deque
from dataclasses import asdict, dataclass

_KEEP = 10_000


@dataclass(slots=True)
class Entry:
    """One request. `status` is None where no answer was sent; `fault` names what went wrong on purpose."""

    number: int
    at: str
    method: str
    path: str
    query: str
    body: object
    key: str
    organization: str
    status: int | None = None
    fault: str = ""
    bytes: int = 0


class Journal:
    def __init__(self) -> None:
        self._entries: deque[Entry] = deque(maxlen=_KEEP)
        self._lock = threading.Lock()
        self._number = 0

    def open(
        self, at: str, method: str, path: str, query: str, body: object, key: str, organization: str
    ) -> Entry:
        """Written down before it is carried out, so that order is the order of arrival."""
        with self._lock:
            self._number += 1
            entry = Entry(self._number, at, method, path, query, body, key, organization)
            self._entries.append(entry)
            return entry

    def read(self, after: int = 0, method: str = "") -> list[dict[str, object]]:
        with self._lock:
            entries = [e for e in self._entries if e.number > after and method in ("", e.method)]
        return [asdict(entry) for entry in entries]

    def clear(self) -> None:
        with self._lock:
            self._entries.clear()
            self._number = 0

    def count(self) -> int:
        return self._number
