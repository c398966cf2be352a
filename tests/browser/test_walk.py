"""A day of a support agent and of an operations lead, in Chromium, on the product as `make run` starts it."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.product import Product
from tests.worker_process import wait_until

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")  # playwright's own pipes, at its end
PICTURES = os.environ.get("PICTURES", "")
# A busy machine is no fault of the page's.
expect.set_options(timeout=45_000)


def picture(page: Page, name: str) -> None:
    """Keep a picture for the README where PICTURES names a folder."""
    if PICTURES:
        page.wait_for_load_state("networkidle")
        page.screenshot(path=Path(PICTURES) / f"{name}.png")


def dark_picture(page: Page, name: str) -> None:
    """The same page for eyes that prefer the dark."""
    page.emulate_media(color_scheme="dark")
    page.reload()
    picture(page, name)
    page.emulate_media(color_scheme="light")
    page.reload()


def sign_in(page: Page, product: Product, username: str) -> None:
    page.goto("/")
    page.fill("input[name=username]", username)
    page.fill("input[name=password]", product.password(username))
    page.click("button[type=submit]")
    expect(page.get_by_role("searchbox").first).to_be_visible()


def a_customer(product: Product, offset: int = 0) -> tuple[str, str, str]:
    """An id, the name and the digits of a session's customer, with something to read and a failed tool call."""
    found = product.rows(
        "SELECT id, customer_name, customer_digits FROM sessions_app_session WHERE length(customer_digits) > 9"
        " AND customer_name <> '' AND message_count > 8 AND failed_tool_count > 0 ORDER BY created_at DESC"
    )
    row: tuple[str, str, str] = found[offset]
    return row


def remote(product: Product, session_id: str) -> dict[str, Any]:
    answer: dict[str, Any] = product.vapi.ask(f"/session/{session_id}")
    return answer


def test_find_read_correct_and_see_it_applied(product: Product, page: Page) -> None:
    session_id, name, digits = a_customer(product)
    sign_in(page, product, "support")
    picture(page, "start")

    page.get_by_role("searchbox").first.fill(digits[3:])
    page.keyboard.press("Enter")
    row = page.locator(f"a[href*='{session_id}']").first
    expect(row).to_be_visible()
    picture(page, "sessions")
    row.click()

    expect(page.get_by_text(name).first).to_be_visible()
    expect(page.get_by_text(re.compile("failed tool call")).first).to_be_visible()
    picture(page, "session")
    dark_picture(page, "session-dark")

    page.get_by_role("link", name="Edit", exact=True).first.click()
    page.get_by_label("Name").fill("Called back on Friday")
    page.get_by_label("Reason").fill("promised on the phone")
    picture(page, "edit")
    page.get_by_role("button", name="Save and send").click()

    expect(page.locator(".va-edit .va-pill", has_text="applied").first).to_be_visible()
    assert remote(product, session_id)["name"] == "Called back on Friday"
    sent = [entry for entry in product.vapi.journal("PATCH") if session_id in entry["path"]]
    assert [entry["body"] for entry in sent] == [{"name": "Called back on Friday"}]


@pytest.mark.parametrize(
    ("number", "button", "outcome"),
    [
        (1, "Take theirs", "Named at Vapi"),
        (2, "Send mine", "Named by hand"),
        (5, "Apply the choice by field", "Named otherwise"),
    ],
)
def test_a_conflict_is_shown_and_settled(
    product: Product, page: Page, number: int, button: str, outcome: str
) -> None:
    session_id, _, _ = a_customer(product, number)
    # Else a server message is here first, and the form itself says that it is stale.
    product.vapi.send_webhooks("")
    sign_in(page, product, "support")
    page.goto(f"/admin/sessions_app/session/{session_id}/edit/")
    page.get_by_label("Name").fill("Named by hand")
    product.vapi.change("sessions", session_id, {"name": "Named at Vapi"})

    page.get_by_role("button", name="Save and send").click()

    expect(page.locator(".va-edit .va-pill", has_text="conflict").first).to_be_visible()
    assert remote(product, session_id)["name"] == "Named at Vapi"
    page.get_by_role("link", name="Choose what stands").first.click()
    expect(page.get_by_text("Named at Vapi").first).to_be_visible()
    expect(page.get_by_text("Named by hand").first).to_be_visible()
    picture(page, "conflict")
    if outcome == "Named otherwise":
        # Whoever types a value means it.
        page.get_by_label("Another value for Name").fill(outcome)
    page.get_by_role("button", name=button).click()

    wait_until(lambda: remote(product, session_id)["name"] == outcome, 20)
    open_conflicts = "SELECT count(*) FROM sessions_app_edit WHERE state = 'conflict'"
    wait_until(lambda: product.rows(open_conflicts)[0][0] == 0)


