"""The example shop: from its front page to an order, and the whole of it read back as one session."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, async_playwright

from clients.browser.tests.tools import FLAGS, find_chromium
from examples.shop.app import create_app
from eye.local.registry import StackInfo, write_stack
from eye.local.stack import environment
from eye_client.testing import FakeEye
from schemas.settings import Settings
from tests.conftest import KEY
from tests.support.pipeline import Pipeline

PHONE = {"width": 375, "height": 667}
ROOT = Path(__file__).parents[2]


class Shop:
    """`make example` against a stack that runs; what it prints, line by line."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.printed = ""

    async def says(self, pattern: str) -> str:
        """Wait until it has printed what matches; returns the match's group."""
        assert self.process.stdout
        async with asyncio.timeout(60):
            while not (found := re.search(pattern, self.printed)):
                line = await self.process.stdout.readline()
                assert line, self.printed
                self.printed += line.decode()
        return found[1]


@pytest.fixture(scope="module")
def the_eye(shared_settings: Settings) -> Iterator[Pipeline]:
    with Pipeline(shared_settings) as running:
        yield running


@pytest.fixture
async def shop(the_eye: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Shop]:
    """Run the example beside a stack of which it knows what `eye up` writes down."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    variables = environment(the_eye.settings) | {"EYE_GATEWAY_PORT": str(the_eye.gateway.port)}
    data_dir = the_eye.settings.data_dir
    write_stack(data_dir, StackInfo(the_eye.gateway.url, KEY, variables, str(data_dir)))
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "examples.shop"),
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if "DISPLAY" not in name}
        | {"EYE_DATA_DIR": str(data_dir)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    running = Shop(process)
    yield running
    process.terminate()
    rest, _ = await process.communicate()
    assert (process.returncode, b"Traceback" in rest) == (0, False), running.printed + rest.decode()


@pytest.fixture
async def phone() -> AsyncIterator[Page]:
    """Open a tab as wide as a phone."""
    async with async_playwright() as driver:
        browser = await driver.chromium.launch(executable_path=find_chromium(), args=FLAGS)
        yield await browser.new_page(viewport=PHONE)  # type: ignore[arg-type]
        await browser.close()


async def tab_to(page: Page, selector: str) -> None:
    """Move the focus by the keyboard until it is on an element."""
    for _ in range(20):
        await page.keyboard.press("Tab")
        if await page.evaluate("selector => document.activeElement.matches(selector)", selector):
            return
    raise AssertionError(f"the keyboard does not reach {selector}")


async def fits(page: Page) -> bool:
    """Return whether nothing of the page is cut off at its side."""
    return bool(await page.evaluate("document.documentElement.scrollWidth <= innerWidth"))


async def order_a_teapot(page: Page, url: str) -> None:
    """Go from the front page to an order, by the keyboard alone."""
    await page.goto(url)
    assert await fits(page)
    await tab_to(page, "[data-eye-click='buy teapot']")
    async with page.expect_navigation():
        await page.keyboard.press("Enter")
    assert await fits(page)
    for name, text in {"first_name": "Ada", "last_name": "Lovelace", "email": "Ada@example.com"}.items():
        await tab_to(page, f"[name={name}]")
        await page.keyboard.type(text)
    async with page.expect_navigation(url="**/thanks/*"):
        await page.keyboard.press("Enter")
    assert await fits(page)


async def session_of(the_eye: Pipeline, session_id: str, number: int) -> list[dict[str, Any]]:
    """Return the session's events as the gateway reads them back, once so many are stored."""
    async with asyncio.timeout(60):
        while True:
            _, answer = await the_eye.get(f"/sessions/{session_id}/events")
            if len(answer.get("events", [])) >= number:
                return list(answer["events"])
            await asyncio.sleep(0.1)


async def test_a_visit_and_its_order_are_one_session_in_order(the_eye: Pipeline, shop: Shop, phone: Page) -> None:
    url = await shop.says(r"The shop: (\S+)")
    await order_a_teapot(phone, url)
    event_id = await shop.says(r" trace (\S+)")
    session_id = await shop.says(r"/sessions/([^/?]+)/events")

    events = await session_of(the_eye, session_id, 6)

    number = phone.url.rpartition("/")[2]
    host = url.removeprefix("http://")
    name = {"first_name": "Ada", "last_name": "Lovelace"}
    order = {"order": number, "article": "teapot", "price": 24}
    assert [(event["name"], event["data"]) for event in events] == [
        ("pageview", {"host": host, "path": "/"}),
        ("cta click", {"host": host, "path": "/", "element": "buy teapot"}),
        ("pageview", {"host": host, "path": "/order/teapot"}),
        ("submit", {"host": host, "path": "/order/teapot", "form": name}),
        ("submit", {"host": host, "path": "/order/teapot", "form": order}),
        ("pageview", {"host": host, "path": f"/thanks/{number}"}),
    ]
    assert (events[4]["event_id"], events[4]["context"]) == (event_id, {"component": "backend"})
    assert {event["context"]["library"]["name"] for event in events if event is not events[4]} == {"the-eye-browser"}
    assert ["user_id" in event for event in events] == [False] * 4 + [True] * 2
    assert events[4]["user_id"] == events[5]["user_id"]
    assert "example.com" not in str(events).lower()


def test_an_order_that_can_not_be_taken_sends_nothing(fake_eye: FakeEye) -> None:
    with create_app(fake_eye, "http://127.0.0.1:8080", "key").test_client() as browser:
        assert browser.post("/order/teapot", data={"email": "nobody"}).status_code == 422
        assert browser.post("/order/car", data={"email": "a@b"}).status_code == 404

    assert fake_eye.events == []
