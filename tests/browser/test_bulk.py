"""Many sessions corrected, tried again and put back, and a draft that is not sent: in Chromium, on the product."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.product import Product
from tests.browser.test_walk import a_customer, picture, remote, sign_in
from tests.worker_process import wait_until

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")  # playwright's own pipes, at its end
IDS = [f"walk-{number:03}" for number in range(500)]
BEFORE, AFTER = "Before the bulk", "After the bulk"
FAILING = ("400:method=PATCH,path=/session/walk-007", "400:method=PATCH,path=/session/walk-133")
UNPROCESSABLE = "422:method=PATCH,path=/session/walk-499"


def make_five_hundred(product: Product, page: Page) -> None:
    """Sessions of one name, mirrored as soon as somebody asks, and a budget that does not slow the test."""
    rows = [{"id": found, "fields": {"name": BEFORE, "status": "active"}} for found in IDS]
    product.vapi.change_many("sessions", rows)
    columns = "requests_per_second = 5000, concurrent_requests = 64"
    product.rows(f"UPDATE sessions_app_organization SET {columns}")  # noqa: S608 - our own words
    page.goto("/admin/sessions_app/syncrun/")
    page.get_by_role("button", name=re.compile("Sync now", re.IGNORECASE)).first.click()
    mirrored = f"SELECT count(*) FROM sessions_app_session WHERE name = '{BEFORE}'"  # noqa: S608 - as above
    wait_until(lambda: product.rows(mirrored)[0][0] == len(IDS), 120)


def names(product: Product) -> list[str]:
    return [row["name"] for row in product.vapi.truth() if row["id"] in IDS]


def details(page: Page) -> dict[str, str]:
    """What a bulk edit's page says of each state."""
    found: list[Any] = page.locator("dl.va-details > div").all_inner_texts()
    return dict(text.split("\n", 1) for text in found)


def wait_until_done(page: Page) -> None:
    """The page asks for itself; nobody reloads it."""
    expect(page.locator(".va-card__head .va-pill", has_text="done")).to_be_visible(timeout=120_000)


def test_five_hundred_are_changed_tried_again_and_put_back(product: Product, page: Page) -> None:
    sign_in(page, product, "ops")
    make_five_hundred(product, page)
    for fault in (*FAILING, UNPROCESSABLE):
        product.vapi.fault(fault, add=True)
    page.goto(f"/admin/sessions_app/session/?name={BEFORE}")
    page.get_by_label("All on this page").check()
    expect(page.get_by_text("50 ticked")).to_be_visible()
    page.get_by_role("button", name="Correct all that match").click()
    page.get_by_label("Name", exact=True).fill(AFTER)
    page.get_by_role("button", name="Look at what would change").click()

    expect(page.get_by_text("500 of 500 sessions will change")).to_be_visible()
    expect(page.locator("pre.va-code")).to_contain_text(re.compile(rf'PATCH.*"name": "{AFTER}"', re.DOTALL))
    assert set(names(product)) == {BEFORE}
    page.get_by_label("Reason").fill("they called back")
    page.get_by_role("button", name="Change 500 sessions").click()

    expect(page.get_by_text(re.compile(r"\d+ of 500 done"))).to_be_visible()
    picture(page, "bulk-progress")
    wait_until_done(page)
    assert (details(page)["applied"], details(page)["rejected"]) == ("497", "3")
    for found in ("walk-007", "walk-133", "walk-499"):
        expect(page.get_by_role("link", name=found)).to_be_visible()
    assert names(product).count(AFTER) == 497
    picture(page, "bulk-failed")

    product.vapi.fault("")
    page.get_by_role("button", name="Retry the 3 failed").click()
    wait_until_done(page)
    assert details(page)["applied"] == "500" and names(product) == [AFTER] * 500

    page.get_by_label("Why undo").fill("they did not")
    page.get_by_role("button", name="Undo the 500 applied").click()
    expect(page.get_by_role("heading", name="Undo of bulk edit")).to_be_visible()
    wait_until_done(page)
    assert details(page)["applied"] == "500" and names(product) == [BEFORE] * 500


def test_a_draft_is_seen_as_the_exact_request_and_not_sent(product: Product, page: Page) -> None:
    session_id, _, _ = a_customer(product, 5)
    before = remote(product, session_id).get("name")
    sign_in(page, product, "admin")
    turn(page, "Off")
    page.goto(f"/admin/sessions_app/session/{session_id}/edit/")
    page.get_by_label("Name").fill("Drafted by hand")

    preview = page.locator("#preview")
    expect(preview).to_contain_text("is off: the change is kept as a draft")
    expect(preview.locator("pre")).to_contain_text(f"PATCH {product.vapi.url}/session/{session_id}")
    expect(preview.locator("pre")).to_contain_text('"name": "Drafted by hand"')
    picture(page, "draft")
    page.get_by_role("button", name=re.compile("Save")).click()

    expect(page.get_by_text("It is not sent: writing to Vapi is off").first).to_be_visible()
    sent = [entry for entry in product.vapi.journal() if session_id in entry["path"]]
    assert {entry["method"] for entry in sent} <= {"GET"}
    assert remote(product, session_id).get("name") == before

    # Turned on, it is sent: so the above could have failed.
    turn(page, "On")
    wait_until(lambda: remote(product, session_id).get("name") == "Drafted by hand", 60)


def turn(page: Page, mode: str) -> None:
    page.goto("/admin/sessions_app/organization/1/change/")
    page.get_by_label(re.compile(f"^{mode}: ")).check()
    page.locator("#id_reason").fill("the walk's own")
    page.get_by_role("button", name="Change write mode").click()
    expect(page.get_by_text(re.compile(f"^{mode}: ")).first).to_be_visible()
