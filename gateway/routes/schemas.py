"""The catalogue of event types over HTTP."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import msgspec
from aiohttp import web

from gateway.context import GATEWAY
from gateway.openapi_parts import Json, call, path
from gateway.problems import NotFound
from gateway.query.parameters import Parameter, read_parameters
from schemas.catalogue import Catalogue


def _number(value: str) -> int:
    if not (value.isascii() and value.isdigit() and len(value) < 10):
        raise ValueError("a whole number")
    return int(value)


_SCHEMA_PARAMETERS = (
    Parameter("version", "An older version than the latest.", parse=_number, schema={"type": "integer"}),
)


async def get_schemas(request: web.Request) -> web.Response:
    """Return every event type: its versions, the latest, the default of now, and the address of its JSON Schema."""
    read_parameters(request, ())
    body = msgspec.json.encode({"schemas": _listed(request.app[GATEWAY].rules.catalogue, datetime.now(UTC))})
    return web.Response(body=body, content_type="application/json")


def _listed(catalogue: Catalogue, now: datetime) -> list[dict[str, Any]]:
    versions: dict[tuple[str, str], list[int]] = defaultdict(list)
    for event_type in catalogue:
        versions[event_type.category, event_type.name].append(event_type.version)
    defaults = {key: catalogue.find(*key, received_at=now) for key in versions}
    return [
        {
            "category": category,
            "name": name,
            "version": max(numbers),
            "versions": sorted(numbers),
            "default_version": default.version,
            "href": f"/schemas/{quote(category, safe='')}/{quote(name, safe='')}",
        }
        for (category, name), numbers in versions.items()
        if (default := defaults[category, name])
    ]


async def get_schema(request: web.Request) -> web.Response:
    """Return the JSON Schema of one event type's payload, of its latest version unless `version` is given."""
    given = read_parameters(request, _SCHEMA_PARAMETERS)
    category, name = request.match_info["category"], request.match_info["name"]
    catalogue = request.app[GATEWAY].rules.catalogue
    version = given.get("version")
    event_type = catalogue.latest(category, name) if version is None else catalogue.find(category, name, version)
    if event_type is None:
        raise NotFound(f"No such event type: {category} / {name}. GET /schemas lists them.")
    body = msgspec.json.encode(event_type.json_schema())
    return web.Response(body=body, content_type="application/schema+json")


def paths() -> Json:
    """Return the calls as the OpenAPI document has them."""
    event_type = [path("category", "As in GET /schemas, percent-encoded."), path("name", "Likewise.")]
    parameters = [*event_type, *(known.openapi() for known in _SCHEMA_PARAMETERS)]
    summary = "JSON Schema (2020-12) of an event type's data"
    one = call(summary, {"type": "object"}, [400, 401, 404, 503], parameters)
    one["responses"]["200"]["content"] = {"application/schema+json": {"schema": {"type": "object"}}}
    return {
        "/schemas": {"get": call("The catalogue of event types", "Catalogue", [400, 401, 503], [])},
        "/schemas/{category}/{name}": {"get": one},
    }
