"""No page of the navigation has a serious fault of accessibility, by axe-core, on a desk and on a phone.

axe-core is no part of this product: AXE names its axe.min.js (from `npm pack axe-core`).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.browser.product import Product
from tests.browser.test_walk import sign_in
from vapiadmin.navigation import SIDEBAR

AXE = os.environ.get("AXE", "")
pytestmark = [
    pytest.mark.skipif(not AXE, reason="AXE names no axe.min.js (npm pack axe-core)"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # playwright's own pipes, at its end
]
# Pages of Django and of Swagger UI, in their own words.
NOT_OURS = ("/admin/auth/", "/api/docs/")
SERIOUS = {"serious", "critical"}


def _addresses(product: Product) -> list[str]:
    [(session_id,)] = product.rows(
        "SELECT id FROM sessions_app_session WHERE failed_tool_count > 0 AND message_count > 8"
        " ORDER BY created_at DESC LIMIT 1"
    )
    session = f"/admin/sessions_app/session/{session_id}"
    listed = [str(item["link"]) for group in SIDEBAR["navigation"] for item in group["items"]]  # type: ignore[attr-defined]  # a dictionary for Unfold
    ours = [link for link in listed if not link.startswith(NOT_OURS)]
    forms = [f"{session}/{part}/" for part in ("change", "edit", "delete-at-vapi", "messages/1")]
    return [*ours, *forms, "/admin/sessions_app/organization/1/change/", "/admin/sessions_app/apitoken/add/"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [(1280, 860), (390, 800)], ids=["desk", "phone"])
def test_no_page_has_a_serious_fault(
    product: Product, chromium: Browser, size: tuple[int, int], scheme: Any
) -> None:
    width, height = size
    context = chromium.new_context(
        viewport={"width": width, "height": height},
        base_url=product.url,
        color_scheme=scheme,
        # The page's own policy keeps foreign scripts out; here axe is let in.
        bypass_csp=True,
    )
    context.set_default_timeout(60_000)
    page = context.new_page()
    sign_in(page, product, "admin")
    found: list[str] = []
    for address in _addresses(product):
        page.goto(address)
        page.evaluate(Path(AXE).read_text())
        answer = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        found += [
            f"{address}: {fault['id']}: {fault['nodes'][0]['html'][:200]}"
            for fault in answer["violations"]
            if fault["impact"] in SERIOUS
        ]
    context.close()
    assert found == []
