"""JSON as people read it: indented, with every number as it was written."""

from __future__ import annotations

from decimal import Decimal

import orjson

from sessions_app.vapi.json import BadJson, dump_payload, parse_json


def pretty_json(value: object) -> str:
    try:
        return orjson.dumps(value, default=_exact, option=orjson.OPT_INDENT_2).decode()
    except orjson.JSONEncodeError:
        return dump_payload(value)


def pretty_text(text: str) -> str:
    """Return JSON text indented, any other text as it is."""
    if not text.lstrip().startswith(("{", "[")):
        return text
    try:
        return pretty_json(parse_json(text))
    except BadJson:
        return text


def _exact(value: object) -> orjson.Fragment:
    if isinstance(value, Decimal):
        return orjson.Fragment(str(value))
    raise TypeError(type(value).__name__)
