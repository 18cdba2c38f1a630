"""A pipeline with a console beside it, and a tab of Chromium for each test."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Iterator

import pytest
from playwright.async_api import Browser, Page, async_playwright

from clients.browser.tests.tools import FLAGS, find_chromium
from schemas.settings import Settings
from tests.conftest import KEY
from tests.integration.console.tab import ADMIN_KEY, READ_KEY, WRITE_KEY, Console, Tab
from tests.support.pipeline import Pipeline, poll

_SCOPES = {KEY: '"write", "read"', READ_KEY: '"read"', WRITE_KEY: '"write"', ADMIN_KEY: '"read", "admin"'}


@pytest.fixture(scope="module")
def console(shared_settings: Settings) -> Iterator[Console]:
    """Lend a pipeline and its console."""
    entries = (
        f'{{ sha256 = "{hashlib.sha256(key.encode()).hexdigest()}", scopes = [{scopes}] }}'
        for key, scopes in _SCOPES.items()
    )
    shared_settings.applications_file.write_text(f'[[applications]]\nid = "shop"\nkeys = [{", ".join(entries)}]\n')
    with Pipeline(shared_settings) as pipeline:
        workers = [process.url for process in (*pipeline.streams, *pipeline.sinks)]
        process = pipeline.make("console", gateway_urls=[pipeline.gateway.url], console_metrics_urls=workers)
        process.start()
        try:
            poll(lambda: process.is_ready() or not process.running, 60, "the console is ready")
            yield Console(pipeline, process)
        finally:
            process.stop(15)


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    """Lend a Chromium."""
    async with async_playwright() as driver:
        yield await driver.chromium.launch(executable_path=find_chromium(), args=FLAGS)


@pytest.fixture
async def tab(console: Console, browser: Browser) -> AsyncIterator[Tab]:
    """Lend a tab; nothing in it may fail, or be fetched from elsewhere."""
    page: Page = await browser.new_page(viewport={"width": 1280, "height": 900})
    page.set_default_timeout(60_000)
    lent = Tab(page, console.url)
    yield lent
    assert lent.troubles == []
