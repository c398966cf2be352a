"""Owns the answer to "has it changed?": hashes over a payload; must not know what is compared with what."""

import hashlib
import re
from decimal import Decimal
from typing import Any

import orjson

from sessions_app.vapi.json import JsonObject, dump_bytes
from sessions_app.vapi.redaction import REDACTED

ARTIFACT = "artifact"
_REDACTED = REDACTED.encode()
_ADDRESSES = ("url", "urls")
_MAYBE_VOLATILE = re.compile(
    rb'"artifact"|"(?i:presigned)|"https?://(?:[^"\\]|\\.)*?' + re.escape(REDACTED).encode()
)


def session_fingerprint(
    status: str,
    name: str | None,
    cost_usd: Decimal | None,
    expiration_seconds: int | None,
    messages: int,
    costs: int,
    customer_id: str,
    customer: tuple[str, ...],
) -> str:
    """`messages` and `costs` count the entries; `customer` is number, name, email, external id and SIP address."""
    return _short_hash(status, name, cost_usd, expiration_seconds, messages, costs, customer_id, customer)


def chat_fingerprint(
    name: str | None, cost_usd: Decimal | None, messages: int, costs: int, session_id: str
) -> str:
    return _short_hash(name, cost_usd, messages, costs, session_id)


def _short_hash(*values: object) -> str:
    """32 hex digits over a few values: no one reads a customer's fields out of it."""
    return hashlib.sha256(repr(values).encode(errors="replace")).hexdigest()[:32]


def content_hash(payload: JsonObject) -> str:
    """Hex SHA-256 of the canonical JSON. Signed addresses are made anew in every answer and left out."""
    return hashlib.sha256(_lasting_json(payload)).hexdigest()


def differs(name: str, old: object, new: object, *, inside_artifact: bool) -> bool:
    """Say whether two values of one field differ in more than how an address is signed."""
    if old == new:
        return False
    if not inside_artifact and not _may_be_volatile(dump_bytes({name: old})):
        return True
    return bool(
        _lasting("", {name: old}, inside=inside_artifact) != _lasting("", {name: new}, inside=inside_artifact)
    )


def _lasting_json(payload: JsonObject) -> bytes:
    if ARTIFACT not in payload:
        json = dump_bytes(payload, sort_keys=True)
        if not _may_be_volatile(json):
            return json
    return dump_bytes(_lasting_members(payload, inside=False), sort_keys=True)


def _may_be_volatile(json: bytes) -> bool:
    """Three quick looks before the exact one: most of a payload is what was said."""
    if not (_REDACTED in json or b'"artifact"' in json or b"presigned" in json.lower()):
        return False
    return _MAYBE_VOLATILE.search(json) is not None


def _may_hold_address(name: str, json: bytes) -> bool:
    """The same for what is inside an artifact, where every address is signed anew."""
    lower = json.lower()
    has_key = b"presigned" in lower or b'url":' in lower or b'urls":' in lower
    return has_key or _REDACTED in json or name.lower().endswith(_ADDRESSES)


def _lasting_members(members: JsonObject, *, inside: bool) -> JsonObject:
    """What lasts of a payload or, `inside`, of its artifact. The long lists, where nothing is volatile, are JSON
    already: walking through them, and writing them twice, would cost more than all the rest."""
    lasting: JsonObject = {}
    for name, value in members.items():
        if name[:1] in "pP" and _is_presigned(name):
            continue
        if isinstance(value, str):
            lasting[name] = _lasting_text(name, value, inside=inside)
        elif not isinstance(value, dict | list):
            lasting[name] = value
        elif name != ARTIFACT:
            lasting[name] = _lasting_part(name, value, inside=inside)
        elif isinstance(value, dict) and not inside:
            lasting[name] = _lasting_members(value, inside=True)
        else:
            lasting[name] = _lasting(name, value, inside=inside)
    return lasting


def _lasting_part(name: str, value: Any, *, inside: bool) -> Any:
    json = dump_bytes(value, sort_keys=True)
    is_volatile = _may_hold_address(name, json) if inside else _may_be_volatile(json)
    return _lasting(name, value, inside=inside) if is_volatile else orjson.Fragment(json)


def _is_presigned(name: str) -> bool:
    return name.lower().startswith("presigned")


def _lasting(key: str, value: Any, *, inside: bool) -> Any:
    """`inside` an artifact every address is volatile, elsewhere only a signed one is, and only its query."""
    if isinstance(value, str):
        return _lasting_text(key, value, inside=inside)
    if isinstance(value, dict):
        inside = inside or key == ARTIFACT
        return {
            name: _lasting(name, inner, inside=inside)
            for name, inner in value.items()
            if not _is_presigned(name)
        }
    if isinstance(value, list):
        return [_lasting(key, inner, inside=inside) for inner in value]
    return value


def _lasting_text(key: str, text: str, *, inside: bool) -> str:
    if inside and key.lower().endswith(_ADDRESSES):
        return ""
    if REDACTED in text and text.startswith(("http://", "https://")):
        return text.partition("?")[0].partition("#")[0]
    return text
