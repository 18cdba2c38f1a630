"""The console and a tab that shows it, as tests use them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import partial
from typing import Any

import aiohttp
from playwright.async_api import Page

from tests.integration.gateway.test_json_builders import eventually
from tests.support.pipeline import Event, EyeProcess, Pipeline, ndjson

READ_KEY, WRITE_KEY, ADMIN_KEY = "read-key", "write-key", "admin-key"


@dataclass(frozen=True, slots=True)
class Console:
    """A pipeline, and the console that shows it."""

    pipeline: Pipeline
    process: EyeProcess

    @property
    def url(self) -> str:
        """The console's address."""
        return self.process.url

    async def send(self, *events: Event) -> None:
        """Send events."""
        status, answer = await self.pipeline.post(ndjson(events), "application/x-ndjson")
        assert status == 202, answer

    async def store(self, *events: Event) -> None:
        """Send events and wait until each is a row."""
        await self.send(*events)
        for event in events:
            await eventually(partial(self._is_stored, event["event_id"]))

    async def knows(self, key: str) -> bool:
        """Tell whether the gateway knows a key."""
        url = f"{self.pipeline.gateway.url}/key"
        async with aiohttp.ClientSession() as session, session.get(url, headers={"X-API-Key": key}) as response:
            return response.status == 200

    async def forgets(self, key: str) -> bool:
        """Tell whether the gateway knows a key no more."""
        return not await self.knows(key)

    async def _is_stored(self, event_id: str) -> bool:
        status, _ = await self.pipeline.get(f"/events/{event_id}")
        return status == 200


class Tab:
    """A tab of the browser; `troubles` are errors of the page, and addresses elsewhere that it asked."""

    def __init__(self, page: Page, url: str) -> None:
        self.page, self.url = page, url
        self.troubles: list[str] = []
        own = (url, url.replace("http://", "ws://"), "data:", "blob:")
        page.on("pageerror", lambda error: self.troubles.append(str(error)))
        page.on("dialog", lambda dialog: self.troubles.append(f"dialog {dialog.message}"))
        page.on("request", lambda asked: None if asked.url.startswith(own) else self.troubles.append(asked.url))

    async def log_in(self, key: str, path: str = "/") -> None:
        """Open a page, which asks for a key first, and give one."""
        await self.page.goto(f"{self.url}{path}")
        await self.page.get_by_label("Key with the scope read").fill(key)
        await self.page.get_by_role("button", name="Log in").click()

    async def open(self, path: str) -> None:
        """Open a page."""
        await self.page.goto(f"{self.url}{path}")

    async def follow(self, name: str) -> None:
        """Open what a link of the page leads to; a click may be lost while the page is still being drawn."""
        href = await self.page.get_by_role("link", name=name).get_attribute("href")
        assert href is not None, f"the link {name} leads nowhere"
        await self.open(href)

    async def shows(self, text: str, seconds: float = 30) -> None:
        """Wait until the page shows a text."""
        await self.page.get_by_text(text).first.wait_for(timeout=seconds * 1000)

    async def text(self) -> str:
        """Return everything that the page shows."""
        return await self.page.locator("body").inner_text()

    async def cookie(self) -> dict[str, Any]:
        """Return the console's cookie."""
        (cookie,) = await self.page.context.cookies()
        found: dict[str, Any] = json.loads(json.dumps(cookie))
        return found
