"""The pages of an application, on an origin of their own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from aiohttp import web

from tests.support.door import serve

KEY = "public-key"
"""A key that may stand in a page: it works from the site's origins alone."""

PAGE = """<!doctype html>
<meta charset="utf-8">
<title>Shop</title>
{body}
<script type="module" src="/page.js"></script>
"""

_SCRIPT = """
import * as eye from "/eye.js";
window.eye = eye;
window.results = [];
window.faults = [];
addEventListener("error", (event) => faults.push(String(event.message)));
addEventListener("unhandledrejection", (event) => faults.push(String(event.reason)));
eye.init({{ ...{options}, onResult: (result) => results.push(result) }});
window.click = (element) => eye.send("page interaction", "cta click", {{ host: location.host, path: "/", element }});
{script}
"""

_ANYBODY = {"Access-Control-Allow-Origin": "*"}


class Site:
    """Serves one page under every path, with the client in it.

    `page` is its HTML around `body`; `options` is what it calls `init` with, `script` what it does then; `headers`
    is what it is served with. In the page `click(element)` sends an event and returns its id. `told` is what pages told
    `/told` about, by GET, as long as it `listens`.
    """

    def __init__(self, client: Path, gateway: str, port: int) -> None:
        self.options: dict[str, Any] = {"url": gateway, "key": KEY, "interval": 100}
        self.page, self.body, self.script = PAGE, "", ""
        self.headers: Mapping[str, str] = {}
        self.told: list[str] = []
        self.listens = True
        self.url = f"http://127.0.0.1:{port}"
        self._client, self._port = client, port
        app = web.Application()
        app.router.add_get("/told", self._be_told)
        app.router.add_get("/page.js", self._get_script)
        app.router.add_get("/{name:eye.js|snippet.js}", self._get_client)
        app.router.add_get("/{path:.*}", self._get_page)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)

    async def __aenter__(self) -> Self:
        await serve(self._runner, self._port)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def _be_told(self, request: web.Request) -> web.Response:
        if not self.listens:
            return web.Response(status=410)
        self.told.append(request.query_string)
        return web.Response()

    async def _get_script(self, _: web.Request) -> web.Response:
        text = _SCRIPT.format(options=json.dumps(self.options), script=self.script)
        return web.Response(text=text, content_type="text/javascript", headers=_ANYBODY)

    async def _get_client(self, request: web.Request) -> web.Response:
        text = (self._client / request.match_info["name"]).read_text()
        return web.Response(text=text, content_type="text/javascript", headers=_ANYBODY)

    async def _get_page(self, _: web.Request) -> web.Response:
        return web.Response(text=self.page.format(body=self.body), content_type="text/html", headers=self.headers)
