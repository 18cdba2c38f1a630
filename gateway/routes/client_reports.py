"""Client reports: how many events an application's clients dropped before they could send them."""

from __future__ import annotations

from typing import Annotated

import msgspec
from aiohttp import web

from gateway.context import GATEWAY, GRANT, PERMIT
from gateway.openapi_parts import Json, call
from gateway.problems import BadRequest, ProblemCode

REASONS = frozenset({"queue_full", "not_json", "invalid", "too_large", "refused", "closed", "internal_error"})
"""The reasons that are counted by name."""

OTHER = "other"
"""Stands for any other reason."""

MAX_REASONS = 100


class ClientReport(msgspec.Struct):
    """Events dropped since the client's last report, by reason."""

    dropped: Annotated[dict[str, Annotated[int, msgspec.Meta(ge=0, le=2**53)]], msgspec.Meta(max_length=MAX_REASONS)]


_report = msgspec.json.Decoder(ClientReport)


async def post_client_report(request: web.Request) -> web.Response:
    """Count what a client says that it dropped. Raises BadRequest for what is no report."""
    gateway, permit = request.app[GATEWAY], request[PERMIT]
    gateway.admission.check_rate(permit)
    body = await gateway.bodies.read(request, lambda size: gateway.admission.charge(permit, size))
    gateway.admission.charge(permit, 0, 1)  # a report costs what an event does
    try:
        report = _report.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadRequest(
            f'A report is {{"dropped": {{"REASON": COUNT}}}}: {error}', code=ProblemCode.BAD_REQUEST
        ) from None
    for reason, count in report.dropped.items():
        name = reason if reason in REASONS else OTHER
        gateway.metrics.client_dropped.labels(request[GRANT].application, name).inc(count)
    return web.Response(status=204)


def paths() -> Json:
    """Return the call as the OpenAPI document has it."""
    counts = {"type": "object", "additionalProperties": {"type": "integer", "minimum": 0}, "maxProperties": MAX_REASONS}
    schema: Json = {"type": "object", "properties": {"dropped": counts}, "required": ["dropped"]}
    example = {"dropped": {"queue_full": 12}}
    summary = "Say how many events a client dropped before it could send them, by reason; they are counted in a metric"
    post = call(summary, {}, [400, 401, 403, 408, 413, 415, 429, 503], [], status=204)
    del post["responses"]["204"]["content"]
    body = {"required": True, "content": {"application/json": {"schema": schema, "example": example}}}
    return {"/client-reports": {"post": post | {"requestBody": body}}}