def test_an_outcome_is_told_wherever_one_is(product: Product, page: Page) -> None:
    session_id, _, _ = a_customer(product, 4)
    sign_in(page, product, "support")
    page.goto(f"/admin/sessions_app/session/{session_id}/edit/")
    page.get_by_label("Name").fill("Told elsewhere")
    product.vapi.fault("latency:method=PATCH,ms=4000;400:method=PATCH,count=1")
    try:
        page.get_by_role("button", name="Save and send").click()
        expect(page.locator(".va-edit .va-pill").first).to_be_visible()
        page.goto("/admin/sessions_app/chat/")
        told = page.locator(".va-outcome", has_text=re.compile("Edit \\d+ was rejected"))
        expect(told).to_be_visible()
    finally:
        product.vapi.fault("")
    picture(page, "outcome")
    told.get_by_role("button", name="Dismiss").click()
    expect(told).to_have_count(0)
    unseen = "SELECT count(*) FROM sessions_app_notice WHERE seen_at IS NULL AND cause = 'edit.rejected'"
    wait_until(lambda: product.rows(unseen)[0][0] == 0)


def test_wrong_input_is_told_beside_its_field_and_nothing_is_lost(product: Product, page: Page) -> None:
    session_id, _, _ = a_customer(product, 3)
    sign_in(page, product, "support")
    page.goto(f"/admin/sessions_app/session/{session_id}/edit/")
    page.get_by_label("Name").fill("x" * 41)
    page.get_by_label("Reason").fill("a reason worth keeping")

    page.get_by_role("button", name="Save and send").click()

    expect(page.locator(".va-field-error").first).to_be_visible()
    expect(page.get_by_label("Name")).to_have_value("x" * 41)
    expect(page.get_by_label("Reason")).to_have_value("a reason worth keeping")
    assert remote(product, session_id).get("name") != "x" * 41


def test_an_id_that_is_not_mirrored_is_fetched(product: Product, page: Page) -> None:
    new = product.vapi.change("sessions", "", {"name": "A minute old"})["id"]
    sign_in(page, product, "support")

    page.goto(f"/admin/sessions_app/session/{new}/change/")
    if page.get_by_role("button", name=re.compile("Fetch")).count():
        page.get_by_role("button", name=re.compile("Fetch")).first.click()

    expect(page.get_by_text("A minute old").first).to_be_visible()


def test_costs_with_their_chart_and_rows(product: Product, page: Page) -> None:
    sign_in(page, product, "ops")
    page.locator("a[href='/admin/costs/']").first.click()

    expect(page.locator("canvas").first).to_be_visible()
    expect(page.get_by_text("not included").first).to_be_visible()
    picture(page, "costs")
    dark_picture(page, "costs-dark")

    with page.expect_download() as download:
        page.get_by_role("link", name="CSV").first.click()
    assert download.value.path().read_text().count("\n") > 2
    page.locator("a[href$='/syncrun/']").first.click()
    expect(page.get_by_role("button", name=re.compile("Sync now", re.IGNORECASE)).first).to_be_visible()


@pytest.mark.parametrize("place", ["", "chat/", "edit/"])
def test_lists_fit_a_phone(product: Product, page: Page, place: str) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    sign_in(page, product, "support")
    page.goto(f"/admin/sessions_app/{place or 'session/'}")

    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    picture(page, f"phone-{place.strip('/') or 'session'}")


def test_rest_documentation_is_served_by_us(product: Product, page: Page) -> None:
    sign_in(page, product, "admin")
    page.goto("/api/docs/")
    expect(page.get_by_text("/api/v1/sessions/").first).to_be_visible()


def test_no_secret_left_a_trace(product: Product) -> None:
    """Runs last in its module, after everything above has filled database and logs."""
    assert "SANDBOX-SECRET" in str(product.vapi.truth("sessions"))
    for path in product.var.glob("demo.sqlite3*"):
        assert b"SANDBOX-SECRET" not in path.read_bytes(), path.name
    assert "SANDBOX-SECRET" not in product.logs()
    assert "SANDBOX-SECRET" not in product.output()


def _search(page: Page, words: str, found: Locator) -> None:
    """A search waits for Vapi for a moment only, which a busy machine takes longer than: then one searches again."""
    for _ in range(9):
        page.get_by_role("searchbox").first.fill(words)
        page.keyboard.press("Enter")
        with suppress(AssertionError):
            return expect(found).to_be_visible(timeout=5000)
    return expect(found).to_be_visible()


