"""A bare aiohttp handler that reads the body and answers 202: the limit of what a gateway can do."""

from __future__ import annotations

import sys

import uvloop
from aiohttp import web


async def _answer(request: web.Request) -> web.Response:
    await request.read()
    return web.json_response({"accepted": 1}, status=202)


if __name__ == "__main__":
    uvloop.install()
    app = web.Application()
    app.router.add_post("/events/", _answer)
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), access_log=None, print=lambda *_: None)
