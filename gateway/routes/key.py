"""The key of a request: GET /key."""

from __future__ import annotations

import msgspec
from aiohttp import web

from gateway.access.api_keys import Scope
from gateway.context import GRANT
from gateway.openapi_parts import Json, call
from gateway.query.parameters import read_parameters


async def get_key(request: web.Request) -> web.Response:
    """Return the application and the scopes of the presented key."""
    read_parameters(request, ())
    grant = request[GRANT]
    found = {"application": grant.application, "scopes": sorted(grant.scopes)}
    return web.Response(body=msgspec.json.encode(found), content_type="application/json")


def paths() -> Json:
    """Return the call as the OpenAPI document has it."""
    scopes = {"type": "array", "items": {"enum": sorted(Scope)}}
    schema: Json = {
        "type": "object",
        "required": ["application", "scopes"],
        "properties": {"application": {"type": "string"}, "scopes": scopes},
    }
    return {"/key": {"get": call("The application and the scopes of the presented key", schema, [400, 401, 503], [])}}