def test_what_was_said_leads_to_where_it_was_said(product: Product, page: Page) -> None:
    words = "Is there a Q\u00fcxzar lamp left in Hafenstra\u00dfe, please?"
    # What the assistant was told holds the words too; nobody said it.
    told = {"role": "system", "content": "Never mention the quxzar lamp of hafenstrasse."}
    said = [told, {"role": "user", "content": "Hello"}, {"role": "user", "content": words}]
    session_id = product.vapi.change("sessions", fields={"messages": said})["id"]
    sign_in(page, product, "support")

    line = page.locator(f"[data-said-of='{session_id}']")
    # Neither in this order nor with this spelling.
    _search(page, "lamp quxzar hafenstrasse", line)
    expect(line).to_have_text(f"Customer: {words}")
    expect(line.locator("mark")).to_have_text(["Q\u00fcxzar", "lamp", "Hafenstra\u00dfe"])
    line.click()

    page.wait_for_url(f"**/{session_id}/change/?find=lamp%20quxzar%20hafenstrasse")
    expect(page.locator(".va-find output")).to_have_text("1 of 2")
    expect(page.locator(".is-here")).to_have_text(words)
    expect(page.locator(".is-here")).to_be_in_viewport()
    marked = page.evaluate("[...CSS.highlights.get('va-found')].map(String)")
    assert marked[:3] == ["lamp", "Q\u00fcxzar", "Hafenstra\u00dfe"]
    # The page's own words are none of the conversation's.
    page.get_by_label("Find in the conversation").fill("expand")
    expect(page.locator(".va-find output")).to_have_text("not found")


def test_what_was_said_in_a_chat_is_opened(product: Product, page: Page) -> None:
    session_id, _, _ = a_customer(product, 1)
    for words in ("Something else", "The plumquist is broken"):
        product.vapi.change("chats", fields={"sessionId": session_id, "input": words, "output": []})
    sign_in(page, product, "support")
    line = page.get_by_text("In a chat, Customer: The plumquist is broken")
    _search(page, "plumquist", line)
    line.click()
    expect(page.locator(".is-here")).to_have_text("The plumquist is broken")
    expect(page.locator(".is-here")).to_be_in_viewport()


def test_a_number_that_was_searched_is_not_looked_for_in_the_words(product: Product, page: Page) -> None:
    session_id, _, digits = a_customer(product, 2)
    sign_in(page, product, "support")
    page.get_by_role("searchbox").first.fill(digits)
    page.keyboard.press("Enter")
    expect(page.locator(f"tr:has(a[href*='{session_id}']) mark")).to_have_count(1)
    page.locator(f"a[href*='{session_id}']").first.click()
    expect(page.get_by_label("Find in the conversation")).to_have_value("")


def test_what_is_said_after_a_tool_was_called_can_be_corrected(product: Product, page: Page) -> None:
    session_id, _, _ = a_customer(product, 3)
    sign_in(page, product, "admin")
    page.goto(f"/admin/sessions_app/session/{session_id}/change/")
    said = page.locator(".va-turn--continued:has(> .va-turn__body > .va-bubble)").first
    expect(said.get_by_role("link", name="Correct")).to_be_visible()


def test_keys_lead_through_lists_and_conversations(product: Product, page: Page) -> None:
    sign_in(page, product, "support")
    page.goto("/admin/sessions_app/session/?failed_tools=true")
    rows = page.locator("a[data-row-link]")
    page.keyboard.press("j")
    expect(rows.first).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#session-conversation")).to_be_visible()
    page.keyboard.press("j")
    second = [row[0] for row in product.rows(_FAILED)][1]
    page.wait_for_url(f"**/{second}/change/")

    words = page.locator(".va-turn .va-bubble").first.inner_text().split()[0]
    page.keyboard.press("f")
    page.keyboard.type(words)
    page.keyboard.press("Enter")
    expect(page.locator(".va-find output")).to_have_text(re.compile(r"1 of \d+"))
    expect(page.locator(".is-here")).to_have_count(1)
    page.keyboard.press("Escape")
    expect(page.locator(".is-found")).to_have_count(0)

    page.keyboard.press("n")
    page.wait_for_url("**/#failed-1")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)


_FAILED = "SELECT id FROM sessions_app_session WHERE failed_tool_count > 0 ORDER BY created_at DESC, id DESC"
