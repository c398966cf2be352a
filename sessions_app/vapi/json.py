"""Owns JSON in and out with every number exact: Decimals when read, the same digits when written."""

import json
from collections.abc import Iterable
from decimal import Decimal
from typing import Any, NoReturn

import msgspec
import orjson

JsonObject = dict[str, Any]

_SIXTY_FOUR_BITS = range(-(2**63), 2**64)


class BadJson(ValueError):
    """The text is no JSON that can be kept. Says what is wrong, never quotes the text."""


def _reject_constant(name: str) -> NoReturn:
    raise BadJson(f"{name} is not JSON")


# The quick one is stricter (it takes no lone surrogate): the patient one has the last word on what it refuses.
_quick_decoder = msgspec.json.Decoder(float_hook=Decimal)
_patient_decoder = json.JSONDecoder(parse_float=Decimal, parse_constant=_reject_constant)


def parse_json(text: str | bytes) -> Any:
    """Any JSON text; bytes are UTF-8 and may open with a byte order mark.

    Raises `BadJson` also for what Python alone cannot hold: too deep, too many digits.
    """
    try:
        return _quick_decoder.decode(text)
    except (msgspec.MsgspecError, ValueError, ArithmeticError, RecursionError):
        pass
    try:
        return _patient_decoder.decode(text if isinstance(text, str) else text.decode("utf-8-sig"))
    except BadJson:
        raise
    except (ValueError, ArithmeticError, RecursionError) as error:
        # The parser's own exception carries the whole text: it must not travel along.
        reason = type(error).__name__
    raise BadJson(f"not JSON: {reason}")


def load_payload(text: str) -> JsonObject:
    """A stored payload, with Decimals where the text has a fraction or an exponent."""
    value = parse_json(text)
    if not isinstance(value, dict):
        raise BadJson("a payload is a JSON object")
    return value


def dump_payload(value: object) -> str:
    """Compact JSON; a Decimal is written with its own digits. Strings must be safe (see text.py)."""
    return dump_bytes(value).decode()


def dump_bytes(value: object, *, sort_keys: bool = False) -> bytes:
    option = orjson.OPT_SORT_KEYS if sort_keys else 0
    try:
        return orjson.dumps(value, default=_exact, option=option)
    except orjson.JSONEncodeError:
        return _dump_piecewise(value, option)


def _exact(value: object) -> orjson.Fragment:
    if isinstance(value, Decimal) and value.is_finite():
        return orjson.Fragment(str(value))
    raise TypeError(f"{type(value).__name__} has no exact JSON")


def _dump_piecewise(value: object, option: int) -> bytes:
    """What orjson refuses as a whole: more than 254 levels, integers above 64 bits. Innermost first."""
    nodes: list[object] = [value]
    for node in nodes:
        nodes.extend(inner for inner in _inner(node) if isinstance(inner, dict | list))
    done: dict[int, orjson.Fragment] = {}
    for node in reversed(nodes):
        flat = _flatten(node, done)
        done[id(node)] = orjson.Fragment(orjson.dumps(flat, default=_exact, option=option))
    return orjson.dumps(done[id(value)])


def _inner(node: object) -> Iterable[object]:
    if isinstance(node, dict):
        return node.values()
    return node if isinstance(node, list) else ()


def _flatten(node: object, done: dict[int, orjson.Fragment]) -> object:
    def flat(inner: object) -> object:
        if isinstance(inner, dict | list):
            return done[id(inner)]
        if isinstance(inner, int) and not isinstance(inner, bool) and inner not in _SIXTY_FOUR_BITS:
            return orjson.Fragment(str(inner))
        return inner

    if isinstance(node, dict):
        return {key: flat(inner) for key, inner in node.items()}
    return [flat(inner) for inner in node] if isinstance(node, list) else flat(node)
