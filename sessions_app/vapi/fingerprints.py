"""Owns the answer to "has it changed?": hashes over a payload; must not know what is compared with what."""

import hashlib
import re
from typing import Any

from sessions_app.vapi.json import JsonObject, dump_bytes
from sessions_app.vapi.redaction import REDACTED

ARTIFACT = "artifact"
_MAYBE_VOLATILE = re.compile(
    rb'"artifact"|"(?i:presigned)|"https?://(?:[^"\\]|\\.)*?' + re.escape(REDACTED).encode()
)


def short_hash(*values: object) -> str:
    """32 hex digits over a few values: no one reads a customer's fields out of it."""
    return hashlib.sha256(repr(values).encode(errors="replace")).hexdigest()[:32]


def content_hash(payload: JsonObject) -> str:
    """Hex SHA-256 of the canonical JSON. Signed addresses are made anew in every answer and left out."""
    canonical = dump_bytes(payload, sort_keys=True)
    if _MAYBE_VOLATILE.search(canonical):
        canonical = dump_bytes(_without_volatile(payload), sort_keys=True)
    return hashlib.sha256(canonical).hexdigest()


def differs(name: str, old: object, new: object, *, inside_artifact: bool) -> bool:
    """Say whether two values of one field differ in more than how an address is signed."""
    if old == new:
        return False
    if not inside_artifact and not _MAYBE_VOLATILE.search(dump_bytes({name: old})):
        return True
    return bool(
        _lasting("", {name: old}, inside=inside_artifact) != _lasting("", {name: new}, inside=inside_artifact)
    )


def _without_volatile(payload: JsonObject) -> JsonObject:
    """Go into those members alone that hold something volatile: most of a payload is what was said."""
    parts = ({name: value} for name, value in payload.items())
    lasting: JsonObject = {}
    for part in parts:
        is_volatile = _MAYBE_VOLATILE.search(dump_bytes(part)) is not None
        lasting |= _lasting("", part, inside=False) if is_volatile else part
    return lasting


def _lasting(key: str, value: Any, *, inside: bool) -> Any:
    """`inside` an artifact every address is volatile, elsewhere only a signed one is, and only its query."""
    if isinstance(value, str):
        return _lasting_text(key, value, inside=inside)
    if isinstance(value, dict):
        inside = inside or key == ARTIFACT
        return {
            name: _lasting(name, inner, inside=inside)
            for name, inner in value.items()
            if not name.lower().startswith("presigned")
        }
    if isinstance(value, list):
        return [_lasting(key, inner, inside=inside) for inner in value]
    return value


def _lasting_text(key: str, text: str, *, inside: bool) -> str:
    if inside and key.lower().endswith(("url", "urls")):
        return ""
    if REDACTED in text and text.startswith(("http://", "https://")):
        return text.partition("?")[0].partition("#")[0]
    return text
