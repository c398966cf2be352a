"""No page, style or script names an address outside, so that no request leaves the machine."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.conf import settings

ROOT = Path(settings.BASE_DIR)
OUTSIDE = re.compile(r"""(?:https?:)?//[a-z0-9][a-z0-9-]*\.[a-z0-9.-]+""", re.IGNORECASE)
# A name, not an address that anything asks.
NAMESPACES = {"http://www.w3.org", "https://www.w3.org"}
FILES = [path for folder in ("templates", "static") for path in (ROOT / folder).rglob("*") if path.is_file()]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_file_names_no_address_outside(path: Path) -> None:
    found = set(OUTSIDE.findall(path.read_text(errors="ignore"))) - NAMESPACES
    assert not found


@pytest.mark.parametrize(
    "text", ['<script src="https://cdn.example.com/x.js">', "url(//fonts.example.com/a)"]
)
def test_the_pattern_finds_addresses(text: str) -> None:
    assert OUTSIDE.search(text)


def test_the_policy_names_this_site_alone() -> None:
    sources = {
        source for values in settings.CONTENT_SECURITY_POLICY["DIRECTIVES"].values() for source in values
    }
    assert sources <= {"'self'", "'none'", "'unsafe-eval'", "'unsafe-inline'", "data:"}
