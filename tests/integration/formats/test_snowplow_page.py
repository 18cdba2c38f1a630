"""Snowplow's tracker for pages, unchanged, in a real Chromium on an origin of its own."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.integration.formats.conftest import NODE, PUBLIC_KEY
from tests.integration.formats.delivery import EVENTS, LONGEST, OUTAGE, Senders, each_once, row, stop_in_between
from tests.integration.formats.page import a_page, bundle

pytestmark = pytest.mark.timeout(2 * LONGEST)


@pytest.mark.parametrize(("method", "rejected"), [("post", 2), ("get", 1)])
async def test_a_page_delivers_each_event_once(
    node: str, senders: Senders, page_port: int, tmp_path: Path, method: str, rejected: int
) -> None:
    script = bundle(node, (NODE / "snowplow_page.js").read_text(), tmp_path)

    call = f"send('{senders.pipeline.gateway.url}', '{PUBLIC_KEY}', {EVENTS}, '{method}', {OUTAGE * 1.5})"

    async with a_page(script, page_port) as page:
        sending = asyncio.create_task(page.evaluate(call))
        await stop_in_between(senders, lambda: page.evaluate(f"window.delivered / {EVENTS}"))
        async with asyncio.timeout(LONGEST):
            ids = await sending

    assert len(set(ids)) == EVENTS
    stored = await each_once(senders, ids)
    assert stored == {"row": EVENTS * (10 - rejected) // 10, "rejected": EVENTS * rejected // 10}
    found = await row(senders, ids[0])
    assert (found["category"], found["name"], found["user_id"]) == ("page", "view", "page-user")
    assert found["data"]["url"].startswith("http://127.0.0.1")
    assert found["session_id"] == found["context"]["sid"]
    assert PUBLIC_KEY not in str(found)
