"""The catalogue of event types over HTTP."""

from __future__ import annotations

from collections import defaultdict
from urllib.parse import quote

import msgspec
from aiohttp import web

from gateway.context import GATEWAY
from gateway.problems import NotFound
from gateway.query import parameters


async def get_schemas(request: web.Request) -> web.Response:
    """Every event type: its versions, the latest of them, and where its JSON Schema is."""
    parameters.read_parameters(request, {})
    versions: dict[tuple[str, str], list[int]] = defaultdict(list)
    for event_type in request.app[GATEWAY].rules.catalogue:
        versions[event_type.category, event_type.name].append(event_type.version)
    listed = [
        {
            "category": category,
            "name": name,
            "version": max(numbers),
            "versions": sorted(numbers),
            "href": f"/schemas/{quote(category, safe='')}/{quote(name, safe='')}",
        }
        for (category, name), numbers in versions.items()
    ]
    return web.Response(body=msgspec.json.encode({"schemas": listed}), content_type="application/json")


async def get_schema(request: web.Request) -> web.Response:
    """Return the JSON Schema of one event type's payload, of its latest version unless `version` is given."""
    given = parameters.read_parameters(request, parameters.VERSION)
    category, name = request.match_info["category"], request.match_info["name"]
    catalogue = request.app[GATEWAY].rules.catalogue
    event_type = catalogue.find(category, name, given.get("version"))
    if event_type is None:
        raise NotFound(f"No such event type: {category} / {name}. GET /schemas lists them.")
    body = msgspec.json.encode(event_type.json_schema())
    return web.Response(body=body, content_type="application/schema+json")
