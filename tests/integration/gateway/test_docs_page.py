"""The page at /docs in Chromium: everything from here, examples, a key, calls tried out, narrow screens."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from playwright.async_api import Page, async_playwright

from schemas.settings import Settings
from tests.conftest import KEY
from tests.integration.gateway.test_json_builders import a_gateway

CHROMIUM = shutil.which("chromium")
VALIDATE = "#operations-default-post_events_validate"

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium: apt-get install chromium"),
]


@asynccontextmanager
async def the_page(url: str, width: int) -> AsyncIterator[tuple[Page, list[str]]]:
    """Open the page in a window of this width; gives it with its complaints and its requests to elsewhere."""
    troubles: list[str] = []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = await browser.new_page(viewport={"width": width, "height": 800})
        page.set_default_timeout(60_000)
        page.on("console", lambda message: troubles.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("request", lambda asked: None if asked.url.startswith((url, "data:")) else troubles.append(asked.url))
        await page.goto(f"{url}/docs")
        await page.wait_for_selector(".opblock")
        yield page, troubles
        await browser.close()


@pytest.mark.parametrize("width", [375, 1280])
async def test_a_call_is_tried_with_a_key_and_an_example(settings: Settings, width: int) -> None:
    async with a_gateway(settings) as client, the_page(str(client._base_url).rstrip("/"), width) as (page, troubles):
        await page.fill("#key", KEY)
        await page.click("#key-form button")
        await page.click(f"{VALIDATE} button.opblock-summary-control")
        examples = page.locator(f"{VALIDATE} select", has_text="pageview")
        await examples.wait_for()
        choices = await examples.locator("option").all_inner_texts()
        await page.click(f"{VALIDATE} .execute")
        answered = page.locator(f"{VALIDATE} .live-responses-table")
        await answered.wait_for()
        answer = await answered.inner_text()
        beyond = await page.evaluate("document.documentElement.scrollWidth - innerWidth")

    assert "page interaction / pageview" in choices
    assert '"status": "ok"' in answer
    assert troubles == []
    assert beyond <= 0
