"""Live events: seen as they are judged, filtered, with each violation at its place."""

from __future__ import annotations

import asyncio

import pytest
from playwright.async_api import expect

from tests.integration.console.tab import READ_KEY, Console, Tab
from tests.integration.console.test_reading import PROBE
from tests.support.pipeline import an_event

pytestmark = pytest.mark.timeout(300)


async def test_an_event_appears_while_somebody_looks(console: Console, tab: Tab) -> None:
    await tab.log_in(READ_KEY, "/live")
    await tab.shows("live: 0 events heard")
    started = asyncio.get_running_loop().time()
    await console.send(an_event(session_id="s-live", data={"host": "www.example.com", "path": PROBE}))
    await tab.page.get_by_role("link", name="s-live").wait_for()
    took = asyncio.get_running_loop().time() - started

    assert PROBE in await tab.text()
    assert took < 5


async def test_a_rejected_event_tells_each_violation_at_its_place(console: Console, tab: Tab) -> None:
    broken = an_event(session_id="s-bad", data={"host": 7, PROBE: PROBE, "lone": "\ud800"})
    await tab.log_in(READ_KEY, "/live?session_id=s-bad")
    await tab.shows("live: 0 events heard")
    await console.send(an_event(session_id="s-other"), broken)
    await tab.page.get_by_role("button", name="show event").click()
    dialog = tab.page.get_by_role("dialog")
    await expect(dialog).to_contain_text("wrong_type at $.data.host")
    lines = (await dialog.inner_text()).splitlines()
    await dialog.get_by_text("As curl").first.click()
    await expect(dialog).to_contain_text("curl -i")

    place = next(number for number, line in enumerate(lines) if '"host": 7' in line)
    assert "^ wrong_type at $.data.host" in lines[place + 1]
    assert any("^ missing_field at $.data.path" in line for line in lines)
    assert await tab.page.get_by_role("link", name="s-other").count() == 0


async def test_a_paused_list_stands_still_until_it_goes_on(console: Console, tab: Tab) -> None:
    await tab.log_in(READ_KEY, "/live")
    await tab.shows("live: 0 events heard")
    await tab.page.get_by_role("button", name="Pause").click()
    await console.send(an_event(session_id="s-paused"))
    await tab.shows("paused: 1 events heard")
    while_paused = await tab.page.get_by_role("link", name="s-paused").count()
    await tab.page.get_by_role("button", name="Go on").click()
    await tab.page.get_by_role("link", name="s-paused").wait_for()

    assert while_paused == 0
