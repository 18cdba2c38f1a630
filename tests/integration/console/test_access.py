"""Access to the console: who gets in, what a cookie is worth, and when it ends."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest
from playwright.async_api import expect

from tests.integration.console.tab import READ_KEY, WRITE_KEY, Console, Tab

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
async def client(console: Console) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(console.url, cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        yield session


async def log_in(client: aiohttp.ClientSession, key: str, place: str = "/", **headers: str) -> aiohttp.ClientResponse:
    return await client.post("/login", data={"key": key, "next": place}, headers=headers, allow_redirects=False)


async def test_a_key_opens_the_console_until_logout(tab: Tab) -> None:
    await tab.log_in(READ_KEY, "/sessions")
    await expect(tab.page.get_by_role("heading", name="Sessions")).to_be_visible()
    cookie = await tab.cookie()
    await tab.page.get_by_role("button", name="Log out").click()
    await expect(tab.page.get_by_label("Key with the scope read")).to_be_visible()
    await tab.open("/sessions")

    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
    assert "/login?next=%2Fsessions" in tab.page.url


@pytest.mark.parametrize(("key", "status", "said"), [("nobody's", 401, "not known"), (WRITE_KEY, 403, "lacks the")])
async def test_only_a_key_that_may_read_opens_it(
    client: aiohttp.ClientSession, key: str, status: int, said: str
) -> None:
    answer = await log_in(client, key)

    assert answer.status == status
    assert said in await answer.text()
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("path", ["/", "/session?id=s-1", "/_nicegui_ws/socket.io/?EIO=4&transport=polling"])
async def test_without_a_cookie_nothing_is_shown(client: aiohttp.ClientSession, path: str) -> None:
    async with client.get(path, allow_redirects=False) as answer:
        assert (answer.status, answer.headers.get("Location", "/login")[:6]) in ((303, "/login"), (401, "/login"))
    with pytest.raises(aiohttp.WSServerHandshakeError):
        await client.ws_connect("/_nicegui_ws/socket.io/?EIO=4&transport=websocket")


async def test_a_page_elsewhere_can_use_no_cookie(client: aiohttp.ClientSession) -> None:
    refused = await log_in(client, READ_KEY, Origin="http://evil.example")
    taken = await log_in(client, READ_KEY)
    logout = await client.post("/logout", headers={"Origin": "http://evil.example"}, allow_redirects=False)
    async with client.get("/sessions") as page:
        still_open = page.url.path

    assert (refused.status, taken.status, logout.status, still_open) == (403, 303, 403, "/sessions")
    with pytest.raises(aiohttp.WSServerHandshakeError):
        await client.ws_connect(
            "/_nicegui_ws/socket.io/?EIO=4&transport=websocket", headers={"Origin": "http://evil.example"}
        )


@pytest.mark.parametrize("place", ["//evil.example", "https://evil.example", "/\\evil.example", "/logout"])
async def test_login_leads_nowhere_else(client: aiohttp.ClientSession, place: str) -> None:
    answer = await log_in(client, READ_KEY, place)

    assert (answer.status, answer.headers["Location"]) == (303, "/")


async def test_pages_can_be_framed_and_sniffed_by_nobody(client: aiohttp.ClientSession) -> None:
    await log_in(client, READ_KEY)
    async with client.get("/") as page:
        policy = page.headers["Content-Security-Policy"]

    assert {"default-src 'self'", "frame-ancestors 'none'"} <= set(policy.split("; "))
    assert (page.headers["X-Content-Type-Options"], page.headers["Cache-Control"]) == ("nosniff", "no-store")
