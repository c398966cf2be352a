"""How times, amounts and names are written on pages. Knows no rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from django import template
from django.http import HttpRequest, QueryDict
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from sessions_app.search.sought import Piece, Sought
from sessions_app.vapi.money import format_usd

register = template.Library()

_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_MONTH = 30 * _DAY


@register.filter
def usd(value: Decimal | None, places: int | None = None) -> str:
    """Write dollars plainly: exact, or rounded to `places`. '' for none."""
    if value is None:
        return ""
    if places is not None:
        rounded = value.quantize(Decimal(1).scaleb(-places), ROUND_HALF_EVEN)
        if value and not rounded:
            return f"< ${Decimal(1).scaleb(-places):f}"
        return _signed(rounded)
    return _signed(value)


def _signed(value: Decimal) -> str:
    sign = "-" if value < 0 else ""
    return f"{sign}${format_usd(abs(value))}"


def local(value: datetime) -> datetime:
    """Return the moment in the time zone in use; in UTC where it lies beyond what can be written there."""
    try:
        return timezone.localtime(value)
    except (OverflowError, ValueError):
        return value.astimezone(UTC)


@register.filter
def relative(value: datetime | None) -> str:
    """Write how long ago, or in how long: "5 min ago", "in 3 h"; a date beyond a month."""
    if value is None:
        return ""
    seconds = (value - timezone.now()).total_seconds()
    if abs(seconds) >= _MONTH:
        return date_format(local(value), "j M Y")
    if abs(seconds) < 45:
        return "just now" if seconds <= 0 else "in a moment"
    words = _rough(abs(seconds))
    return f"in {words}" if seconds > 0 else f"{words} ago"


def _rough(seconds: float) -> str:
    if seconds < 55 * _MINUTE:
        return f"{max(1, round(seconds / _MINUTE))} min"
    if seconds < 23.5 * _HOUR:
        return f"{max(1, round(seconds / _HOUR))} h"
    days = max(1, round(seconds / _DAY))
    return f"{days} day" if days == 1 else f"{days} days"


@register.filter
def absolute(value: datetime | None) -> str:
    """Write a time with its zone: "21 Nov 2026, 14:02:09 UTC"."""
    if value is None:
        return ""
    return date_format(local(value), "j M Y, H:i:s T")


@register.filter
def machine(value: datetime) -> str:
    """Write a time as machines read it."""
    return local(value).isoformat()


@register.filter
def clock(value: datetime | None) -> str:
    return "" if value is None else date_format(local(value), "H:i:s")


@register.filter
def offset(seconds: float | None) -> str:
    """Write seconds from the start of a conversation as 1:05."""
    if seconds is None:
        return ""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


@register.filter
def span(seconds: int | None) -> str:
    """Write a length of time in its largest whole units: 90,000 as "1 day 1 h"."""
    if seconds is None:
        return ""
    units = (("day", _DAY), ("h", _HOUR), ("min", _MINUTE), ("s", 1))
    words, rest = [], int(seconds)
    for name, size in units:
        count, rest = divmod(rest, size)
        if count:
            words.append(f"{count} {name}{'s' if name == 'day' and count > 1 else ''}")
    return " ".join(words[:2]) or "0 s"


@register.filter
def elapsed(finish: datetime | None, start: datetime) -> str:
    return span(int(((finish or timezone.now()) - start) / timedelta(seconds=1)))


@register.simple_tag
def ago(value: datetime | None, none: str = "") -> SafeString:
    """Show a time relative to now, with the absolute one as title. The script keeps it true.

    Without the line break that ends a template, so that a full stop may follow.
    """
    rendered = render_to_string("vapiadmin/time.html", {"value": value, "none": none})
    # Stripping makes plain text of what the template has escaped already.
    return SafeString(rendered.strip())


@register.filter
def changes(edit: Any) -> list[Any]:
    """Return an edit's fields in words."""
    from sessions_app.admin.changes import list_changes  # noqa: PLC0415 - it uses `span` from here

    return list_changes(edit)


@register.filter
def marked(text: str, sought: Sought | None) -> SafeString:
    """Show a text with what was searched for marked in it."""
    pieces = sought.pieces(text) if sought else [Piece(text, is_found=False)]
    return format_html_join("", "{}", ((show_piece(piece),) for piece in pieces))


@register.simple_tag
def is_shown(sought: Sought | None, row_id: str, texts: Iterable[str]) -> bool:
    """Say whether a row shows itself what it was found by."""
    return sought is None or sought.is_shown(row_id, texts)


@register.filter
def show_piece(piece: Piece) -> str:
    return format_html("<mark>{}</mark>", piece.text) if piece.is_found else piece.text


@register.filter
def initials(name: str) -> str:
    """Return up to two letters for a round picture; '' where there is no letter."""
    words = [word for word in name.split() if word[0].isalpha()]
    return "".join(word[0] for word in (words[:1] + words[-1:] if len(words) > 1 else words)).upper()


@register.filter
def hue(text: str) -> int:
    """Return one of eight hues, the same for the same text."""
    return sum(text.encode()) % 8


@register.simple_tag(takes_context=True)
def query(context: template.RequestContext, **changes: object) -> str:
    """Return the page's query string with these parameters changed; None or '' drops one."""
    assert context.request is not None  # noqa: S101 - pages are rendered with a request
    return changed_query(context.request, changes)


def changed_query(request: HttpRequest, changes: Mapping[str, object]) -> str:
    """Return the request's query string with these parameters changed; None or '' drops one."""
    parameters: QueryDict = request.GET.copy()
    for name, value in changes.items():
        if value in (None, ""):
            parameters.pop(name, None)
        else:
            parameters[name] = str(value)
    return f"?{parameters.urlencode()}"


@register.simple_tag(takes_context=True)
def query_with(context: template.RequestContext, changes: dict[str, str]) -> str:
    """Return the page's query string, from its first page, with a mapping of parameters changed."""
    return query(context, cursor=None, **changes)


@register.simple_tag(takes_context=True)
def without(context: template.RequestContext, name: str) -> str:
    """Return the page's query string without one parameter, from its first page."""
    return query(context, cursor=None, **{name: None})
