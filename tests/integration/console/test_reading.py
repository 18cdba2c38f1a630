"""Pages that read: overview, sessions, the timeline of one, the trace of an event."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from tests.integration.console.tab import READ_KEY, Console, Tab
from tests.support.pipeline import an_event

pytestmark = pytest.mark.timeout(300)

PROBE = "<img src=x onerror=alert(1)><script>alert(2)</script>{{ 7 * 7 }}"


async def test_a_session_shows_its_events_in_order(console: Console, tab: Tab) -> None:
    first = an_event(session_id="s-line", timestamp="2026-01-01T10:00:00Z")
    broken = an_event(session_id="s-line", timestamp="2026-01-01T10:00:05Z", data={"host": "www.example.com"})
    last = an_event(session_id="s-line", timestamp="2026-01-01T11:00:05Z")
    await console.store(last, broken, first)

    await tab.log_in(READ_KEY, "/sessions")
    await tab.follow("s-line")
    rows = tab.page.locator("tbody tr")
    await expect(rows).to_have_count(3)
    shown = await rows.all_inner_texts()

    assert ["accepted" in shown[0], "REJECTED" in shown[1], "60 min, a gap" in shown[2]] == [True] * 3
    assert "missing_field at $.data.path" in shown[1]


async def test_an_event_is_followed_from_step_to_step(console: Console, tab: Tab) -> None:
    event = an_event(session_id="s-trace")
    await console.store(event)

    await tab.log_in(READ_KEY, "/session?id=s-trace")
    await tab.follow(event["event_id"])
    await tab.shows(f"{event['event_id']} of shop: stored")

    assert {"received by the gateway", "raw record", "verdict: accepted", "UTC"} <= set(
        "\t".join(await tab.page.locator("tbody td").all_inner_texts()).replace(" UTC", "\tUTC").split("\t")
    )


async def test_the_overview_counts_events_and_finds_faults(console: Console, tab: Tab) -> None:
    await tab.log_in(READ_KEY)
    await expect(tab.page.get_by_text("does not answer")).to_have_count(0)
    await console.store(*(an_event(session_id="s-rate", data={"path": "/"}) for _ in range(20)))
    await tab.open("/")
    await expect(tab.page.get_by_text("rejected share, last hour").locator("..")).to_contain_text("%", timeout=30_000)
    await tab.page.get_by_role("button", name="Check the deployment").click()
    await tab.shows("checks found something wrong", 60)

    assert "missing_field" in await tab.text()


@pytest.mark.parametrize("width", [375, 1280])
async def test_hostile_payloads_stay_text(console: Console, tab: Tab, width: int) -> None:
    session = f"{PROBE}{width}"
    accepted = an_event(session_id=session, data={"host": PROBE, "path": PROBE})
    rejected = an_event(session_id=session, category=PROBE, name=PROBE, data={":onclick": "alert(3)", PROBE: PROBE})
    await console.store(accepted, rejected)
    await tab.page.set_viewport_size({"width": width, "height": 800})

    await tab.log_in(READ_KEY, "/sessions")
    await tab.follow(session)
    await expect(tab.page.locator("tbody tr")).to_have_count(2)
    seen = await tab.text()
    await tab.open(f"/trace?id={rejected['event_id']}")
    await tab.shows("verdict: rejected")
    beyond = await tab.page.evaluate("document.documentElement.scrollWidth - innerWidth")

    assert PROBE in seen
    assert PROBE in await tab.text()
    assert await tab.page.locator("img[src=x]").count() == 0
    assert beyond <= 0
