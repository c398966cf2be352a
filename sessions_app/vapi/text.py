"""Owns making text storable: NUL and lone surrogates, which databases refuse, become U+FFFD."""

import re
from typing import Any, TypeVar

T = TypeVar("T")

_UNSAFE = re.compile("[\x00\ud800-\udfff]")
_MAYBE_UNSAFE = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")


def may_need_safety(body: bytes) -> bool:
    """Whether a UTF-8 JSON text can hold such characters at all: there they only ever come escaped."""
    return _MAYBE_UNSAFE.search(body) is not None


def make_safe(value: T) -> tuple[T, bool]:
    """The same value with every string and key storable, and whether anything had to be replaced."""
    hits: list[None] = []
    return _safe(value, hits), bool(hits)


def _safe(value: Any, hits: list[None]) -> Any:
    if isinstance(value, str):
        return _safe_text(value, hits)
    if isinstance(value, dict):
        return {_safe(key, hits): _safe(inner, hits) for key, inner in value.items()}
    if isinstance(value, list):
        return [_safe(inner, hits) for inner in value]
    return value


def _safe_text(text: str, hits: list[None]) -> str:
    if not _UNSAFE.search(text):
        return text
    hits.append(None)
    return _UNSAFE.sub("\N{REPLACEMENT CHARACTER}", text)
