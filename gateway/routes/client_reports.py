"""Client reports: how many events an application's clients dropped before they could send them."""

from __future__ import annotations

from typing import Annotated

import msgspec
from aiohttp import web

from gateway.context import GATEWAY, GRANT, PERMIT
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
