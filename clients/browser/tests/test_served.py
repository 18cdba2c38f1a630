"""The client as the gateway serves it."""

from __future__ import annotations

import json

import aiohttp
from playwright.async_api import Page

from clients.browser.tests.site import Site
from clients.browser.tests.tools import CLIENT
from clients.browser.tests.waiting import delivered
from tests.support.door import Door
from tests.support.pipeline import Pipeline
from tests.support.stored import times_stored

VERSION = json.loads((CLIENT / "package.json").read_text())["version"]


async def test_a_known_client_is_not_sent_again(the_eye: Pipeline) -> None:
    async with aiohttp.ClientSession(the_eye.gateway.url) as session:
        async with session.get("/eye.js") as first:
            etag, kept = first.headers["ETag"], first.headers["Cache-Control"]
            assert (first.status, first.content_type) == (200, "text/javascript")
            assert first.headers["Content-Encoding"] in ("gzip", "deflate")
        async with session.get("/eye.js", headers={"If-None-Match": etag}) as second:
            assert (second.status, await second.read(), second.headers["ETag"]) == (304, b"", etag)
    assert kept == second.headers["Cache-Control"] == "public, max-age=300"


async def test_the_client_of_a_version_is_kept_for_ever(the_eye: Pipeline) -> None:
    kept = {}
    async with aiohttp.ClientSession(the_eye.gateway.url) as session:
        for version in (VERSION, "0.0.1"):
            async with session.get("/eye.js", params={"v": version}) as response:
                assert response.status == 200
                kept[version] = response.headers["Cache-Control"]

    assert kept == {VERSION: "public, max-age=31536000, immutable", "0.0.1": "public, max-age=300"}


async def test_a_page_of_another_origin_loads_it(the_eye: Pipeline, site: Site, door: Door, page: Page) -> None:
    site.page = """<!doctype html><script type="module">
        import * as eye from "{body}/eye.js";
        window.eye = eye;
        window.id = eye.init({{ url: "DOOR", key: "public-key", interval: 100 }}) || eye.send(
            "page interaction", "cta click", {{ host: location.host, path: "/", element: "served" }});
        </script>""".replace("DOOR", door.url)
    site.body = the_eye.gateway.url
    await page.goto(site.url)

    await page.wait_for_function("window.id")
    await delivered(page)

    assert await times_stored(the_eye.settings, [await page.evaluate("window.id")]) == {1: 1}
