"""Segment's SDK for pages, unchanged, in a real Chromium on an origin of its own."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from playwright.async_api import Page, async_playwright

from clients.browser.tests.tools import FLAGS, find_chromium
from gateway.problems import Handler
from tests.integration.formats.conftest import NODE, PUBLIC_KEY
from tests.integration.formats.delivery import EVENTS, LONGEST, Senders, each_once, row
from tests.support.door import serve

pytestmark = pytest.mark.timeout(2 * LONGEST)


@pytest.fixture(scope="session")
def script(node: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Bundle the page's script with the SDK in it."""
    bundle = tmp_path_factory.mktemp("page") / "page.js"
    esbuild = Path("node_modules") / "esbuild" / "bin" / "esbuild"
    subprocess.run(
        [node, str(esbuild), "page.js", "--bundle", f"--outfile={bundle}", "--log-level=error"], cwd=NODE, check=True
    )
    return bundle.read_text()


@pytest.fixture
async def page(script: str, page_port: int) -> AsyncIterator[Page]:
    """Open a page with the script, on an origin that may send."""
    app = web.Application()
    app.router.add_get("/", _answering("<!doctype html><script src=/page.js></script>", "text/html"))
    app.router.add_get("/page.js", _answering(script, "text/javascript"))
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    url = await serve(runner, page_port)
    async with async_playwright() as driver:
        browser = await driver.chromium.launch(executable_path=find_chromium(), args=FLAGS)
        opened = await browser.new_page()
        await opened.goto(url)
        yield opened
        await browser.close()
    await runner.cleanup()


@pytest.mark.parametrize("strategy", ["standard", "batching"])
async def test_a_page_delivers_each_event_once(senders: Senders, page: Page, strategy: str) -> None:
    call = f"send('{senders.pipeline.gateway.url}', '{PUBLIC_KEY}', {EVENTS}, '{strategy}')"

    ids = await page.evaluate(call)

    assert len(set(ids)) == EVENTS
    stored = await each_once(senders, ids)
    assert stored == {"row": EVENTS * 8 // 10, "rejected": EVENTS * 2 // 10}
    found = await row(senders, ids[0])
    assert (found["category"], found["name"]) == ("track", "Order Completed")
    assert found["context"]["page"]["path"] == "/"
    assert PUBLIC_KEY not in str(found)


def _answering(text: str, content_type: str) -> Handler:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(text=text, content_type=content_type)

    return answer
