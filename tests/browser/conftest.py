"""Chromium on the running product. A page that asks another host, or an error in its console, fails the test."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, Response, sync_playwright

from tests.browser.product import Product
from tests.worker_process import wait_until

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
_ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


@pytest.fixture(scope="module")
def product() -> Iterator[Product]:
    if os.environ.get("TEST_DATABASE") == "postgresql":
        pytest.skip("the demo has a SQLite database of its own; this ran in the suite's other half")
    folder = Path(tempfile.mkdtemp(prefix="vapiadmin-"))
    product = Product(folder)
    wait_until(product.is_filled, 180)
    yield product
    assert product.stop() == 0
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    if not CHROMIUM:
        pytest.skip("needs chromium: install the package chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=_ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def page(chromium: Browser, product: Product) -> Iterator[Page]:
    """A page without a history, 1400 by 900."""
    context = chromium.new_context(viewport={"width": 1400, "height": 900}, base_url=product.url)
    # A busy machine is no fault of the page's.
    context.set_default_timeout(60_000)
    page = context.new_page()
    complaints: list[str] = []
    watch(page, product.url, complaints)
    yield page
    context.close()
    assert complaints == []


def watch(page: Page, url: str, complaints: list[str]) -> None:
    """Note every console error, failed answer and request that leaves the product."""

    def on_console(message: ConsoleMessage) -> None:
        # A failed answer is noted below, with its address.
        if message.type in {"error", "warning"} and not message.text.startswith("Failed to load resource"):
            complaints.append(f"console: {message.text}")

    def on_request(request: Request) -> None:
        if not request.url.startswith((url, "data:", "blob:")):
            complaints.append(f"asked another host: {request.url}")

    def on_response(response: Response) -> None:
        # A page may say that something is not here; nothing that a page needs may be missing.
        if response.status >= 400 and (
            response.status != 404 or response.request.resource_type != "document"
        ):
            complaints.append(f"{response.status}: {response.url}")

    page.on("console", on_console)
    page.on("pageerror", lambda error: complaints.append(f"script: {error}"))
    page.on("request", on_request)
    page.on("response", on_response)
