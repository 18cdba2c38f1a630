"""Pages that live briefly and end in any way, and the rows of the events that `send` returned for.

Some tabs at a time, all of one visitor. Each page sends events at random moments and tells, after `send` has returned
and before anything else happens in it, the id (a synchronous request: what was not told was not counted). It ends at a
random moment in a random way, while the way to the gateway is disturbed at random. At the end one undisturbed page has
the time to send what is left.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass

import psycopg
from playwright.async_api import BrowserContext, Page, async_playwright
from playwright.async_api import Error as PlaywrightError

from clients.browser.tests.site import Site
from clients.browser.tests.tools import FLAGS, find_chromium
from clients.browser.tests.waiting import delivered
from eye.operations.wait_until_stored import wait_until_stored
from schemas.settings import Settings
from tests.support.door import Break, Conduct, Door, LoseAnswer, Pass, Refuse
from tests.support.stored import rows_of

TABS = 4
LONGEST_LIFE = 0.6
LONGEST_END = 10
DISTURBANCES: list[Conduct] = [Refuse(503), Refuse(429, retry_after="1"), LoseAnswer(), LoseAnswer(), Break()]

_SENDING = """
const live = () => {
    const id = click(String(Math.random()));
    const request = new XMLHttpRequest();
    request.open("GET", `/told?${id}`, false);
    request.send();
    if (request.status === 200) setTimeout(live, Math.random() * 60);
};
live();
"""

_DUPLICATES = """
select count(*) from (
    select from eye.events where event_id::text = any(%(ids)s) group by event_id having count(*) > 1
) as twice
"""
_REJECTED = "select count(*) from eye.rejected_events where event_id::text = any(%(ids)s)"


@dataclass(frozen=True, slots=True)
class Tally:
    """The counts of a run.

    `told`: events that `send` returned for; `once`: those of them with exactly one row. `duplicates` and `rejected`
    are of all events, those that the pages sent by themselves included.
    """

    lives: int
    told: int
    once: int
    duplicates: int
    rejected: int
    requests: int
    disturbed: int
    endings: dict[str, int]
    seconds: float


async def live_and_end(lives: int, settings: Settings, site: Site, door: Door, seed: int = 7) -> Tally:
    """Let so many pages live, and count. The site sends by the door, which is this run's alone."""
    chance, started = random.Random(seed), time.monotonic()
    site.script, site.options["interval"] = _SENDING, 50
    endings: Counter[str] = Counter()
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=find_chromium(), args=FLAGS)
        visitor = await browser.new_context()
        door.conduct = lambda: _conduct(chance)
        left = iter(range(lives))
        await asyncio.gather(*(_tab(visitor, site, chance, left, endings) for _ in range(TABS)))
        door.conduct, site.script, site.listens = Pass, "", False
        last = await visitor.new_page()
        await last.goto(site.url)
        await delivered(last, seconds=60)
        await browser.close()
    rows = Counter(str(row["event_id"]) for row in await rows_of(settings, site.told, seconds=60))
    await wait_until_stored(settings)
    duplicates, rejected = await _counts(settings, [event["event_id"] for event in door.events()])
    return Tally(
        lives=lives,
        told=len(site.told),
        once=sum(count == 1 for count in rows.values()),
        duplicates=duplicates,
        rejected=rejected,
        requests=len(door.seen),
        disturbed=sum(not isinstance(seen.conduct, Pass) for seen in door.seen),
        endings=dict(endings),
        seconds=round(time.monotonic() - started, 1),
    )


def _conduct(chance: random.Random) -> Conduct:
    if chance.random() < 0.6:
        return Pass(after=chance.random() * 0.3)
    return chance.choice(DISTURBANCES)


async def _counts(settings: Settings, ids: list[str]) -> tuple[int, int]:
    async with await psycopg.AsyncConnection.connect(settings.dsn) as connection:
        duplicates = await (await connection.execute(_DUPLICATES, {"ids": ids})).fetchone()
        rejected = await (await connection.execute(_REJECTED, {"ids": ids})).fetchone()
    assert duplicates is not None
    assert rejected is not None
    return duplicates[0], rejected[0]


async def _tab(
    visitor: BrowserContext, site: Site, chance: random.Random, left: Iterator[int], endings: Counter[str]
) -> None:
    """Let pages live one after another in one tab, in a new tab where the last one closed it."""
    page = await visitor.new_page()
    for number in left:
        name, end = chance.choice(ENDINGS)
        try:
            await page.goto(f"{site.url}/{number}", wait_until="commit")
            await asyncio.sleep(chance.random() * LONGEST_LIFE)
            async with asyncio.timeout(LONGEST_END):
                await end(page)
        except (PlaywrightError, TimeoutError):
            name = "crashed with another"  # tabs may share a process
        endings[name] += 1
        if page.is_closed() or "crashed" in name:
            page = await visitor.new_page()


async def _leave(page: Page) -> None:
    await page.goto("about:blank", wait_until="commit")


async def _follow_link(page: Page) -> None:
    async with page.expect_navigation(wait_until="commit"):
        await page.evaluate("location.href = '/followed'")


async def _close(page: Page) -> None:
    await page.close()


async def _close_with_handlers(page: Page) -> None:
    async with page.expect_event("close"):
        await page.close(run_before_unload=True)


async def _crash(page: Page) -> None:
    """Kill the process of the page: no handler runs."""
    session = await page.context.new_cdp_session(page)
    async with page.expect_event("crash"):
        crash = asyncio.ensure_future(session.send("Page.crash"))  # which nobody is left to answer
    crash.cancel()
    await asyncio.wait([crash])


End = Callable[[Page], Awaitable[None]]
ENDINGS: list[tuple[str, End]] = [
    ("left", _leave),
    ("followed a link", _follow_link),
    ("closed", _close),
    ("closed with handlers", _close_with_handlers),
    ("crashed", _crash),
]
