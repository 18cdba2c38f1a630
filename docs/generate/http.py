"""The page of HTTP calls, from the OpenAPI document that the gateway serves."""

from __future__ import annotations

from typing import Any

from docs.generate.markdown import page, table
from gateway.routes.openapi import openapi
from schemas.settings import Settings


def http_page() -> str:
    """Return the page: every call with its parameters, bodies and answers."""
    settings = Settings()
    document = openapi(settings, settings.rules().catalogue)
    calls = [(verb.upper(), path, call) for path, verbs in document["paths"].items() for verb, call in verbs.items()]
    rows = [
        [f"`{verb} {path}`", call["summary"], "" if call.get("security") == [] else "yes"] for verb, path, call in calls
    ]
    return page(
        "HTTP",
        "The gateway serves this description as `/openapi.json` and shows it at `/docs`, where each call can be tried."
        " A key goes into `Authorization: Bearer KEY`, `X-API-Key: KEY`, or is the user name of Basic.",
        table(["call", "purpose", "key"], rows),
        *(_section(verb, path, call) for verb, path, call in calls),
        "## Bodies and answers",
        *(_shape(name, shape) for name, shape in document["components"]["schemas"].items()),
    )


def _section(verb: str, path: str, call: dict[str, Any]) -> str:
    parameters = [
        [f"`{p['name']}`", p["in"], _schema(p["schema"]), p.get("description", "")] for p in call.get("parameters", [])
    ]
    bodies = [
        [f"`{media}`", _schema(b["schema"])] for media, b in call.get("requestBody", {}).get("content", {}).items()
    ]
    answers = [
        [
            status,
            answer["description"],
            ", ".join(f"`{m}`: {_schema(c.get('schema', {}))}" for m, c in answer.get("content", {}).items()),
        ]
        for status, answer in call["responses"].items()
    ]
    parts = [f"## {verb} {path}", f"{call['summary']}."]
    if parameters:
        parts.append(table(["parameter", "in", "type", "meaning"], parameters))
    if bodies:
        parts.append(table(["body", "type"], bodies))
    return "\n\n".join([*parts, table(["status", "when", "body"], answers)])


def _shape(name: str, shape: dict[str, Any]) -> str:
    rows = [
        [f"`{field}`", _schema(schema), schema.get("description", "")]
        for field, schema in shape.get("properties", {}).items()
    ]
    parts = [f"### {name}", shape.get("description", "")]
    if rows:
        parts.append(table(["field", "type", "meaning"], rows))
    else:
        parts.append(_schema(shape))
    return "\n\n".join(filter(None, parts))


def _schema(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[-1]
        return f"[{name}](#{name.lower()})"
    for union in ("oneOf", "anyOf"):
        if union in schema:
            return " or ".join(map(_schema, schema[union]))
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    kind = schema.get("type", "any")
    kind = " or ".join(kind) if isinstance(kind, list) else kind
    if kind == "array":
        return f"array of {_schema(schema.get('items', {}))}"
    return " ".join(filter(None, [kind, f"({schema['format']})" if "format" in schema else ""]))
