"""The built client, a running pipeline, a site, and a browser."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, BrowserContext, Page, Playwright, async_playwright

from clients.browser.tests.site import KEY, Site
from clients.browser.tests.tools import FLAGS, build, find_chromium
from eye.local.remembered_settings import free_port
from tests.conftest import infra, kafka, postgres
from tests.support.door import Door
from tests.support.pipeline import Pipeline, running_pipeline
from tests.support.servers import SharedKafka, SharedPostgres

APPLICATIONS = """
[[applications]]
id = "shop"
origins = ["http://127.0.0.1:{port}", "http://shop.example:{port}"]
keys = [{{ sha256 = "{digest}", scopes = ["write"], public = true }}]
"""

__all__ = ["infra", "kafka", "postgres"]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the caller say how long the long tests are."""
    parser.addoption("--page-lives", type=int, default=20, help="How many pages live and end in test_page_lives.py.")
    parser.addoption("--offline-seconds", type=float, default=3, help="How long the browser is offline.")


@pytest.fixture(scope="session")
def client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the client and return a directory with its module, its snippet and its tarball."""
    directory = tmp_path_factory.mktemp("client")
    build(directory)
    return directory


@pytest.fixture(scope="session")
def port() -> int:
    """Return the port of every site: the gateway knows its origins."""
    return free_port()


@pytest.fixture(scope="session")
def the_eye(
    kafka: SharedKafka, postgres: SharedPostgres, port: int, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Pipeline]:
    """Run gateway, stream and sinks; each test looks at its own events."""
    applications = APPLICATIONS.format(port=port, digest=hashlib.sha256(KEY.encode()).hexdigest())
    with running_pipeline(kafka, postgres, tmp_path_factory.mktemp("the-eye"), applications) as running:
        yield running


@pytest.fixture
async def door(the_eye: Pipeline) -> AsyncIterator[Door]:
    """Open the way to the gateway."""
    async with Door(the_eye.gateway.url) as opened:
        yield opened


@pytest.fixture
async def site(client: Path, door: Door, port: int) -> AsyncIterator[Site]:
    """Serve a site whose pages send by the door."""
    async with Site(client, door.url, port) as serving:
        yield serving


@pytest.fixture
async def playwright() -> AsyncIterator[Playwright]:
    """Start what drives browsers."""
    async with async_playwright() as driver:
        yield driver


@pytest.fixture
async def chromium(playwright: Playwright) -> AsyncIterator[Browser]:
    """Start a browser."""
    browser = await playwright.chromium.launch(executable_path=find_chromium(), args=FLAGS)
    yield browser
    await browser.close()


@pytest.fixture
async def visitor(chromium: Browser) -> BrowserContext:
    """Make somebody who has not been here before: tabs that share their storage."""
    return await chromium.new_context()


@pytest.fixture
async def page(visitor: BrowserContext, site: Site) -> Page:
    """Open the visitor's first tab, with nothing in it yet."""
    return await visitor.new_page()
