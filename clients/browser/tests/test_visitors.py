"""Sessions, tabs, storage, privacy, and pages that allow little."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import BrowserContext, Page, Playwright

from clients.browser.tests.site import Site
from clients.browser.tests.tools import FLAGS, find_chromium
from clients.browser.tests.waiting import clicks, delivered
from tests.support.door import Break, Door, Pass
from tests.support.pipeline import Pipeline
from tests.support.stored import times_stored


async def profile(playwright: Playwright, directory: Path, preferences: dict[str, Any]) -> BrowserContext:
    """Start a browser whose settings and storage are in a directory."""
    file = directory / "Default" / "Preferences"
    if not file.exists():
        file.parent.mkdir(parents=True)
        file.write_text(json.dumps(preferences))
    return await playwright.chromium.launch_persistent_context(directory, executable_path=find_chromium(), args=FLAGS)


@pytest.fixture(params=["secure", "insecure"])
async def address(request: pytest.FixtureRequest, site: Site) -> str:
    """Return a secure origin, with Web Locks, and one on plain HTTP, without."""
    return site.url if request.param == "secure" else site.url.replace("127.0.0.1", "shop.example")


async def test_two_tabs_share_session_and_queue(
    the_eye: Pipeline, site: Site, door: Door, visitor: BrowserContext, address: str
) -> None:
    tabs = [await visitor.new_page(), await visitor.new_page()]
    for tab in tabs:
        await tab.goto(address)

    ids = [event_id for tab in tabs * 5 for event_id in await clicks(tab, 10)]
    for tab in tabs:
        await delivered(tab)

    assert await times_stored(the_eye.settings, ids) == {1: 100}
    assert len({event["session_id"] for event in door.events()}) == 1
    taken = [seen for seen in door.seen if seen.status == 202]  # a busy gateway may have refused others
    sent = Counter(event["event_id"] for seen in taken for event in seen.events)
    assert set(sent.values()) == {1}  # nobody sent what the other one was sending


async def test_a_tab_sends_what_a_closed_one_left(
    the_eye: Pipeline, site: Site, door: Door, visitor: BrowserContext, address: str
) -> None:
    door.conduct = Break
    left, stays = await visitor.new_page(), await visitor.new_page()
    await left.goto(address)
    ids = await clicks(left, 5)
    await left.close()
    door.conduct = Pass

    await stays.goto(address)

    await delivered(stays)
    assert await times_stored(the_eye.settings, ids) == {1: 5}


async def test_a_session_ends_after_30_minutes(site: Site, door: Door, page: Page) -> None:
    await page.clock.install()
    await page.goto(site.url)

    sessions = [await page.evaluate("eye.session()")]
    for minutes in (29, 29, 31):
        await page.clock.fast_forward(minutes * 60_000)
        sessions.append(await page.evaluate("eye.session()"))

    assert sessions[0] == sessions[1] == sessions[2] != sessions[3]


async def test_the_queue_outlives_the_browser(
    the_eye: Pipeline, playwright: Playwright, site: Site, door: Door, tmp_path: Path
) -> None:
    door.conduct = Break
    browser = await profile(playwright, tmp_path / "profile", {})
    page = await browser.new_page()
    await page.goto(site.url)
    ids = await clicks(page, 5)
    await browser.close()
    door.conduct = Pass

    browser = await profile(playwright, tmp_path / "profile", {})
    page = await browser.new_page()
    await page.goto(site.url)

    await delivered(page)
    assert await times_stored(the_eye.settings, ids) == {1: 5}
    await browser.close()


@pytest.fixture
async def blocked(playwright: Playwright, tmp_path: Path) -> AsyncIterator[Page]:
    """Open a tab of a browser that keeps nothing of any site."""
    settings = {"profile": {"default_content_setting_values": {"cookies": 2}}}
    browser = await profile(playwright, tmp_path / "profile", settings)
    yield await browser.new_page()
    await browser.close()


async def test_blocked_storage_costs_no_event_of_the_page(
    the_eye: Pipeline, site: Site, door: Door, blocked: Page
) -> None:
    conducts = iter([Break(), Break()])
    door.conduct = lambda: next(conducts, Pass())
    await blocked.goto(site.url)
    assert await blocked.evaluate("(() => { try { return localStorage } catch (error) { return error.name } })()") == (
        "SecurityError"
    )

    ids = await clicks(blocked, 10)
    await blocked.wait_for_function("results.length >= 10")
    ids += await clicks(blocked, 10)
    await blocked.close(run_before_unload=True)

    assert await times_stored(the_eye.settings, ids) == {1: 20}


async def test_full_storage_costs_no_event_of_the_page(the_eye: Pipeline, site: Site, page: Page) -> None:
    await page.goto(site.url)
    await delivered(page)
    await page.evaluate(
        """for (let size = 2 ** 20; size >= 1; size >>= 1) {
            try { for (let i = 0; ; i++) localStorage.setItem(`fill-${size}-${i}`, "x".repeat(size)); } catch {}
        }"""
    )

    ids = await clicks(page, 10)
    await page.wait_for_function("results.length >= 11")
    ids += await clicks(page, 10)
    await page.close(run_before_unload=True)

    assert await times_stored(the_eye.settings, ids) == {1: 20}


async def test_a_full_queue_takes_no_more(the_eye: Pipeline, site: Site, door: Door, page: Page) -> None:
    site.options |= {"limit": 10, "pages": False}
    door.conduct = Break
    await page.goto(site.url)

    ids = await clicks(page, 12)
    door.conduct = Pass

    await delivered(page)
    assert ids[10:] == [None, None]
    assert await times_stored(the_eye.settings, ids[:10]) == {1: 10}


async def test_a_strict_policy_needs_script_and_connect(the_eye: Pipeline, site: Site, door: Door, page: Page) -> None:
    site.headers = {
        "Content-Security-Policy": f"default-src 'none'; script-src 'self'; connect-src {door.url};"
        " base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox allow-scripts allow-same-origin;"
        " require-trusted-types-for 'script'; trusted-types 'none'"
    }
    site.script = "addEventListener('securitypolicyviolation', (event) => faults.push(event.violatedDirective))"
    await page.goto(site.url)

    ids = await clicks(page, 50)
    await delivered(page)
    ids += await clicks(page, 5)
    faults = await page.evaluate("faults")
    await page.close(run_before_unload=True)

    assert await times_stored(the_eye.settings, ids) == {1: 55}
    assert faults == []


async def test_a_sandboxed_frame_is_no_origin_and_no_fault(site: Site, door: Door, page: Page) -> None:
    site.headers = {"Content-Security-Policy": "sandbox allow-scripts", "Access-Control-Allow-Origin": "*"}
    await page.goto(site.url)

    async with page.expect_event("requestfailed"):
        ids = await clicks(page, 5)

    assert all(ids)
    assert await page.evaluate("faults") == []


async def test_nothing_is_thrown_into_the_page(site: Site, door: Door, page: Page) -> None:
    site.options |= {"interval": None, "userId": {}, "context": 7}
    await page.goto(site.url)

    returned = await page.evaluate(
        """(() => {
            const circle = {}; circle.circle = circle;
            const thrower = { get data() { throw new Error("thrown") } };
            eye.init(); eye.init({ url: null }); eye.identify(circle);
            return [
                eye.send("a", "b", circle), eye.send("a", "b", { big: 1n }), eye.send("a", "b", thrower),
                eye.send("a", "b", {}, { timestamp: new Date(NaN), userId: circle }),
                eye.send("a", "b", { text: "x".repeat(70_000) }),
            ];
        })()"""
    )
    await page.wait_for_timeout(500)

    assert returned == [None] * 5
    assert await page.evaluate("faults") == []


@pytest.mark.parametrize("says", ["do not track", "global privacy control"])
async def test_who_opted_out_is_left_alone(
    playwright: Playwright, site: Site, door: Door, tmp_path: Path, says: str
) -> None:
    browser = await profile(playwright, tmp_path / "profile", {"enable_do_not_track": says == "do not track"})
    if says == "global privacy control":  # which Chromium has no setting for
        await browser.add_init_script("Object.defineProperty(navigator, 'globalPrivacyControl', { value: true })")
    page = await browser.new_page()
    await page.goto(f"{site.url}/page.js")
    await page.evaluate("localStorage.setItem('eye.q.1', '{}'); localStorage.setItem('own', '1')")
    site.options |= {"respectOptOut": True}

    await page.goto(site.url)

    assert await clicks(page, 3) == [None] * 3
    assert await page.evaluate("Object.keys(localStorage)") == ["own"]
    assert door.seen == []
    await browser.close()


async def test_opting_out_counts_where_it_is_asked_for(playwright: Playwright, site: Site, tmp_path: Path) -> None:
    browser = await profile(playwright, tmp_path / "profile", {"enable_do_not_track": True})
    page = await browser.new_page()

    await page.goto(site.url)

    assert await page.evaluate("[navigator.doNotTrack, typeof click('a')]") == ["1", "string"]
    await browser.close()
