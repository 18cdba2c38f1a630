"""Each event that `send` returned for arrives: through closing, outages, refusals and lost answers."""

from __future__ import annotations

import itertools

import pytest
from playwright.async_api import BrowserContext, Page

from clients.browser.tests.site import KEY, Site
from clients.browser.tests.waiting import clicks, delivered
from tests.support.door import Break, Door, LoseAnswer, Pass, Refuse
from tests.support.pipeline import Pipeline
from tests.support.stored import rows_of, times_stored


async def test_events_are_stored_in_the_order_of_sending(the_eye: Pipeline, site: Site, page: Page) -> None:
    await page.goto(site.url)

    ids = await clicks(page, 250)

    await delivered(page)
    rows = await rows_of(the_eye.settings, ids)
    assert [row["data"]["element"] for row in rows] == [str(number) for number in range(250)]
    assert sorted(rows, key=lambda row: (row["occurred_at"], row["event_id"])) == rows
    assert await page.evaluate("faults") == []


async def test_a_page_that_closes_hands_over_what_it_has(the_eye: Pipeline, site: Site, door: Door, page: Page) -> None:
    site.options["interval"] = 60_000
    await page.goto(site.url)
    ids = await clicks(page, 20)

    await page.close(run_before_unload=True)

    assert await times_stored(the_eye.settings, ids) == {1: 20}
    assert {seen.query.get("key") for seen in door.seen} == {KEY}
    assert all(seen.headers["Content-Type"].startswith("text/plain") for seen in door.seen)


async def test_an_event_sent_while_the_page_closes_arrives(the_eye: Pipeline, site: Site, page: Page) -> None:
    site.options["interval"] = 60_000
    site.script = "addEventListener('pagehide', () => localStorage.setItem('last', click('last')))"
    await page.goto(site.url)

    await page.goto("about:blank")

    await page.goto(f"{site.url}/page.js")
    last = await page.evaluate("localStorage.getItem('last')")
    assert await times_stored(the_eye.settings, [last]) == {1: 1}


async def test_a_request_under_way_when_the_page_closes(
    the_eye: Pipeline, site: Site, door: Door, visitor: BrowserContext
) -> None:
    page = await visitor.new_page()
    door.conduct = lambda: Pass(after=1)
    await page.goto(site.url)
    async with page.expect_request("**/events/"):
        ids = await clicks(page, 5)

    await page.close()

    assert await times_stored(the_eye.settings, ids) == {1: 5}


async def test_the_next_page_sends_what_nobody_answered(
    the_eye: Pipeline, site: Site, door: Door, visitor: BrowserContext
) -> None:
    door.conduct = Break
    page = await visitor.new_page()
    await page.goto(site.url)
    ids = await clicks(page, 5)
    await page.close()
    door.conduct = Pass

    page = await visitor.new_page()
    await page.goto(site.url)

    await delivered(page)
    assert await times_stored(the_eye.settings, ids) == {1: 5}


async def test_an_answer_that_is_lost_costs_no_duplicate(the_eye: Pipeline, site: Site, door: Door, page: Page) -> None:
    conducts = iter([LoseAnswer(), LoseAnswer()])
    door.conduct = lambda: next(conducts, Pass())
    await page.goto(site.url)

    ids = await clicks(page, 5)

    await delivered(page)
    assert await times_stored(the_eye.settings, ids) == {1: 5}
    assert len(door.seen) >= 3


async def test_offline_and_back(
    the_eye: Pipeline, site: Site, visitor: BrowserContext, page: Page, pytestconfig: pytest.Config
) -> None:
    await page.goto(site.url)
    await delivered(page)
    await visitor.set_offline(True)
    ids = await clicks(page, 30)
    await page.wait_for_timeout(1_000 * pytestconfig.getoption("--offline-seconds"))  # some attempts fail

    await visitor.set_offline(False)

    await delivered(page, seconds=2)  # the return is noticed, no backoff is waited for
    assert await times_stored(the_eye.settings, ids) == {1: 30}


