"""Owns moments as Vapi writes them; knows no clock."""

from datetime import UTC, datetime

# As seconds it would be the year 5138.
_MILLISECONDS_FROM = 1e11


def parse_time(value: object) -> datetime | None:
    """An ISO 8601 text in UTC, or None for whatever is none; without an offset it is UTC already."""
    if not isinstance(value, str):
        return None
    try:
        at = datetime.fromisoformat(value)
        if at.tzinfo is UTC:
            return at
        return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


def format_time(at: datetime) -> str:
    """RFC 3339 in UTC, with milliseconds as Vapi writes them, or microseconds where there are any."""
    if at.tzinfo is None:
        raise ValueError("a time without a zone names no moment")
    precision = "microseconds" if at.microsecond % 1000 else "milliseconds"
    return at.astimezone(UTC).isoformat(timespec=precision).replace("+00:00", "Z")


def parse_moment(value: object) -> datetime | None:
    """A time as server messages have it: seconds or milliseconds since 1970, as number or text, or ISO 8601."""
    try:
        number = float(str(value)) if not isinstance(value, bool) else None
    except ValueError:
        return parse_time(value)
    if number is None:
        return None
    try:
        return datetime.fromtimestamp(number / 1000 if abs(number) >= _MILLISECONDS_FROM else number, UTC)
    except (ValueError, OverflowError, OSError):
        return None
