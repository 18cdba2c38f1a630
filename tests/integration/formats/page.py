"""A page on an origin of its own, in a real Chromium, with a vendor's SDK bundled into its script."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web
from playwright.async_api import Page, async_playwright

from clients.browser.tests.tools import FLAGS, find_chromium
from gateway.problems import Handler
from tests.integration.formats.conftest import NODE
from tests.support.door import serve

ESBUILD = Path("node_modules") / "esbuild" / "bin" / "esbuild"


def bundle(node: str, source: str, directory: Path) -> str:
    """Return a page's script with the packages in it that it imports."""
    file = directory / "page.js"
    command = [node, str(ESBUILD), "--bundle", f"--outfile={file}", "--log-level=error"]
    subprocess.run(command, input=source, cwd=NODE, check=True, text=True)
    return file.read_text()


@asynccontextmanager
async def a_page(script: str, port: int) -> AsyncIterator[Page]:
    """Open a page with a script, on a port of this machine."""
    app = web.Application()
    app.router.add_get("/", _answering("<!doctype html><script src=/page.js></script>", "text/html"))
    app.router.add_get("/page.js", _answering(script, "text/javascript"))
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    url = await serve(runner, port)
    try:
        async with async_playwright() as driver:
            browser = await driver.chromium.launch(executable_path=find_chromium(), args=FLAGS)
            page = await browser.new_page()
            await page.goto(url)
            yield page
            await browser.close()
    finally:
        await runner.cleanup()


def _answering(text: str, content_type: str) -> Handler:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(text=text, content_type=content_type)

    return answer
