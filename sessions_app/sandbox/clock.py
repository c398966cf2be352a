"""The sandbox's own clock and how it writes times; all moments are integer microseconds since 1970."""

import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def to_us(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)


def parse_us(text: object) -> int | None:
    """Microseconds of an ISO 8601 text, UTC where it names no zone; None where it is none."""
    if not isinstance(text, str):
        return None
    try:
        moment = datetime.fromisoformat(text)
        return to_us(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
    except (ValueError, OverflowError):
        return None


def write_us(us: int) -> str:
    """As Vapi prints it: 2026-01-02T03:04:05.678Z."""
    seconds, rest = divmod(us, SECOND)
    year, month, day, hour, minute, second, *_ = time.gmtime(seconds)
    return f"{year:04d}-{month:02d}-{day:02d}T{hour:02d}:{minute:02d}:{second:02d}.{rest // 1000:03d}Z"


class Clock:
    """Runs at the machine's pace from any chosen moment, so that tests may set it wrong."""

    def __init__(self, now: datetime | None) -> None:
        self._start = now
        self.reset()

    def reset(self) -> None:
        """Back to the moment it was started with, or to the machine's time."""
        self._offset = 0 if self._start is None else to_us(self._start) - self._machine()

    @staticmethod
    def _machine() -> int:
        return time.time_ns() // 1000

    def now_us(self) -> int:
        """Now, at Vapi's resolution of milliseconds."""
        return (self._machine() + self._offset) // 1000 * 1000

    def set(self, moment_us: int) -> None:
        self._offset = moment_us - self._machine()

    def http_date(self, ahead_seconds: float = 0) -> str:
        moment = _EPOCH + timedelta(microseconds=self.now_us() + int(ahead_seconds * SECOND))
        return format_datetime(moment.replace(microsecond=0), usegmt=True)