async def test_a_gateway_that_answers_503_is_asked_less_and_less(
    the_eye: Pipeline, site: Site, door: Door, page: Page
) -> None:
    refusals = iter([Refuse(503)] * 3)
    door.conduct = lambda: next(refusals, Pass())
    await page.goto(site.url)

    ids = await clicks(page, 5)

    await delivered(page)
    assert [seen.status for seen in door.seen] == [503, 503, 503, 202]
    times = [seen.at for seen in door.seen]
    waits = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert all(wait > least for wait, least in zip(waits, [0.9, 1.9, 3.9], strict=True))
    assert await times_stored(the_eye.settings, ids) == {1: 5}


async def test_retry_after_holds_for_every_tab_and_page(
    the_eye: Pipeline, site: Site, door: Door, visitor: BrowserContext, page: Page
) -> None:
    refusals = iter([Refuse(429, retry_after="4")])
    door.conduct = lambda: next(refusals, Pass())
    async with page.expect_response(lambda response: response.status == 429):
        await page.goto(site.url)
    await page.wait_for_function("localStorage.getItem('eye.pause')")

    ids = await clicks(page, 5)
    other = await visitor.new_page()
    await other.goto(site.url)
    ids += await clicks(other, 5)
    await page.close()

    await delivered(other)
    refused, *later = door.seen
    assert all(seen.at - refused.at > 3.9 for seen in later)
    assert await times_stored(the_eye.settings, ids) == {1: 10}


async def test_a_wrong_key_costs_no_event(the_eye: Pipeline, site: Site, page: Page) -> None:
    right = site.options
    site.options = {**right, "key": "wrong"}
    async with page.expect_response(lambda response: response.status == 401):
        await page.goto(site.url)
        ids = await clicks(page, 5)
    site.options = right

    await page.reload()

    await delivered(page)
    assert await times_stored(the_eye.settings, ids) == {1: 5}


async def test_a_refusal_is_told_once_and_waited_out(the_eye: Pipeline, site: Site, door: Door, page: Page) -> None:
    refusals = iter([Refuse(401), Refuse(403), Refuse(404)])
    door.conduct = lambda: next(refusals, Pass())
    site.options |= {"pages": False}
    await page.goto(site.url)
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text) if "The Eye" in message.text else None)

    ids = await clicks(page, 5)

    await delivered(page)
    assert [seen.status for seen in door.seen] == [401, 403, 404, 202]
    told = [(result["event_id"], result["status"]) for result in await page.evaluate("results")]
    assert told == [(ids[0], "retry"), *((event_id, "ok") for event_id in ids)]
    assert await page.evaluate("results[0].errors") == [{"code": "http_401", "path": "$", "message": "status 401"}]
    assert len(said) == 1
    assert await times_stored(the_eye.settings, ids) == {1: 5}


async def test_what_the_gateway_refuses_leaves_the_queue(the_eye: Pipeline, site: Site, page: Page) -> None:
    await page.goto(site.url)

    bad = await page.evaluate("eye.send('page', 'long', { text: '€'.repeat(60_000) })")
    ids = await clicks(page, 5)

    await delivered(page)
    assert await times_stored(the_eye.settings, ids) == {1: 5}
    [result] = await page.evaluate("results.filter((result) => result.status !== 'ok')")
    assert (result["event_id"], result["status"]) == (bad, "too_large")


async def test_a_spoilt_entry_costs_only_itself(the_eye: Pipeline, site: Site, page: Page) -> None:
    site.options["interval"] = 500
    await page.goto(site.url)
    ids = await clicks(page, 5)

    await page.evaluate("localStorage.setItem('eye.q.0', '{')")

    await delivered(page)
    assert await times_stored(the_eye.settings, ids) == {1: 5}


async def test_a_page_of_somebody_else_is_no_verdict(the_eye: Pipeline, site: Site, door: Door, page: Page) -> None:
    portal = iter([Refuse(200), Refuse(302), Refuse(404)])
    door.conduct = lambda: next(portal, Pass())
    await page.goto(site.url)

    ids = await clicks(page, 5)

    await delivered(page)
    assert await times_stored(the_eye.settings, ids) == {1: 5}


async def test_large_batches_go_compressed(site: Site, door: Door, page: Page) -> None:
    await page.goto(site.url)

    await clicks(page, 50)

    await delivered(page)
    largest = max(door.seen, key=lambda seen: len(seen.events))
    assert largest.headers["Content-Encoding"] == "gzip"
    assert largest.headers["Authorization"] == "Bearer public-key"
