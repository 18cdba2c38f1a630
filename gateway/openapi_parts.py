"""The parts of an OpenAPI document: calls, their parameters, answers and problems."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Json = dict[str, Any]

_PROBLEMS = {
    400: "Not JSON, broken compression, or a bad parameter",
    401: "No key, or an unknown one",
    403: "The key lacks the scope",
    404: "Nothing by that name (yet)",
    408: "The body came too slowly; the connection is closed",
    413: "Too large, or too many events",
    415: "A content type or encoding that is not understood",
    422: "No event of the request was acceptable; `results` says why",
    429: "More events than the application, or the key, may send: again after `Retry-After` seconds",
    503: "Not now: send it again after `Retry-After` seconds",
}


def call(
    summary: str,
    schema: str | Json,
    problems: Sequence[int],
    parameters: Sequence[Json],
    *,
    status: int = 200,
    media: str = "application/json",
) -> Json:
    """Return a call that is answered by a schema, given or named, or by one of the problems."""
    found = answer("As asked", ref(schema) if isinstance(schema, str) else schema, media)
    refusals = {str(number): _refusal(number) for number in problems}
    return {"summary": summary, "parameters": list(parameters), "responses": {str(status): found} | refusals}


def answer(description: str, schema: Json, media: str = "application/json") -> Json:
    """Return an answer with a body."""
    return {"description": description, "content": {media: {"schema": schema}}}


def query(name: str, description: str, **schema: Any) -> Json:
    """Return a parameter of the query; text, unless the schema says otherwise."""
    return {"name": name, "in": "query", "description": description, "schema": {"type": "string"} | schema}


def header(name: str, description: str, **schema: Any) -> Json:
    """Return a header; text, unless the schema says otherwise."""
    return {"name": name, "in": "header", "description": description, "schema": {"type": "string"} | schema}


def path(name: str, description: str) -> Json:
    """Return a parameter of the path."""
    schema = {"type": "string"}
    return {"name": name, "in": "path", "required": True, "description": description, "schema": schema}


def ref(name: str) -> Json:
    """Return the reference to a schema of the document."""
    return {"$ref": f"#/components/schemas/{name}"}


def _refusal(status: int) -> Json:
    problem = answer(_PROBLEMS[status], ref("Problem"), "application/problem+json")
    if status in (429, 503):
        problem["headers"] = {"Retry-After": {"schema": {"type": "integer"}, "description": "In seconds."}}
    return problem
