"""What counts as a change of content."""

from __future__ import annotations

import hashlib
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from sessions_app.vapi.fingerprints import content_hash
from sessions_app.vapi.json import dump_bytes
from sessions_app.vapi.redaction import REDACTED


def test_an_address_signed_anew_is_no_change() -> None:
    first = {"logo": f"https://files.example/logo.png?signature={REDACTED}&expires=1"}
    second = {"logo": f"https://files.example/logo.png?signature={REDACTED}&expires=2"}

    assert content_hash(first) == content_hash(second)
    assert content_hash(first) != content_hash({"logo": "https://files.example/other.png"})


def test_a_redacted_user_in_an_address_is_no_error() -> None:
    address = f"https://{REDACTED}@hooks.example/in"

    assert content_hash({"url": address}) != content_hash({"url": "https://hooks.example/in"})


def walked(key: str, value: Any, *, inside: bool) -> Any:
    """What lasts, by the rules alone: every part is walked. `inside` an artifact every address is volatile."""
    if isinstance(value, str):
        if inside and key.lower().endswith(("url", "urls")):
            return ""
        is_signed = REDACTED in value and value.startswith(("http://", "https://"))
        return value.partition("?")[0].partition("#")[0] if is_signed else value
    if isinstance(value, list):
        return [walked(key, inner, inside=inside) for inner in value]
    if isinstance(value, dict):
        inside = inside or key == "artifact"
        lasting = {name: inner for name, inner in value.items() if not name.lower().startswith("presigned")}
        return {name: walked(name, inner, inside=inside) for name, inner in lasting.items()}
    return value


keys = st.sampled_from(
    ["artifact", "Artifact", "presignedUrl", "PRESIGNED", "recordingUrl", "logoURLS", "a", "b"]
)
texts = st.sampled_from(
    [
        "https://h/a?e=1",
        f"https://h/a?e=1&sig={REDACTED}",
        f"http://h/b#{REDACTED}",
        f"See https://h/a?sig={REDACTED}",
        f'https://h/"?{REDACTED}',
        REDACTED,
        "artifact",
        "presigned",
        "",
    ]
)
payloads = st.dictionaries(
    keys,
    st.recursive(
        texts | st.none() | st.integers(0, 3),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
        max_leaves=8,
    ),
    max_size=5,
)


@settings(max_examples=500, deadline=None)
@given(payloads)
@example({"a": f"https://h/a?e=1&sig={REDACTED}"})
@example({"a": [{"PRESIGNED": 1}]})
@example({"a": {"artifact": {"recordingUrl": "https://h/a"}}})
def test_a_digest_is_that_of_all_that_lasts(payload: Any) -> None:
    lasting = dump_bytes(walked("", payload, inside=False), sort_keys=True)

    assert content_hash(payload) == hashlib.sha256(lasting).hexdigest()
