"""What `manage.py bench pages` asks for: each list's orders, filters and searches, on rows made by filling.py."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlencode

from sessions_app.management.filling import COMMON_WORDS, OLD_WORD
from sessions_app.models import Session
from sessions_app.search.orders import CHAT_ORDERS, COST_LINE_ORDERS, SESSION_ORDERS

_ABSENT = "no-such-thing"
# By list: filters that find some, few or no rows.
_FILTERS: dict[str, list[dict[str, str]]] = {
    "sessions": [
        {"status": "active"},
        {"assistant_id": "assistant-3"},
        {"phone_number_id": _ABSENT},
        {"missing": "true"},
        {"failed_tools": "true"},
        {"edit_state": "conflict"},
        {"organization": "bench-small", "missing": "true"},
        {"created_at__gte": "2026-06-01", "created_at__lt": "2026-06-02", "status": "active"},
        {"cost_usd__gt": "0.8"},
        {"name__contains": _ABSENT},
        {"customer_email__contains": _ABSENT},
    ],
    "chats": [{"name__contains": _ABSENT}, {"missing": "true"}, {"q": _ABSENT}],
    "costs": [{"kind": "model"}, {"kind": _ABSENT}, {"provider": "provider-1"}, {"cost_usd__gt": "0.4"}],
    "edits": [{}, {"state": "conflict"}, {"field": "status"}, {"author": _ABSENT}],
    "sync-runs": [{}, {"state": "failed"}],
}
_PAGES: dict[str, list[dict[str, str]]] = {
    "session": [{}, {"search": "booking"}],
    "costline": [{}],
    "edit": [{"state": "conflict"}],
    "edittransition": [{}, {"actor": "person7"}, {"author": _ABSENT}],
    "webhookevent": [{}, {"state": "failed"}, {"kind": "session.deleted"}],
    "quarantinedrecord": [{}],
    "syncrun": [{}],
}


def list_addresses() -> Iterator[tuple[str, str]]:
    """Yield (name, address) of every order, filter and search."""
    for path, orders in (("sessions", SESSION_ORDERS), ("chats", CHAT_ORDERS), ("costs", COST_LINE_ORDERS)):
        for order in orders.sortable:
            yield from _rest(path, {"ordering": f"-{order}"})
    for path, filters in _FILTERS.items():
        for asked in filters:
            yield from _rest(path, asked)
    for asked in _of_one_customer():
        yield from _rest("sessions", asked)
    for word in (*COMMON_WORDS, OLD_WORD, _ABSENT):
        yield from _rest("sessions", {"q": word})
    for model, pages in _PAGES.items():
        for asked in pages:
            address = f"/admin/sessions_app/{model}/?{urlencode(asked)}"
            yield f"page: {model} {_words(asked)}", address


def _of_one_customer() -> Iterator[dict[str, str]]:
    one = Session.objects.order_by("-created_at")[1000:1001].get()
    for column in ("name", "customer_name", "customer_email", "customer_external_id", "customer_number"):
        yield {column: getattr(one, column)}
    yield {"customer_number__contains": one.customer_digits[5:10]}
    yield {"customer_number__contains": one.customer_digits[:3]}
    yield {"search": one.customer_digits[3:]}
    yield {"search": one.pk[:10]}
    yield {"search": one.customer_name}


def _rest(path: str, asked: dict[str, str]) -> Iterator[tuple[str, str]]:
    yield f"{path} {_words(asked)}", f"/api/v1/{path}/?{urlencode({'limit': '50', **asked})}"


def _words(asked: dict[str, str]) -> str:
    return " ".join(f"{name}={value}" for name, value in asked.items())
