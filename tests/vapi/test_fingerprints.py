"""What counts as a change of content."""

from __future__ import annotations

from sessions_app.vapi.fingerprints import content_hash
from sessions_app.vapi.redaction import REDACTED


def test_an_address_signed_anew_is_no_change() -> None:
    first = {"logo": f"https://files.example/logo.png?signature={REDACTED}&expires=1"}
    second = {"logo": f"https://files.example/logo.png?signature={REDACTED}&expires=2"}

    assert content_hash(first) == content_hash(second)
    assert content_hash(first) != content_hash({"logo": "https://files.example/other.png"})


def test_a_redacted_user_in_an_address_is_no_error() -> None:
    address = f"https://{REDACTED}@hooks.example/in"

    assert content_hash({"url": address}) != content_hash({"url": "https://hooks.example/in"})
